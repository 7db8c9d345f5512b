# SPDX-License-Identifier: Apache-2.0
"""A step is what the client must do something about; everything else is an answer, and is looked at."""

from __future__ import annotations

import json

import pytest

from pilothouse.runtime.gateway.messages import final_answer, question_asked
from pilothouse.runtime.gateway.routes import Operation

SAID = {"type": "message", "content": [{"type": "output_text", "text": "It is in Lyon."}]}


def read(answer, operation):
    return final_answer(json.dumps(answer).encode(), operation)


@pytest.mark.parametrize(
    "kind",
    ["web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"],
)
def test_what_a_provider_has_looked_up_by_itself_makes_no_step_of_an_answer(kind):
    found = read({"status": "completed", "output": [{"type": kind, "id": "x"}, SAID]}, Operation.RESPONSES)
    assert (found.text, found.calls_tools, found.is_whole) == ("It is in Lyon.", False, True)


@pytest.mark.parametrize(
    "items",
    [
        [{"type": "shell_call", "call_id": "c1"}, {"type": "shell_call_output", "call_id": "c1"}],
        [{"type": "apply_patch_call", "call_id": "c1"}, {"type": "apply_patch_call_output", "call_id": "c1"}],
        [{"type": "tool_search_call", "execution": "server"}, {"type": "tool_search_output", "tools": []}],
    ],
)
def test_a_shell_that_its_provider_has_run_makes_no_step_of_an_answer(items):
    found = read({"status": "completed", "output": [*items, SAID]}, Operation.RESPONSES)
    assert (found.text, found.calls_tools, found.is_whole) == ("It is in Lyon.", False, True)


@pytest.mark.parametrize(
    "items",
    [
        [{"type": "shell_call", "call_id": "c2"}, {"type": "shell_call_output", "call_id": "c1"}],
        [{"type": "shell_call", "call_id": "c1"}, {"type": "function_call_output", "call_id": "c1"}],
        [{"type": "tool_search_call", "execution": "client"}],
        [{"type": "tool_search_call"}],
    ],
)
def test_a_shell_of_the_client_is_a_step(items):
    assert read({"status": "completed", "output": [*items, SAID]}, Operation.RESPONSES).calls_tools


@pytest.mark.parametrize(
    ("answer", "operation"),
    [
        ({"content": [{"type": "compaction"}], "stop_reason": "compaction"}, Operation.MESSAGES),
        ({"status": "completed", "output": [SAID, {"type": "function_call"}]}, Operation.RESPONSES),
        ({"status": "completed", "output": [{"type": "custom_tool_call"}]}, Operation.RESPONSES),
        ({"status": "completed", "output": [{"type": "computer_call"}]}, Operation.RESPONSES),
        ({"status": "completed", "output": [{"type": "mcp_approval_request"}]}, Operation.RESPONSES),
        ({"choices": [{"message": {"content": None, "function_call": {"name": "look"}}}]}, Operation.CHAT),
        ({"choices": [{"message": {"content": None, "tool_calls": [{"id": "c"}]}}]}, Operation.CHAT),
        ({"content": [{"type": "tool_use", "id": "c"}], "stop_reason": "tool_use"}, Operation.MESSAGES),
        ({"content": [{"type": "server_tool_use"}], "stop_reason": "pause_turn"}, Operation.MESSAGES),
    ],
)
def test_what_asks_the_client_for_something_is_a_step(answer, operation):
    assert read(answer, operation).calls_tools


def test_a_search_that_a_provider_made_is_no_step_of_a_message():
    blocks = [
        {"type": "server_tool_use"},
        {"type": "web_search_tool_result"},
        {"type": "text", "text": "Lyon."},
    ]
    found = read({"content": blocks, "stop_reason": "end_turn"}, Operation.MESSAGES)
    assert (found.text, found.calls_tools, found.is_whole) == ("Lyon.", False, True)


USER = {"role": "user", "content": [{"type": "text", "text": "Where is A-1?"}]}


@pytest.mark.parametrize(
    ("asked", "operation"),
    [
        ({"messages": [USER, {"role": "assistant"}, {"role": "tool", "content": "{}"}]}, Operation.CHAT),
        (
            {"messages": [USER, {"role": "user", "content": [{"type": "tool_result", "content": "{}"}]}]},
            Operation.MESSAGES,
        ),
        ({"input": [USER, {"type": "function_call_output", "output": "{}"}]}, Operation.RESPONSES),
        ({"input": "Where is A-1?"}, Operation.RESPONSES),
        ({"messages": [{"role": "tool", "content": "Where is A-1?"}]}, Operation.CHAT),
    ],
)
def test_a_reviewer_reads_what_was_asked_and_not_what_a_tool_returned(asked, operation):
    assert question_asked(json.dumps(asked).encode(), operation) == "Where is A-1?"
