# SPDX-License-Identifier: Apache-2.0
"""The spans of the benchmark: requests of 512 = 32 traces of one agent run, eight model calls and seven tools."""

from __future__ import annotations

import json
import os
import re
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

TRACES = 32
SPANS_PER_TRACE = 16
SPANS = TRACES * SPANS_PER_TRACE
QUESTION = "Is invoice 2026-00417 of supplier 88 payable, given order 5512 and its two deliveries? " * 2
ANSWER = "The quantities agree with the deliveries and the price with the order, so the invoice can be paid. "


def pairs(attributes: dict[str, object]) -> list[KeyValue]:
    made = []
    for key, value in attributes.items():
        if isinstance(value, str):
            one = AnyValue(string_value=value)
        elif isinstance(value, int):
            one = AnyValue(int_value=value)
        else:
            one = AnyValue(double_value=value)
        made.append(KeyValue(key=key, value=one))
    return made


def said(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


AGENT = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "invoice-triage",
    "gen_ai.agent.id": "triage-1",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.conversation.id": "c-0001",
    "pilothouse.task.type": "po_invoice",
    "pilothouse.task.result": "completed",
    "pilothouse.version": "d" * 64,
    "gen_ai.usage.input_tokens": 8_000,
    "gen_ai.usage.output_tokens": 800,
    "gen_ai.input.messages": said("user", QUESTION),
    "gen_ai.output.messages": said("assistant", ANSWER),
}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.agent.name": "invoice-triage",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x-2026-06",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.max_tokens": 800,
    "gen_ai.response.finish_reasons": '["stop"]',
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 100,
    "gen_ai.usage.cache_read.input_tokens": 300,
    "server.address": "127.0.0.1",
    "server.port": 8_080,
    "gen_ai.input.messages": said("user", QUESTION),
    "gen_ai.output.messages": said("assistant", ANSWER),
}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "find_order",
    "gen_ai.tool.type": "function",
    "gen_ai.agent.name": "invoice-triage",
    "gen_ai.conversation.id": "c-0001",
    "gen_ai.tool.call.id": "call-1",
    "gen_ai.tool.call.arguments": '{"order": 5512, "lines": true}',
    "gen_ai.tool.call.result": '{"order": 5512, "lines": [{"sku": "A-1", "ordered": 5, "delivered": 5}]}',
}


SAID = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.tool.call.id",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.conversation.id",
    }
)
"""What differs from call to call in real traffic."""


def renewed(attributes: list[KeyValue]) -> list[KeyValue]:
    """The same attributes with other texts and token counts."""
    made = []
    for pair in attributes:
        one = KeyValue()
        one.CopyFrom(pair)
        if pair.key in SAID:
            mark = os.urandom(6).hex()
            one.value.string_value = pair.value.string_value.replace("5512", mark).replace(
                "order", f"order {mark}"
            )
            if pair.key.endswith(".id"):
                one.value.string_value = mark
        elif pair.key.startswith("gen_ai.usage."):
            one.value.int_value = pair.value.int_value + os.urandom(1)[0]
        made.append(one)
    return made


def build_request(*, fresh: bool = False) -> bytes:
    """One request with fresh ids and times of now; with `fresh` every prompt, answer and tool call is another text."""
    request = ExportTraceServiceRequest()
    sender = request.resource_spans.add()
    sender.resource.attributes.extend(
        pairs({"service.name": "invoice-triage", "deployment.environment.name": "production"})
    )
    scope = sender.scope_spans.add()
    scope.scope.name = "benchmark"
    kinds = [("chat gpt-x", pairs(CHAT)), ("execute_tool find_order", pairs(TOOL))]
    agent = pairs(AGENT)
    for _ in range(TRACES):
        trace_id, root_id = os.urandom(16), os.urandom(8)
        start = time.time_ns()
        for number in range(SPANS_PER_TRACE):
            span = scope.spans.add()
            span.trace_id = trace_id
            span.kind = 1
            is_root = number == SPANS_PER_TRACE - 1
            if is_root:
                span.span_id = root_id
                span.name, attributes = "invoke_agent invoice-triage", agent
            else:
                span.span_id, span.parent_span_id = os.urandom(8), root_id
                span.name, attributes = kinds[number % 2]
            if fresh:
                attributes = renewed(attributes)
            span.start_time_unix_nano = start + number * 10_000_000
            span.end_time_unix_nano = start + (200 if is_root else number * 10 + 9) * 1_000_000
            span.attributes.extend(attributes)
            if number % 2 == 0 and not is_root:
                span.attributes.extend(pairs({"gen_ai.response.id": os.urandom(12).hex()}))
            elif not is_root and os.urandom(1)[0] < 13:
                span.status.code = 2
                event = span.events.add()
                event.name = "exception"
                event.time_unix_nano = start
                event.attributes.extend(
                    pairs({"exception.type": "TimeoutError", "exception.message": "no answer"})
                )
    return request.SerializeToString()


class Renewable:
    """One request whose trace ids can be replaced in place, so that a sender never repeats a trace.

    Args:
        body: A request of `build_request`.
    """

    def __init__(self, body: bytes) -> None:
        self._body = bytearray(body)
        self._places: dict[bytes, list[int]] = {}
        for found in re.finditer(rb"\x0a\x10(.{16})\x12\x08", body, re.DOTALL):
            self._places.setdefault(found[1], []).append(found.start(1))
        if sum(map(len, self._places.values())) != SPANS:
            raise ValueError("an id looks like the start of a span; make another request")

    def fresh(self) -> tuple[bytes, str]:
        """The request with new trace ids, and the last of them."""
        made = b""
        for places in self._places.values():
            made = os.urandom(16)
            for place in places:
                self._body[place : place + 16] = made
        return bytes(self._body), made.hex()
