# SPDX-License-Identifier: Apache-2.0
"""The stub model server behaves as a provider does, seen through the real OpenAI client."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from failing_model import FailingModel, Fault
from late_module import LateModule

from pilothouse.demo.model_script import Turn
from pilothouse.demo.model_server import ModelServer

openai = LateModule("openai")

TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Look up where an order is.",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
    },
}
ASKED = [
    {"role": "system", "content": "You say where an order is. " * 20},
    {"role": "user", "content": "Where is order A-1234?"},
]

pytestmark = pytest.mark.slow


@pytest.fixture
def server():
    with FailingModel() as running:
        yield running


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0, timeout=5) as running:
        yield running


def ask(client, **further):
    return client.chat.completions.create(model="m-2026-01-01", messages=ASKED, **further)


def test_a_tool_is_called_with_what_the_task_names(client):
    answer = ask(client, tools=[TOOL])
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("find_order", '{"order": "A-1234"}')
    assert answer.choices[0].finish_reason == "tool_calls"


def test_the_final_answer_quotes_the_tool(client):
    first = ask(client, tools=[TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "shipped on Monday"}
    messages = [*ASKED, first.model_dump(exclude_none=True), result]
    answer = client.chat.completions.create(model="m-2026-01-01", messages=messages, tools=[TOOL])
    assert "shipped on Monday" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


def test_usage_has_every_token_class(server, client):
    server.serve_as(None)
    usage = ask(client).usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens


def test_reasoning_counts_as_output():
    with ModelServer(lambda _: Turn(text="well", reasoning_tokens=50)) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="none")
        usage = ask(client).usage
    assert usage.completion_tokens_details.reasoning_tokens == 50
    assert usage.completion_tokens == 51


def test_the_same_question_gets_the_same_bytes(client):
    assert ask(client).model_dump_json() == ask(client).model_dump_json()


def test_another_model_may_answer_under_the_old_name(server, client):
    assert ask(client).model == "m-2026-01-01"
    server.serve_as("m-2026-09-09")
    assert ask(client).model == "m-2026-09-09"


def test_a_stream_carries_the_same_answer_and_usage_on_request(client):
    plain = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage == plain.usage


def test_a_stream_without_the_option_has_no_usage(client):
    assert all(chunk.usage is None for chunk in ask(client, stream=True))


def test_a_streamed_tool_call_is_whole(client):
    deltas = [c.choices[0].delta for c in ask(client, stream=True, tools=[TOOL])]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert calls[0].function.arguments == '{"order": "A-1234"}'


def test_the_responses_api_answers_the_same_question(client):
    tool = {"type": "function", "strict": False, **TOOL["function"]}
    asked = {"model": "m-2026-01-01", "input": "Where is order A-1234?", "tools": [tool]}
    call = client.responses.create(**asked).output[0]
    assert (call.type, call.arguments) == ("function_call", '{"order": "A-1234"}')
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "shipped"}
    history = [{"role": "user", "content": asked["input"]}, call.model_dump(exclude_none=True), result]
    answer = client.responses.create(**{**asked, "input": history})
    assert "shipped" in answer.output_text
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_a_streamed_response_ends_with_the_whole_response(client):
    events = list(client.responses.create(model="m", input="hello", stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == text == "You asked: hello"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RATE_LIMITED, lambda: openai.RateLimitError),
        (Fault.SERVER_ERROR, lambda: openai.InternalServerError),
        (Fault.CUT_OFF, lambda: ValueError),
    ],
)
def test_it_fails_as_told_and_then_works_again(server, client, fault, error):
    server.fail_next(fault)
    with pytest.raises(error()):
        ask(client)
    assert ask(client).choices[0].message.content


def test_a_timeout_is_longer_than_the_client_waits(server, client):
    server.fail_next(Fault.TIMEOUT)
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.2))


def test_a_retrying_client_gets_through_a_rate_limit(server, client):
    server.fail_next(Fault.RATE_LIMITED, times=2)
    assert ask(client.with_options(max_retries=2)).choices[0].message.content
    assert server.calls == 3


def test_an_unreadable_request_is_the_callers_fault(client):
    with pytest.raises(openai.BadRequestError, match="no messages"):
        client.chat.completions.create(model="m", messages=[])


def test_an_endless_conversation_is_refused(client):
    with pytest.raises(openai.BadRequestError, match="at most 400"):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "again"}] * 401)


def test_it_can_be_started_alone_and_prints_its_base_url():
    command = [sys.executable, "-m", "pilothouse.demo.model_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        base_url = process.stdout.readline().strip()
        with openai.OpenAI(base_url=base_url, api_key="none") as client:
            assert ask(client).choices[0].message.content.startswith("You asked: Where is order")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
