# SPDX-License-Identifier: Apache-2.0
"""What an answer used is counted once, at its own price; what its tokens do not say is not taken for free."""

from __future__ import annotations

import json

import pytest
from late_module import LateModule

from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.gateway.caller import BODY_BYTES_MAX
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.usage import ITERATIONS_MAX, has_fees, is_absurd, read_usage
from pilothouse.runtime.gateway.wire import Answer, read_answer, read_event

completions = LateModule("openai.types.completion_usage")
responses = LateModule("openai.types.responses.response_usage")


def iteration(kind, **more):
    return {
        "type": kind,
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
        **more,
    }


MESSAGE = {
    "input_tokens": 10,
    "output_tokens": 5,
    "cache_read_input_tokens": 1,
    "cache_creation_input_tokens": 2,
}
PLAIN = TokenCount(input=10, cache_read=1, cache_creation=2, output=5)


@pytest.mark.parametrize("named", [True, False], ids=["completions", "responses"])
def test_what_openai_writes_into_its_cache_has_a_price_of_its_own(named):
    details = completions.PromptTokensDetails if named else responses.InputTokensDetails
    said = details(cached_tokens=60, cache_write_tokens=30).model_dump(exclude_none=True)
    fed, made = ("prompt", "completion") if named else ("input", "output")
    usage = {f"{fed}_tokens": 100, f"{made}_tokens": 7, f"{fed}_tokens_details": said}
    assert read_usage(usage) == TokenCount(input=10, cache_read=60, cache_creation=30, output=7)


@pytest.mark.parametrize(("written", "input_tokens", "creation"), [(40, 0, 40), (70, 0, 40), (0, 40, 0)])
def test_no_token_is_counted_twice(written, input_tokens, creation):
    details = {"cached_tokens": 60, "cache_write_tokens": written}
    used = read_usage({"input_tokens": 100, "output_tokens": 7, "input_tokens_details": details})
    assert used == TokenCount(input=input_tokens, cache_read=60, cache_creation=creation, output=7)


@pytest.mark.parametrize("absurd", [-1, "30", 2**40, BODY_BYTES_MAX, 1.5, 1e30, True])
def test_an_absurd_count_leaves_the_usage_unknown_and_is_said(absurd):
    details = {"cached_tokens": 0, "cache_write_tokens": absurd}
    for usage in (
        {"input_tokens": 100, "output_tokens": 7, "input_tokens_details": details},
        {"input_tokens": absurd, "output_tokens": 7},
        {"prompt_tokens": 100, "completion_tokens": absurd},
    ):
        assert (read_usage(usage), is_absurd(usage)) == (None, True)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"input_tokens": None, "output_tokens": 7},
        {"input_tokens": 100, "output_tokens": 7},
        {"prompt_tokens": 9, "completion_tokens": 4, "completion_tokens_details": {"audio_tokens": 3}},
        {**MESSAGE, "iterations": [{"type": "advisor_message", "input_tokens": 1, "output_tokens": 1}]},
    ],
)
def test_a_usage_that_is_missing_or_has_no_price_is_not_absurd(usage):
    assert not is_absurd(usage)


def test_what_shortened_a_conversation_is_no_part_of_the_count_and_is_added():
    usage = {**MESSAGE, "iterations": [iteration("compaction"), iteration("message")]}
    whole = TokenCount(input=110, cache_read=4, cache_creation=6, output=25)
    assert (read_usage(usage), has_fees(usage)) == (whole, False)
    said = Answer()
    started = {"type": "message_start", "message": {"usage": MESSAGE}}
    ended = {"type": "message_delta", "usage": {"output_tokens": 5, "iterations": usage["iterations"]}}
    for event in (started, ended):
        read_event(json.dumps(event).encode(), Operation.MESSAGES, said)
    assert said.usage == whole


@pytest.mark.parametrize(
    "iterations",
    [
        [iteration("advisor_message", model="dear-2026-01-01")],
        [iteration("fallback_message", model="dear-2026-01-01")],
        [iteration("compaction", input_tokens=-1)],
        [iteration("of_next_year")],
        ["compaction"],
        [iteration("message")] * (ITERATIONS_MAX + 1),
    ],
)
def test_what_another_model_used_makes_the_usage_unknown_and_is_not_free(iterations):
    usage = {**MESSAGE, "iterations": iterations}
    assert (read_usage(usage), has_fees(usage)) == (None, True)


@pytest.mark.parametrize(
    ("usage", "is_charged"),
    [
        ({**MESSAGE, "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0}}, True),
        ({**MESSAGE, "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 9}}, False),
        ({**MESSAGE, "server_tool_use": {"of_next_year_requests": 1}}, True),
        ({**MESSAGE, "server_tool_use": None, "iterations": None}, False),
        (MESSAGE, False),
    ],
)
def test_a_search_of_the_provider_costs_more_than_its_tokens(usage, is_charged):
    said = read_answer(json.dumps({"model": "m", "usage": usage}).encode())
    assert (said.usage, said.has_fees) == (PLAIN, is_charged)


@pytest.mark.parametrize(
    ("tool_usage", "is_charged"),
    [
        (
            {"web_search": {"num_requests": 2}, "image_gen": {"input_tokens": 0, "input_tokens_details": {}}},
            True,
        ),
        (
            {"web_search": {"num_requests": 0}, "image_gen": {"output_tokens_details": {"image_tokens": 7}}},
            True,
        ),
        ({"web_search": {"num_requests": 0}, "image_gen": {"total_tokens": 0}}, False),
        (None, False),
        ("2", False),
    ],
)
def test_openai_says_its_searches_and_pictures_beside_the_usage(tool_usage, is_charged):
    response = {"usage": {"input_tokens": 1, "output_tokens": 1}, "tool_usage": tool_usage}
    assert read_answer(json.dumps(response).encode()).has_fees is is_charged
    said = Answer()
    read_event(
        json.dumps({"type": "response.completed", "response": response}).encode(), Operation.RESPONSES, said
    )
    assert said.has_fees is is_charged


@pytest.mark.parametrize("side", ["prompt", "completion"])
@pytest.mark.parametrize(("heard", "is_known"), [(40, False), (0, True), (None, True)])
def test_tokens_of_sound_have_no_price_among_those_of_text(side, heard, is_known):
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        f"{side}_tokens_details": {"audio_tokens": heard, "text_tokens": 10},
    }
    said = read_answer(json.dumps({"model": "m", "usage": usage}).encode())
    assert (said.usage is not None, said.has_fees) == (is_known, not is_known)
    streamed = Answer()
    read_event(json.dumps({"choices": [], "usage": usage}).encode(), Operation.CHAT, streamed)
    assert (streamed.usage is not None, streamed.has_fees) == (is_known, not is_known)
