# SPDX-License-Identifier: Apache-2.0
"""The demo's agent: invoice triage in pydantic-ai, with standard instrumentation and the flaws of a hurried pilot.

Run as `python -m pilothouse.demo.agent --inbox FILE --erp FILE --prompt FILE` by the demo, as a process of its own.
It knows nothing of Pilothouse but the documented span attributes. Its flaws: it does not look for duplicates, it takes
one document for each mail, it calls a rate service that nobody declared, and it believes what its model says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, RunContext
from pydantic_ai.models.openai import OpenAIChatModel

from pilothouse.demo.erp import Erp
from pilothouse.demo.simulated_time import ARRIVED_NS, OffsetExporter, OffsetRecorder
from pilothouse.demo.traffic import Mail

__all__ = ["Desk", "Routing", "build_agent", "main", "triage"]

AGENT_NAME = "ap-invoice-triage"
MODEL = "acme-large-2026-04-12"
ERP_HOST = "erp.harbour.example"
RATES_HOST = "fx-rates.example"

AT_ONCE_MAX = 6
"""Mails in work at the same time; more only wait for the processor."""

SPAN_QUEUE_MAX = 65_536
"""Room for every span of a run, so that a slow server delays the agent's end instead of losing spans."""

BATCH_SPANS_MAX = 512
BATCH_DELAY_MS = 300
CALLS_PER_TASK_MAX = 10

TRACER = trace.get_tracer("ap-invoice-triage")


class Routing(BaseModel):
    """What the agent says it did with one document."""

    document: str
    status: Literal["routed", "escalated"]
    task_type: Literal["po_invoice", "non_po_invoice", "credit_note"] | None
    queue: str
    po_number: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the tools work with: the ERP, the time of the mail, the address of the rate service."""

    erp: Erp
    now_ns: int
    rates_proxy: str


def build_agent(instructions: str) -> Agent[Desk, Routing]:
    """Return the agent with its tools.

    Args:
        instructions: System prompt.
    """
    agent = Agent(
        OpenAIChatModel(MODEL),
        name=AGENT_NAME,
        deps_type=Desk,
        output_type=NativeOutput(Routing),
        instructions=instructions,
    )

    def name_the_erp() -> None:
        """Say on the tool's span whom it talks to, as client instrumentations do."""
        trace.get_current_span().set_attributes({"server.address": ERP_HOST, "server.port": 443})

    @agent.tool
    async def find_po(ctx: RunContext[Desk], po_number: str) -> str:
        """Find a purchase order by its number."""
        name_the_erp()
        order = ctx.deps.erp.find_order(po_number)
        return json.dumps(asdict(order)) if order else "not found"

    @agent.tool
    async def search_po(ctx: RunContext[Desk], supplier: str) -> str:
        """List open purchase orders of a supplier."""
        name_the_erp()
        return json.dumps([asdict(order) for order in ctx.deps.erp.search_orders(supplier)])

    @agent.tool
    async def route_invoice(ctx: RunContext[Desk], document: str, queue: str, po_number: str) -> str:
        """Put a document into a queue, with its purchase order if it has one."""
        name_the_erp()
        try:
            ctx.deps.erp.route(document=document, queue=queue, po_number=po_number, at_ns=ctx.deps.now_ns)
        except TimeoutError as error:
            span = trace.get_current_span()
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            return f"error: {error}"
        return json.dumps({"status": "routed", "document": document, "queue": queue})

    @agent.tool
    async def escalate(ctx: RunContext[Desk], document: str, reason: str) -> str:
        """Hand a document to a person."""
        ctx.deps.erp.escalate(document=document, reason=reason, at_ns=ctx.deps.now_ns)
        return json.dumps({"status": "escalated"})

    @agent.tool
    async def convert_currency(ctx: RunContext[Desk], amount: float, source: str, target: str) -> str:
        """Convert an amount at today's rate."""
        rate = await asyncio.to_thread(_fetch_rate, ctx.deps.rates_proxy, source, target)
        return json.dumps({"amount": round(amount * rate, 2), "rate": rate})

    return agent


