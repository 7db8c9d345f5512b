# SPDX-License-Identifier: Apache-2.0
"""Every kind of evidence that the framework asks for is written somewhere: a kind without a writer is a rule nobody can meet."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from evidence_made import load_charter

from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.signing import asked_signatures

SRC = Path(__file__).parents[2] / "src" / "pilothouse"
WRITERS = ("workflows", "core/evidence")
"""Floors that make records; pages and commands only read them."""


@cache
def said_by_writers():
    """Return the texts that the writers' code holds, and the beginnings of those that it puts together."""
    whole, beginnings = set(), set()
    for floor in WRITERS:
        for path in (SRC / floor).rglob("*.py"):
            if path.name == "kinds.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    whole.add(node.value)
                if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                    beginnings.add(node.values[0].value)
    return whole, beginnings


def is_written(kind):
    whole, beginnings = said_by_writers()
    return kind in whole or any(
        head and kind.startswith(head) and kind.removeprefix(head) in whole for head in beginnings
    )


@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if KINDS[kind].form is not Form.SIGNATURE))
def test_every_kind_of_evidence_has_a_writer(kind):
    assert is_written(kind)


def test_every_signature_is_offered_to_somebody():
    charter = load_charter()
    offered = {one.kind for one in asked_signatures(charter, (), datetime(2026, 11, 20, tzinfo=UTC))}
    assert offered == {kind for kind in KINDS if KINDS[kind].form is Form.SIGNATURE}


def test_every_kind_is_asked_for_and_an_invented_one_has_no_writer():
    asked = {part.kind for requirement in FRAMEWORK for part in requirement.parts}
    assert asked == {name for name, kind in KINDS.items() if not kind.added_to}
    assert {kind.added_to for kind in KINDS.values()} - {""} <= asked
    assert not is_written("inputs.invented")
    assert not is_written("drill.invented")
