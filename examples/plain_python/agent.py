# SPDX-License-Identifier: Apache-2.0
"""An agent without a framework: a loop around an OpenAI client, with OpenTelemetry spans for the agent and its tool."""

from __future__ import annotations

import json
import sys

from openai import DefaultHttpxClient, OpenAI
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

MODEL = "stub-large-2026-01-15"
ORDERS = {"A-1234": "shipped on Monday", "A-2042": "waiting for stock", "A-3310": "delivered"}
QUESTIONS = ["Where is order A-1234?", "Is A-2042 on its way?", "Has A-3310 arrived?"]
TURNS_MAX = 8

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument(tracer_provider=provider)
tracer = trace.get_tracer("orders")

FIND_ORDER = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Look up where an order is.",
        "parameters": {
            "type": "object",
            "properties": {"order": {"type": "string"}},
            "required": ["order"],
            "additionalProperties": False,
        },
    },
}


def find_order(order: str) -> str:
    with tracer.start_as_current_span("execute_tool find_order") as span:
        span.set_attribute("gen_ai.operation.name", "execute_tool")
        span.set_attribute("gen_ai.tool.name", "find_order")
        span.set_attribute("gen_ai.tool.call.arguments", json.dumps({"order": order}))
        found = ORDERS.get(order, "no such order")
        span.set_attribute("gen_ai.tool.call.result", json.dumps({"status": found}))
        return found


def send_trace(request):
    inject(request.headers)


client = OpenAI(http_client=DefaultHttpxClient(event_hooks={"request": [send_trace]}))


def answer(question: str) -> str:
    with tracer.start_as_current_span("invoke_agent orders-plain") as span:
        span.set_attribute("gen_ai.operation.name", "invoke_agent")
        span.set_attribute("gen_ai.agent.name", "orders-plain")
        asked = [{"role": "user", "parts": [{"type": "text", "content": question}]}]
        span.set_attribute("gen_ai.input.messages", json.dumps(asked))
        messages = [
            {"role": "system", "content": "You say where an order is."},
            {"role": "user", "content": question},
        ]
        for _ in range(TURNS_MAX):
            reply = (
                client.chat.completions.create(model=MODEL, messages=messages, tools=[FIND_ORDER])
                .choices[0]
                .message
            )
            messages.append(reply.model_dump(exclude_none=True))
            if not reply.tool_calls:
                said = [{"role": "assistant", "parts": [{"type": "text", "content": reply.content}]}]
                span.set_attribute("gen_ai.output.messages", json.dumps(said))
                return reply.content or ""
            for call in reply.tool_calls:
                found = find_order(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
        raise RuntimeError(f"no answer within {TURNS_MAX} turns")


if __name__ == "__main__":
    for line in sys.argv[1:] or QUESTIONS:
        print(answer(line))
    provider.shutdown()
