# SPDX-License-Identifier: Apache-2.0
"""A case of one text takes the form of the others of its type; nothing else is turned into what it was not."""

from __future__ import annotations

import pytest

from pilothouse.evals.case import Case
from pilothouse.workflows.curation.case_form import asked_as, forms_of

TEXT = "Where is 7?"
CONTENT = [{"role": "user", "content": TEXT}]
TYPED = [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}]
PARTS = [{"role": "user", "parts": [{"type": "text", "content": TEXT}]}]


def case(given, name="new", task_type="orders"):
    return Case(id=name, task_type=task_type, input=given, expected="Lyon")


@pytest.mark.parametrize("given", [TEXT, CONTENT, TYPED, PARTS])
@pytest.mark.parametrize(("other", "wanted"), [("Where?", TEXT), (PARTS, PARTS)])
def test_one_text_is_asked_as_the_others_are(given, other, wanted):
    assert asked_as(case(given), forms_of([case(other, "old")])).input == wanted


def test_messages_with_content_are_one_form_however_their_content_is_written():
    forms = forms_of([case(CONTENT, "a"), case(TYPED, "b")])
    assert forms == {"orders": "content"}
    assert asked_as(case(PARTS), forms).input == CONTENT
    assert asked_as(case(TYPED), forms).input == TYPED


@pytest.mark.parametrize(
    "given",
    [
        {"n": 1},
        [],
        7,
        [*CONTENT, *CONTENT],
        [{"role": "assistant", "content": TEXT}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}],
        [{"role": "user", "parts": [{"type": "text", "content": 5}]}],
        [{"role": "user", "parts": ["text"]}],
        [{"role": "user"}],
        ["text"],
    ],
)
def test_what_is_more_than_one_text_stays_as_it_is(given):
    assert asked_as(case(given), {"orders": "text"}).input == given


@pytest.mark.parametrize(
    "others",
    [
        [],
        [case("Where?", "a"), case(PARTS, "b")],
        [case("Where?", "a", task_type="returns")],
        [case({"n": 1}, "a")],
        [case([], "a")],
    ],
)
def test_where_the_others_have_no_one_form_nothing_is_changed(others):
    assert asked_as(case(CONTENT), forms_of(others)).input == CONTENT
