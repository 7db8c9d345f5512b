# SPDX-License-Identifier: Apache-2.0
"""A recorded run of a plain agent that needs no framework, and the agent's code, for tests of replay."""

from __future__ import annotations

import json

from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse, RunOpened

RUN = "5e" * 16
ROUTE = "/v1/chat/completions"
MODEL = "m-2026-01-01"
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "description": "Find an order.", "parameters": {}},
}

AGENT = """
import json, os, sys, urllib.request

def ask(messages):
    body = json.dumps({"model": "m-2026-01-01", "temperature": 0, "messages": messages, "tools": TOOLS}).encode()
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers)) as answer:
        return json.load(answer)["choices"][0]["message"]

TOOLS = [{"type": "function", "function": {"name": "look_up", "description": "Find an order.", "parameters": {}}}]

def look_up(order):
    __EXTRA__
    return f"order {order} is in Lyon"

messages = [{"role": "system", "content": "Look up, then answer."}, {"role": "user", "content": "Where is 7?"}]
while True:
    message = ask(messages)
    messages.append(message)
    if not message.get("tool_calls"):
        break
    for call in message["tool_calls"]:
        result = look_up(**json.loads(call["function"]["arguments"]))
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
print(message["content"])
"""


def agent_code(extra: str = "pass") -> str:
    """Return the agent's code, its tool doing something more."""
    return AGENT.replace("__EXTRA__", extra)


def answer(message: dict) -> bytes:
    """Return a chat answer."""
    return json.dumps(
        {"id": "chatcmpl-1", "choices": [{"index": 0, "message": message}], "model": MODEL}
    ).encode()


def conversation(calls: int = 2, order: str = "7") -> list[tuple[dict, bytes]]:
    """Return requests and answers: `calls - 1` look-ups, then the final answer."""
    messages = [
        {"role": "system", "content": "Look up, then answer."},
        {"role": "user", "content": f"Where is {order}?"},
    ]
    pairs = []
    for number in range(calls):
        asked = {"model": MODEL, "temperature": 0, "messages": list(messages), "tools": [TOOL]}
        if number == calls - 1:
            message = {"role": "assistant", "content": "It is in Lyon."}
        else:
            args = json.dumps({"order": order if number == 0 else f"{order}.{number}"})
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": f"call_{order}_{number}",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": args},
                    }
                ],
            }
        pairs.append((asked, answer(message)))
        messages.append(message)
        if number < calls - 1:
            result = f"order {json.loads(args)['order']} is in Lyon"
            messages.append({"role": "tool", "tool_call_id": f"call_{order}_{number}", "content": result})
    return pairs


def record(
    log,
    pairs=None,
    run: str = RUN,
    agent: str = "orders",
    *,
    model: str | None = None,
    version: str | None = None,
) -> None:
    """Write a conversation into a run log."""
    log.append(run, RunOpened(agent=agent, version=version))
    for number, (asked, answered) in enumerate(pairs or conversation()):
        log.append(run, ModelRequest(route=ROUTE, body=json.dumps(asked).encode()), call=str(number))
        headers = {"content-type": "application/json"}
        response = ModelResponse(status=200, body=answered, headers=headers, model=model)
        log.append(run, response, call=str(number))
    log.flush()
