# SPDX-License-Identifier: Apache-2.0
"""OTLP bodies for tests: one run of an agent, written in each convention and in each encoding."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

START_NS = 1_795_250_000_000_000_000
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
CONVENTIONS = ("otel", "otel_1_36", "openinference")


def any_value(value: object) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    made = AnyValue()
    if isinstance(value, dict):
        made.kvlist_value.values.extend(
            KeyValue(key=key, value=any_value(below)) for key, below in value.items()
        )
        if not value:
            made.kvlist_value.SetInParent()
    elif isinstance(value, (list, tuple)):
        made.array_value.values.extend(any_value(below) for below in value)
        if not value:
            made.array_value.SetInParent()
    return made


def pairs(attributes: dict[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def request(
    spans: Iterable[dict], resource: dict[str, object] | None = None, *, instrument: str = "tests"
) -> ExportTraceServiceRequest:
    """Spans are dicts of trace_id, span_id, parent_span_id (bytes), name, start, end, attributes, status, events."""
    made = ExportTraceServiceRequest()
    sender = made.resource_spans.add()
    sender.resource.attributes.extend(pairs(resource if resource is not None else {"service.name": "tests"}))
    scope = sender.scope_spans.add()
    scope.scope.name = instrument
    scope.scope.version = "1"
    for given in spans:
        span = scope.spans.add()
        span.trace_id = given.get("trace_id", bytes([7] * 16))
        span.span_id = given.get("span_id", bytes([9] * 8))
        span.parent_span_id = given.get("parent_span_id", b"")
        span.name = given.get("name", "work")
        span.start_time_unix_nano = given.get("start", START_NS)
        span.end_time_unix_nano = given.get("end", START_NS + 1_000_000)
        span.attributes.extend(pairs(given.get("attributes", {})))
        span.status.code = given.get("status", 0)
        span.status.message = given.get("message", "")
        for name, attributes in given.get("events", ()):
            event = span.events.add()
            event.name = name
            event.time_unix_nano = START_NS
            event.attributes.extend(pairs(attributes))
    return made


def to_json(message: ExportTraceServiceRequest) -> bytes:
    """OTLP/JSON: ids are hex, which protobuf's own JSON writes as base64."""

    def walk(node: object) -> object:
        if isinstance(node, dict):
            return {
                key: base64.b64decode(value).hex()
                if key in ("traceId", "spanId", "parentSpanId") and isinstance(value, str)
                else walk(value)
                for key, value in node.items()
            }
        return [walk(item) for item in node] if isinstance(node, list) else node

    return json.dumps(walk(MessageToDict(message, use_integers_for_enums=True))).encode()


def messages(texts: Sequence[tuple[str, str]], *, parts: bool) -> str:
    if parts:
        said = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in texts]
    else:
        said = [{"role": role, "content": text} for role, text in texts]
    return json.dumps(said)


