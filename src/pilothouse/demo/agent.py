# SPDX-License-Identifier: Apache-2.0
"""The demo's agent: invoice triage as a plain loop around a model, instrumented as OpenTelemetry says, with the flaws of a hurried pilot.

Run as `python -m pilothouse.demo.agent --inbox FILE --erp FILE --prompt FILE` by the demo, as a process of its own.
It knows nothing of Pilothouse but the documented span attributes. Its flaws: it does not look for duplicates, it takes
one document for each mail, it calls a rate service that nobody declared, and it believes what its model says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

from pilothouse.demo.agent_model import ModelClient, Routing, route_mail
from pilothouse.demo.agent_tools import Desk
from pilothouse.demo.erp import Erp
from pilothouse.demo.simulated_time import ARRIVED_NS, OffsetExporter, OffsetRecorder
from pilothouse.demo.traffic import Mail

__all__ = ["main", "triage"]

SPAN_QUEUE_MAX = 65_536
"""Room for every span of a run, so that a slow server delays the agent's end instead of losing spans."""

BATCH_SPANS_MAX = 2_048
BATCH_DELAY_MS = 30_000
"""Spans of a short run arrive together, at its end: each sending is a commit of the lake, and a drill counts what came."""


def triage(client: ModelClient, instructions: str, mail: Mail, desk: Desk) -> None:
    """Work on one mail inside one root span that says what came out.

    Args:
        client: The model.
        instructions: System prompt.
        mail: What arrived.
        desk: What the tools work with.
    """
    with desk.tracer.start_as_current_span("triage mail") as task:
        try:
            answer = route_mail(client, instructions, mail.text, desk)
        except Exception as error:  # noqa: BLE001 - one bad mail must not stop the inbox; the span carries the error
            task.record_exception(error)
            task.set_status(Status(StatusCode.ERROR, type(error).__name__))
            task.set_attribute("pilothouse.task.result", "failed")
            return
        task.set_attributes(_said(answer))


def _said(answer: Routing) -> dict[str, str | float]:
    """Return what the agent says about its task: type, confidence, result and claim."""
    said: dict[str, str | float] = {"pilothouse.task.confidence": answer.confidence}
    if answer.task_type is not None:
        said["pilothouse.task.type"] = answer.task_type
    if answer.status == "escalated":
        return said | {"pilothouse.task.result": "escalated"}
    claim = {"document": answer.document, "queue": answer.queue, "po_number": answer.po_number}
    return said | {
        "pilothouse.task.result": "completed",
        "pilothouse.task.claim": json.dumps({"routed": claim}),
    }


def main(arguments: list[str] | None = None) -> None:
    """Work through an inbox, oldest mail first, and print one line for each finished day.

    With `--wait` it works through one inbox after the other, as it is told on its standard input, until that ends.
    Environment, telemetry and prompt are read anew each time, as by a process that is started again.

    Args:
        arguments: Command line; the process's own when None.
    """
    if arguments is None and sys.argv[1:] == ["--wait"]:
        for words in _told():
            _serve(_options(words))
            _say({"ended": 1})
    else:
        _serve(_options(arguments))


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pilothouse.demo.agent", description=main.__doc__)
    parser.add_argument("--inbox", type=Path, required=True, help="mails, one JSON object a line")
    parser.add_argument("--erp", type=Path, required=True, help="SQLite file of the ERP")
    parser.add_argument("--prompt", type=Path, required=True, help="system prompt")
    return parser.parse_args(words)


def _told() -> Iterator[list[str]]:
    """Yield each command line that is told, with its environment in force."""
    for line in sys.stdin:
        told = json.loads(line)
        os.environ.update(told["variables"])
        yield list(told["arguments"])


def _say(what: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _serve(options: argparse.Namespace) -> None:
    """Work through one inbox; every span of it is delivered when this returns."""
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
    mails = (Mail(**json.loads(line)) for line in options.inbox.read_text(encoding="utf-8").splitlines())
    instructions = options.prompt.read_text(encoding="utf-8")
    with Erp(options.erp) as erp, ModelClient.of_environment() as client:

        def work(mail: Mail) -> None:
            ARRIVED_NS.set(mail.arrived_ns)
            rates = os.environ.get("DEMO_RATES_PROXY", "")
            tracer = provider.get_tracer("ap-invoice-triage")
            triage(
                client,
                instructions,
                mail,
                Desk(erp=erp, now_ns=mail.arrived_ns, rates_proxy=rates, tracer=tracer),
            )

        _work(mails, work)
    provider.shutdown()
    if exporter.refused_spans:
        sys.stderr.write(f"{exporter.refused_spans} spans could not be delivered\n")
        sys.exit(1)


def _work(mails: Iterable[Mail], work: Callable[[Mail], None]) -> None:
    """Work through the mails, and say each day when it is done."""
    for day, of_day in groupby(mails, key=lambda mail: mail.day):
        tasks = 0
        for mail in of_day:
            work(mail)
            tasks += 1
        _say({"day": day, "tasks": tasks})


if __name__ == "__main__":
    main()
