# SPDX-License-Identifier: Apache-2.0
"""An agent in the OpenAI Agents SDK, instrumented by OpenInference; it calls the responses API."""

from __future__ import annotations

import sys

from agents import Agent, Runner, function_tool, set_default_openai_client
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

MODEL = "stub-large-2026-01-15"
ORDERS = {"A-1234": "shipped on Monday", "A-2042": "waiting for stock", "A-3310": "delivered"}
QUESTIONS = ["Where is order A-1234?", "Is A-2042 on its way?", "Has A-3310 arrived?"]

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)


async def send_trace(request):
    """Behind a gateway a task and its recorded run then have one id."""
    inject(request.headers)


hooks = {"request": [send_trace]}
set_default_openai_client(AsyncOpenAI(http_client=DefaultAsyncHttpxClient(event_hooks=hooks)))


@function_tool
def find_order(order: str) -> str:
    """Look up where an order is."""
    return ORDERS.get(order, "no such order")


agent = Agent(
    name="orders-openai-agents", model=MODEL, instructions="You say where an order is.", tools=[find_order]
)

if __name__ == "__main__":
    for question in sys.argv[1:] or QUESTIONS:
        print(Runner.run_sync(agent, question).final_output)
    provider.shutdown()
