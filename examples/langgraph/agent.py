# SPDX-License-Identifier: Apache-2.0
"""An agent in LangGraph: a graph of a model and its tools, instrumented by OpenInference."""

from __future__ import annotations

import sys

from langchain_core.messages import SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient
from openinference.instrumentation.langchain import LangChainInstrumentor
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
LangChainInstrumentor().instrument(tracer_provider=provider)


@tool
def find_order(order: str) -> str:
    """Look up where an order is."""
    return ORDERS.get(order, "no such order")


def send_trace(request):
    inject(request.headers)


async def send_trace_async(request):
    inject(request.headers)


model = ChatOpenAI(
    model=MODEL,
    http_client=DefaultHttpxClient(event_hooks={"request": [send_trace]}),
    http_async_client=DefaultAsyncHttpxClient(event_hooks={"request": [send_trace_async]}),
)


def call_model(state: MessagesState) -> dict[str, list]:
    asked = [SystemMessage("You say where an order is."), *state["messages"]]
    return {"messages": [model.bind_tools([find_order]).invoke(asked)]}


graph = StateGraph(MessagesState)
graph.add_node("model", call_model)
graph.add_node("tools", ToolNode([find_order]))
graph.add_edge(START, "model")
graph.add_conditional_edges("model", tools_condition)
graph.add_edge("tools", "model")
agent = graph.compile(name="orders-langgraph")

if __name__ == "__main__":
    for question in sys.argv[1:] or QUESTIONS:
        answer = agent.invoke({"messages": [("user", question)]})
        print(answer["messages"][-1].content)
    provider.shutdown()