async def triage(agent: Agent[Desk, Routing], mail: Mail, desk: Desk) -> None:
    """Work on one mail inside one root span that says what came out.

    Args:
        agent: The agent.
        mail: What arrived.
        desk: What the tools work with.
    """
    with TRACER.start_as_current_span("triage mail") as task:
        try:
            answer = (await agent.run(mail.text, deps=desk)).output
        except Exception as error:  # noqa: BLE001 - one bad mail must not stop the inbox; the span carries the error
            task.record_exception(error)
            task.set_status(Status(StatusCode.ERROR, type(error).__name__))
            task.set_attribute("pilothouse.task.result", "failed")
            return
        if answer.task_type is not None:
            task.set_attribute("pilothouse.task.type", answer.task_type)
        task.set_attribute("pilothouse.task.confidence", answer.confidence)
        if answer.status == "escalated":
            task.set_attribute("pilothouse.task.result", "escalated")
            return
        task.set_attribute("pilothouse.task.result", "completed")
        claim = {"document": answer.document, "queue": answer.queue, "po_number": answer.po_number}
        task.set_attribute("pilothouse.task.claim", json.dumps({"routed": claim}))


def main(arguments: list[str] | None = None) -> None:
    """Work through an inbox, oldest mail first, and print one line for each finished day.

    Args:
        arguments: Command line; the process's own when None.
    """
    parser = argparse.ArgumentParser(prog="python -m pilothouse.demo.agent", description=main.__doc__)
    parser.add_argument("--inbox", type=Path, required=True, help="mails, one JSON object a line")
    parser.add_argument("--erp", type=Path, required=True, help="SQLite file of the ERP")
    parser.add_argument("--prompt", type=Path, required=True, help="system prompt")
    options = parser.parse_args(_told() if arguments is None and sys.argv[1:] == ["--wait"] else arguments)

    recorder = OffsetRecorder()
    exporter = OffsetExporter(OTLPSpanExporter(), recorder)
    provider = TracerProvider()
    provider.add_span_processor(recorder)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=SPAN_QUEUE_MAX,
            max_export_batch_size=BATCH_SPANS_MAX,
            schedule_delay_millis=BATCH_DELAY_MS,
        )
    )
    trace.set_tracer_provider(provider)
    Agent.instrument_all()

    mails = [Mail(**json.loads(line)) for line in options.inbox.read_text(encoding="utf-8").splitlines()]
    agent = build_agent(options.prompt.read_text(encoding="utf-8"))
    with Erp(options.erp) as erp:
        asyncio.run(_work(agent, mails, erp))
    provider.shutdown()
    if exporter.refused_spans:
        sys.stderr.write(f"{exporter.refused_spans} spans could not be delivered\n")
        sys.exit(1)


def _told() -> list[str]:
    """Wait for the environment and the command line: whoever needs the agent at once starts it before they are known."""
    told = json.loads(sys.stdin.readline() or "null")
    if told is None:
        sys.exit(0)
    os.environ.update(told["variables"])
    return list(told["arguments"])


async def _work(agent: Agent[Desk, Routing], mails: Iterable[Mail], erp: Erp) -> None:
    """Work day by day, several mails at once within a day."""
    by_day: dict[int, list[Mail]] = defaultdict(list)
    for mail in mails:
        by_day[mail.day].append(mail)
    room = asyncio.Semaphore(AT_ONCE_MAX)
    rates_proxy = os.environ.get("DEMO_RATES_PROXY", "")

    async def one(mail: Mail) -> None:
        async with room:
            ARRIVED_NS.set(mail.arrived_ns)
            await triage(agent, mail, Desk(erp=erp, now_ns=mail.arrived_ns, rates_proxy=rates_proxy))

    for day in sorted(by_day):
        async with asyncio.TaskGroup() as group:
            for mail in by_day[day]:
                group.create_task(one(mail))
        sys.stdout.write(json.dumps({"day": day, "tasks": len(by_day[day])}) + "\n")
        sys.stdout.flush()


def _fetch_rate(proxy: str, source: str, target: str) -> float:
    """Ask the rate service over HTTP, in a client span as HTTP instrumentations write it."""
    url = f"http://{RATES_HOST}/latest/{source}/{target}"
    attributes: dict[str, str | int] = {
        "http.request.method": "GET",
        "url.full": url,
        "server.address": RATES_HOST,
        "server.port": 80,
    }
    with TRACER.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes) as span:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
        with opener.open(url, timeout=5) as response:
            span.set_attribute("http.response.status_code", response.status)
            return float(json.loads(response.read())["rate"])


if __name__ == "__main__":
    main()
