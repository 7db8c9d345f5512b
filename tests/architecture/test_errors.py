# SPDX-License-Identifier: Apache-2.0
"""The error tree is the one that is drawn; every leaf is documented and says what to do."""

from __future__ import annotations

import re

import pytest
from source_tree import ROOT

from pilothouse import errors
from pilothouse.errors import CharterInvalid, PilothouseError, Place


def tree(cls=PilothouseError):
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_the_drawing_names_exactly_the_classes_with_their_parents():
    drawn = {}
    stack = []
    for line in errors.__doc__.split("```")[1].strip().splitlines():
        depth, name = len(re.match(r"[│ ├└─]*", line)[0]) // 4, re.sub(r"[│├└─ ]", "", line)
        stack[depth:] = [name]
        drawn[name] = stack[depth - 1] if depth else "Exception"
    assert drawn == {cls.__name__: cls.__base__.__name__ for cls in tree()}


def test_no_two_errors_share_a_code():
    codes = [cls.code for cls in tree()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("cls", list(tree()), ids=lambda cls: cls.__name__)
def test_every_error_renders_its_place_message_and_remedy(cls):
    extra = {"findings": ("a",)} if cls is CharterInvalid else {}
    error = cls(
        "what is wrong.", remedy="Run `pilothouse doctor`.", place=Place("f.yaml", 2, 3), subject="s", **extra
    )
    assert str(error) == "f.yaml:2:3: what is wrong. Run `pilothouse doctor`."
    assert error.as_record()["code"] == cls.code
    assert error.as_record()["docs"].endswith(cls.code)


def test_every_code_has_its_anchor_in_the_reference():
    text = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    missing = [cls.code for cls in tree() if f"## {cls.code}\n" not in text]
    assert not missing, missing


def test_a_name_that_is_like_nothing_gets_no_guess():
    assert "Did you mean" not in str(errors.UnknownName.among("agent", "zzz", ["triage"], remedy="Look."))
