# SPDX-License-Identifier: Apache-2.0
"""An agent in pydantic-ai, with the instrumentation that pydantic-ai ships."""

from __future__ import annotations

import sys

from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

MODEL = "stub-large-2026-01-15"
ORDERS = {"A-1234": "shipped on Monday", "A-2042": "waiting for stock", "A-3310": "delivered"}
QUESTIONS = ["Where is order A-1234?", "Is A-2042 on its way?", "Has A-3310 arrived?"]

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
Agent.instrument_all()


async def send_trace(request):
    """Behind a gateway a task and its recorded run then have one id."""
    inject(request.headers)


hooks = {"request": [send_trace]}
client = AsyncOpenAI(http_client=DefaultAsyncHttpxClient(event_hooks=hooks))
model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))
agent = Agent(model, name="orders-pydantic-ai", instructions="You say where an order is.")


@agent.tool_plain
def find_order(order: str) -> str:
    """Look up where an order is."""
    return ORDERS.get(order, "no such order")


if __name__ == "__main__":
    for question in sys.argv[1:] or QUESTIONS:
        print(agent.run_sync(question).output)
    provider.shutdown()
