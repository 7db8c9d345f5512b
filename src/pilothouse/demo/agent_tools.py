# SPDX-License-Identifier: Apache-2.0
"""The tools of the demo's agent, each in a span of its own: the ERP's purchase orders and queues, and a rate service."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from pilothouse.demo.erp import Erp

__all__ = ["AGENT_NAME", "TOOLS", "Desk", "call_tool"]

AGENT_NAME = "ap-invoice-triage"
ERP_HOST = "erp.harbour.example"
RATES_HOST = "fx-rates.example"

UNTOLD = trace.NoOpTracer()
"""Where nobody listens: a trial of the release gate is told by the gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the tools work with: the ERP, the time of the mail, the address of the rate service, the tracer."""

    erp: Erp
    now_ns: int
    rates_proxy: str
    tracer: trace.Tracer = UNTOLD


def _name_the_erp() -> None:
    """Say on the tool's span whom it talks to, as client instrumentations do."""
    trace.get_current_span().set_attributes({"server.address": ERP_HOST, "server.port": 443})


def _find_po(desk: Desk, po_number: str) -> str:
    _name_the_erp()
    order = desk.erp.find_order(po_number)
    return json.dumps(asdict(order)) if order else "not found"


def _search_po(desk: Desk, supplier: str) -> str:
    _name_the_erp()
    return json.dumps([asdict(order) for order in desk.erp.search_orders(supplier)])


def _route_invoice(desk: Desk, document: str, queue: str, po_number: str) -> str:
    _name_the_erp()
    try:
        desk.erp.route(document=document, queue=queue, po_number=po_number, at_ns=desk.now_ns)
    except TimeoutError as error:
        span = trace.get_current_span()
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, str(error)))
        return f"error: {error}"
    return json.dumps({"status": "routed", "document": document, "queue": queue})


def _escalate(desk: Desk, document: str, reason: str) -> str:
    desk.erp.escalate(document=document, reason=reason, at_ns=desk.now_ns)
    return json.dumps({"status": "escalated"})


def _convert_currency(desk: Desk, amount: float, source: str, target: str) -> str:
    rate = _fetch_rate(desk, source, target)
    return json.dumps({"amount": round(amount * rate, 2), "rate": rate})


def _fetch_rate(desk: Desk, source: str, target: str) -> float:
    """Ask the rate service over HTTP, in a client span as HTTP instrumentations write it."""
    url = f"http://{RATES_HOST}/latest/{source}/{target}"
    attributes: dict[str, str | int] = {
        "http.request.method": "GET",
        "url.full": url,
        "server.address": RATES_HOST,
        "server.port": 80,
    }
    with desk.tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes) as span:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": desk.rates_proxy}))
        with opener.open(url, timeout=5) as response:
            span.set_attribute("http.response.status_code", response.status)
            return float(json.loads(response.read())["rate"])


def _offer(name: str, description: str, **types: str) -> dict[str, Any]:
    """Describe a tool as the model's protocol wants it; every argument is required."""
    schema = {
        "type": "object",
        "properties": {argument: {"type": kind} for argument, kind in types.items()},
        "required": [*types],
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": schema, "strict": True},
    }


TOOLS: tuple[dict[str, Any], ...] = (
    _offer("find_po", "Find a purchase order by its number.", po_number="string"),
    _offer("search_po", "List open purchase orders of a supplier.", supplier="string"),
    _offer(
        "route_invoice",
        "Put a document into a queue, with its purchase order if it has one.",
        document="string",
        queue="string",
        po_number="string",
    ),
    _offer("escalate", "Hand a document to a person.", document="string", reason="string"),
    _offer(
        "convert_currency",
        "Convert an amount at today's rate.",
        amount="number",
        source="string",
        target="string",
    ),
)
"""What the model is offered."""

_RUN: Mapping[str, Callable[..., str]] = {
    "find_po": _find_po,
    "search_po": _search_po,
    "route_invoice": _route_invoice,
    "escalate": _escalate,
    "convert_currency": _convert_currency,
}


def call_tool(desk: Desk, name: str, arguments: str, call_id: str) -> str:
    """Run one tool as the model asked, in the span of a tool call.

    Args:
        desk: What the tools work with.
        name: Tool.
        arguments: JSON object, as the model wrote it.
        call_id: The model's id of the call.

    Returns:
        What the tool says, for the model.
    """
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": AGENT_NAME,
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.call.arguments": arguments,
    }
    with desk.tracer.start_as_current_span(f"execute_tool {name}", attributes=attributes) as span:
        result = _RUN[name](desk, **json.loads(arguments))
        span.set_attribute("gen_ai.tool.call.result", result)
        return result