def flat(prefix: str, texts: Sequence[tuple[str, str]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for number, (role, text) in enumerate(texts):
        made[f"{prefix}.{number}.message.role"] = role
        made[f"{prefix}.{number}.message.content"] = text
    return made


def agent_attributes(convention: str, *, task: dict[str, object] | None = None) -> dict[str, object]:
    own = task or {}
    asked, told = [("user", "Is invoice 17 payable?")], [("assistant", "Yes, pay 120 EUR.")]
    if convention == "openinference":
        return {
            "openinference.span.kind": "AGENT",
            "agent.name": "triage",
            "session.id": "c-1",
            "user.id": "u-1",
            **flat("llm.input_messages", asked),
            **flat("llm.output_messages", told),
            **own,
        }
    latest = convention == "otel"
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "triage",
        "gen_ai.conversation.id": "c-1",
        "user.id": "u-1",
        ("gen_ai.input.messages" if latest else "gen_ai.prompt"): messages(asked, parts=latest),
        ("gen_ai.output.messages" if latest else "gen_ai.completion"): messages(told, parts=latest),
        **own,
    }


def chat_attributes(
    convention: str, *, tokens: tuple[int, int, int, int, int], response_id: str
) -> dict[str, object]:
    """Tokens: input total, cache read, cache creation, output total, reasoning."""
    total_in, read, written, total_out, thought = tokens
    asked, told = [("user", "Is invoice 17 payable?")], [("assistant", "I look it up.")]
    if convention == "openinference":
        return {
            "openinference.span.kind": "LLM",
            "llm.provider": "openai",
            "llm.model_name": "gpt-x",
            "llm.response.model_name": "gpt-x-2026",
            "llm.token_count.prompt": total_in,
            "llm.token_count.prompt_details.cache_read": read,
            "llm.token_count.prompt_details.cache_write": written,
            "llm.token_count.completion": total_out,
            "llm.token_count.completion_details.reasoning": thought,
            "agent.name": "triage",
            **flat("llm.input_messages", asked),
            **flat("llm.output_messages", told),
        }
    latest = convention == "otel"
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "triage",
        ("gen_ai.provider.name" if latest else "gen_ai.system"): "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.response.id": response_id,
        ("gen_ai.usage.input_tokens" if latest else "gen_ai.usage.prompt_tokens"): total_in,
        ("gen_ai.usage.output_tokens" if latest else "gen_ai.usage.completion_tokens"): total_out,
        ("gen_ai.usage.cache_read.input_tokens" if latest else "gen_ai.usage.cache_read_input_tokens"): read,
        (
            "gen_ai.usage.cache_creation.input_tokens"
            if latest
            else "gen_ai.usage.cache_creation_input_tokens"
        ): written,
        (
            "gen_ai.usage.reasoning.output_tokens" if latest else "gen_ai.usage.details.reasoning_tokens"
        ): thought,
        ("gen_ai.input.messages" if latest else "gen_ai.prompt"): messages(asked, parts=latest),
        ("gen_ai.output.messages" if latest else "gen_ai.completion"): messages(told, parts=latest),
    }


def tool_attributes(convention: str) -> dict[str, object]:
    if convention == "openinference":
        return {
            "openinference.span.kind": "TOOL",
            "tool.name": "lookup",
            "tool_call.id": "t-1",
            "agent.name": "triage",
            "input.value": '{"id": 17}',
            "output.value": '{"open": true}',
        }
    latest = convention == "otel"
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": "triage",
        "gen_ai.tool.name": "lookup",
        "gen_ai.tool.call.id": "t-1",
        ("gen_ai.tool.call.arguments" if latest else "tool_arguments"): '{"id": 17}',
        ("gen_ai.tool.call.result" if latest else "tool_response"): '{"open": true}',
    }


def run_spans(
    trace: int = 1,
    *,
    convention: str = "otel",
    task: dict[str, object] | None = None,
    start: int = START_NS,
    tool_status: int = 0,
) -> list[dict]:
    """One agent run: agent(chat, tool, chat), children first, as exporters send them."""
    trace_id = trace.to_bytes(16, "big")
    ids = [(trace * 16 + number).to_bytes(8, "big") for number in range(1, 5)]
    own = {
        "pilothouse.task.type": "po_invoice",
        "pilothouse.task.result": "completed",
        "pilothouse.task.claim": '{"invoice":17,"decision":"pay"}',
        "pilothouse.task.confidence": 0.9,
        "pilothouse.version": "d" * 64,
    }
    own.update(task or {})

    def span(  # noqa: PLR0917 - the columns of the little table below
        number: int, name: str, attributes: dict[str, object], begin: int, end: int, status: int = 0
    ) -> dict:
        return {
            "trace_id": trace_id,
            "span_id": ids[number],
            "parent_span_id": b"" if number == 0 else ids[0],
            "name": name,
            "start": start + begin * 1_000_000,
            "end": start + end * 1_000_000,
            "attributes": attributes,
            "status": status,
        }

    return [
        span(
            1,
            "chat gpt-x",
            chat_attributes(convention, tokens=(1_000, 300, 50, 120, 20), response_id=f"r1-{trace}"),
            1,
            40,
        ),
        span(2, "execute_tool lookup", tool_attributes(convention), 41, 60, tool_status),
        span(
            3,
            "chat gpt-x",
            chat_attributes(convention, tokens=(1_400, 900, 0, 80, 0), response_id=f"r2-{trace}"),
            61,
            90,
        ),
        span(0, "invoke_agent triage", agent_attributes(convention, task=own), 0, 100),
    ]
