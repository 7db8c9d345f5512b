# SPDX-License-Identifier: Apache-2.0
"""What a reviewer is asked about, and what a case is made of, is question and answer and not the framework's record of both."""

from __future__ import annotations

import json

import pytest

from pilothouse.workflows.review.spoken import as_answered, as_asked

ASKED = {"role": "user", "parts": [{"type": "text", "content": "Which queue?"}]}
CALL = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "find", "arguments": "{}"}]}
FOUND = {
    "role": "user",
    "parts": [{"type": "tool_call_response", "id": "c", "name": "find", "result": "T-1: please"}],
}
ANSWER = {"role": "assistant", "parts": [{"type": "text", "content": '{"queue": "billing"}'}]}
OPENAI = [{"content": "yes", "contents": [{"text": "yes", "type": "text"}], "role": "assistant"}]


def test_the_question_of_a_task_does_not_hold_its_answer():
    """pydantic-ai writes all messages of a run into one attribute: cases asked the question with the answer behind it."""
    assert json.loads(as_asked(json.dumps([ASKED, CALL, FOUND, ANSWER]))) == [ASKED]
    earlier = [ASKED, ANSWER, ASKED]
    assert as_asked(json.dumps(earlier)) == json.dumps(earlier), "turns before the last question belong to it"


def test_the_answer_of_a_task_is_its_words():
    assert as_answered(json.dumps(OPENAI)) == "yes"
    assert as_answered(json.dumps([ASKED, CALL, FOUND, ANSWER])) == '{"queue": "billing"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "[",
        "[1]",
        '["a"]',
        '[{"queue": "a"}]',
        "[" * 100_000,
        '[{"role": "tool", "content": 5}]',
        '{"a": 1}',
    ],
)
def test_what_is_no_list_of_messages_stays_as_it_is(text):
    assert as_asked(text) == as_answered(text) == text
