# SPDX-License-Identifier: Apache-2.0
"""The loop of the demo's agent: ask the model, run the tools it calls, until it answers; each call in a span.

Written out on the wire of the OpenAI protocol. A framework's client costs twenty times the processor time for each call,
and the demo makes thousands; agents in frameworks stand under `examples/`.
"""

from __future__ import annotations

import http.client
import json
import os
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind
from pydantic import BaseModel

from pilothouse.demo.agent_tools import AGENT_NAME, TOOLS, Desk, call_tool

__all__ = ["ModelClient", "Routing", "route_mail", "said"]

MODEL = "acme-large-2026-04-12"
CALLS_PER_TASK_MAX = 10
TIMEOUT_S = 30.0


class Routing(BaseModel):
    """What the agent says it did with one document."""

    document: str
    status: Literal["routed", "escalated"]
    task_type: Literal["po_invoice", "non_po_invoice", "credit_note"] | None
    queue: str
    po_number: str
    confidence: float


class ModelClient:
    """One connection to the model's provider.

    Args:
        base_url: Address with its path, as `OPENAI_BASE_URL` has it.
        key: Key of the provider or of a gateway, as `OPENAI_API_KEY` has it.
    """

    def __init__(self, base_url: str, key: str) -> None:
        self._key = key
        parts = urlsplit(base_url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self._path = f"{parts.path}/chat/completions"
        self._connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)

    @classmethod
    def of_environment(cls) -> Self:
        """Return a client as the environment wants it."""
        return cls(os.environ["OPENAI_BASE_URL"], os.environ.get("OPENAI_API_KEY", ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the provider's answer.

        Args:
            messages: The conversation.

        Raises:
            ConnectionError: The provider answered with an error.
        """
        body = json.dumps({"model": MODEL, "messages": messages, "tools": TOOLS, "response_format": _ANSWER})
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        inject(headers)  # which task it is, as W3C trace context: whoever records the call knows whose it is
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        text = response.read()
        if response.status != http.client.OK:
            raise ConnectionError(f"the model answered {response.status}")
        answer: dict[str, Any] = json.loads(text)
        return answer


_ANSWER = {
    "type": "json_schema",
    "json_schema": {"name": "Routing", "schema": Routing.model_json_schema(), "strict": True},
}


def route_mail(client: ModelClient, instructions: str, text: str, desk: Desk) -> Routing:
    """Route one mail.

    Args:
        client: The model.
        instructions: System prompt.
        text: The mail.
        desk: What the tools work with.

    Raises:
        ConnectionError: The provider answered with an error, or the model never comes to an end.
        ValueError: The answer is not what was asked for.
    """
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT_NAME,
        "gen_ai.input.messages": json.dumps([said("user", text)]),
    }
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": instructions},
        {"role": "user", "content": text},
    ]
    with desk.tracer.start_as_current_span(f"invoke_agent {AGENT_NAME}", attributes=attributes) as span:
        for _ in range(CALLS_PER_TASK_MAX):
            reply = _ask(client, messages, desk)
            messages.append(reply)
            if not reply.get("tool_calls"):
                answer = reply.get("content") or ""
                span.set_attribute("gen_ai.output.messages", json.dumps([said("assistant", answer)]))
                return Routing.model_validate_json(answer)
            for call in reply["tool_calls"]:
                asked = call["function"]
                result = call_tool(desk, asked["name"], asked["arguments"], call["id"])
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    raise ConnectionError(f"no answer within {CALLS_PER_TASK_MAX} calls")


def _ask(client: ModelClient, messages: list[dict[str, Any]], desk: Desk) -> dict[str, Any]:
    """Ask the model once, in the span of a model call; return its message."""
    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": AGENT_NAME,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "server.address": client.host,
        "server.port": client.port,
    }
    with desk.tracer.start_as_current_span(
        f"chat {MODEL}", kind=SpanKind.CLIENT, attributes=attributes
    ) as span:
        answer = client.ask(messages)
        message: dict[str, Any] = answer["choices"][0]["message"]
        if span.is_recording():
            _tell(span, messages, answer)
        return message


def _tell(span: Span, messages: list[dict[str, Any]], answer: dict[str, Any]) -> None:
    """Write on a span what was said and what it cost."""
    choice, usage = answer["choices"][0], answer["usage"]
    span.set_attributes(
        {
            "gen_ai.response.model": answer["model"],
            "gen_ai.response.finish_reasons": [choice["finish_reason"]],
            "gen_ai.input.messages": json.dumps([_parts(one) for one in messages if one["role"] != "system"]),
            "gen_ai.output.messages": json.dumps([_parts(choice["message"])]),
            "gen_ai.usage.input_tokens": usage["prompt_tokens"],
            "gen_ai.usage.output_tokens": usage["completion_tokens"],
            "gen_ai.usage.cache_read.input_tokens": usage["prompt_tokens_details"]["cached_tokens"],
            "gen_ai.usage.reasoning.output_tokens": usage["completion_tokens_details"]["reasoning_tokens"],
        }
    )


def said(role: str, text: str) -> dict[str, Any]:
    """Return a message of one text as the semantic conventions write it.

    Args:
        role: Who says it.
        text: What.
    """
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _parts(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the protocol as the semantic conventions write it."""
    if message["role"] == "tool":
        part = {"type": "tool_call_response", "id": message["tool_call_id"], "result": message["content"]}
        return {"role": "tool", "parts": [part]}
    if not message.get("tool_calls"):
        return said(message["role"], message.get("content") or "")
    return {
        "role": message["role"],
        "parts": [
            {
                "type": "tool_call",
                "id": call["id"],
                "name": call["function"]["name"],
                "arguments": call["function"]["arguments"],
            }
            for call in message["tool_calls"]
        ],
    }
