# SPDX-License-Identifier: Apache-2.0
"""A small world for the pages: one governed agent with traffic, outcomes and evidence, one that nobody governs."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import CostState, Task, TaskResult, TokenCount
from pilothouse.core.evidence.truth import count_truth
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.ports.lake import SpanRecord, TraceView
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.agent import build_agent
from pilothouse.reports.agent_traffic import AgentTraffic
from pilothouse.testing import MemoryLake

ROOT = Path(__file__).resolve().parents[2]
CHARTER_FILE = ROOT / "tests" / "golden" / "charters" / "ap-invoice-triage.yaml"
AGENT = "ap-invoice-triage"
NOW = datetime(2026, 11, 21, 9, 12, tzinfo=UTC)
VERSION = "5010386b0f11c4d2" * 4
OLD_VERSION = "a1b2c3d4e5f60718" * 4
DAYS = 14
HOSTILE = "<script>alert(1)</script>\u202etxt.exe\u200b\x1b[31mred\x07 [bold]markup[/bold] {{ 7*7 }}"


def charter_text() -> str:
    return CHARTER_FILE.read_text(encoding="utf-8")


@cache
def charter() -> Charter:
    return Charter.model_validate(read_charter_text(charter_text(), file="charter.yaml").value)


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


@cache
def make_tasks(seed: int = 7, per_day: int = 60) -> tuple[Task, ...]:
    dice = random.Random(seed)
    kinds = tuple(charter().task_types)
    tasks = []
    for day in range(DAYS):
        for index in range(per_day + dice.randint(-8, 8)):
            start = NOW - timedelta(days=DAYS - day) + timedelta(minutes=dice.randint(0, 1430))
            took_s = dice.lognormvariate(0.3, 0.5)
            roll = dice.random()
            result = (
                TaskResult.COMPLETED
                if roll < 0.88
                else TaskResult.ESCALATED
                if roll < 0.95
                else TaskResult.FAILED
            )
            tasks.append(
                Task(
                    trace_id=f"{dice.getrandbits(128):032x}",
                    agent=AGENT,
                    task_type=kinds[index % len(kinds)],
                    version_digest=OLD_VERSION if day < 5 else VERSION,
                    result=result,
                    error_type="timeout" if result is TaskResult.FAILED else None,
                    claim=f'{{"claim":"routed","invoice":"INV-{day:02}{index:03}","team":"accounts-payable"}}'
                    if result is TaskResult.COMPLETED
                    else None,
                    confidence=0.9,
                    start_ns=ns(start),
                    end_ns=ns(start) + int(took_s * 1e9),
                    duration_ns=int(took_s * 1e9),
                    spans=6,
                    model_calls=2,
                    tool_calls=3,
                    models=("gpt-5-mini-2026-01",) if day < 9 else ("gpt-5-mini-2026-02",),
                    tools=("find_po", "route_invoice"),
                    tokens=TokenCount(input=1200, output=180),
                    cost_usd=Decimal("0.0041"),
                    cost_known_usd=Decimal("0.0041"),
                    cost_state=CostState.KNOWN,
                    input_preview=f"Invoice INV-{day:02}{index:03} over EUR 1,204.00 from Nordwind GmbH",
                    output_preview="Routed to accounts-payable",
                )
            )
    return tuple(tasks)


def make_outcomes(tasks: tuple[Task, ...], seed: int = 11) -> dict[str, Outcome]:
    dice = random.Random(seed)
    found = {}
    for task in tasks:
        if task.claim is None:
            continue
        roll = dice.random()
        bad = 0.03 if task.start_ns < ns(NOW - timedelta(days=5)) else 0.16
        status = OutcomeStatus.VERIFIED
        if roll < bad:
            status = OutcomeStatus.CONTRADICTED
        elif roll < bad + 0.02:
            status = OutcomeStatus.UNVERIFIABLE
        elif task.start_ns > ns(NOW - timedelta(hours=4)):
            status = OutcomeStatus.PENDING
        found[task.trace_id] = Outcome(
            trace_id=task.trace_id,
            agent=task.agent,
            task_type=task.task_type,
            version_digest=task.version_digest,
            task_start_ns=task.start_ns,
            claim=task.claim,
            status=status,
            found="no posting with this number" if status is OutcomeStatus.CONTRADICTED else "posting found",
            critical=None,
            verifier=f"verifiers.erp:routing_matches@sha256:{VERSION}",
            verified_at=NOW - timedelta(hours=1),
        )
    return found


def record(kind: str, scope: Scope | None = None, **fields: object) -> Evidence:
    scope = scope or Scope()
    named = kind_named(kind)
    values: dict[str, object] = {
        "kind": kind,
        "agent": AGENT,
        "scope": scope,
        "binds": binding_in_force(named, charter(), scope, InForce(version=VERSION)),
        "window_from": NOW - timedelta(days=7),
        "window_to": NOW - timedelta(hours=2),
        "source": Source(command=f"pilothouse verdict {AGENT}"),
        "recorded_at": NOW - timedelta(hours=2),
    }
    return Evidence.model_validate({**values, **fields})


def make_evidence(tasks: tuple[Task, ...], outcomes: dict[str, Outcome]) -> tuple[Evidence, ...]:
    records = []
    recent = [task for task in tasks if task.version_digest == VERSION]
    for name in charter().task_types:
        own = [task for task in recent if task.task_type == name]
        scope = Scope(task_type=name)
        done = sum(task.result is TaskResult.COMPLETED for task in own)
        given = sum(task.result is TaskResult.ESCALATED for task in own)
        asked = [outcomes[task.trace_id] for task in own if task.trace_id in outcomes]
        answered = [
            one for one in asked if one.status in (OutcomeStatus.VERIFIED, OutcomeStatus.CONTRADICTED)
        ]
        wrong = [one for one in answered if one.status is OutcomeStatus.CONTRADICTED]
        records += [
            record("completion", scope, n=len(own) - given, good=done),
            record("escalation", scope, n=len(own), good=len(own) - given),
            record(
                "discrepancy",
                scope,
                n=len(answered),
                good=len(answered) - len(wrong),
                items=tuple(one.trace_id for one in wrong[:50]),
            ),
            record("latency", scope, n=len(own), value=1.72, low=1.61, high=1.88, method="order statistics"),
            record(
                "cost_per_task", scope, n=len(own), value=0.0412, low=0.0409, high=0.0415, method="t interval"
            ),
        ]
    return tuple(records)


def make_verdict(evidence: tuple[Evidence, ...] = (), now: datetime = NOW, **options: object) -> AgentVerdict:
    return decide(charter(), evidence, now, version=VERSION, **options)


def make_span(trace_id: str, index: int, **fields: object) -> SpanRecord:
    base = NOW - timedelta(hours=3)
    values: dict[str, object] = {
        "span_id": f"{index:016x}",
        "parent_span_id": None if index == 0 else f"{0:016x}",
        "record": "span",
        "name": "invoke_agent ap-invoice-triage" if index == 0 else "chat gpt-5-mini",
        "operation": "invoke_agent" if index == 0 else "chat",
        "agent": AGENT,
        "start_ns": ns(base) + index * 200_000_000,
        "end_ns": ns(base) + index * 200_000_000 + 180_000_000,
        "duration_ns": 1_700_000_000 if index == 0 else 180_000_000,
        "status": "unset",
        "status_message": "",
        "error_type": None,
        "provider": "openai",
        "request_model": "gpt-5-mini",
        "response_model": "gpt-5-mini-2026-02",
        "tool_name": None,
        "first_chunk_ns": None,
        "tokens_total": 690,
        "cost_usd_text": "0.00205",
        "convention": "otel-genai",
        "input": '[{"role":"user","content":"Invoice INV-13001 over EUR 1,204.00"}]',
        "output": '[{"role":"assistant","content":"Routed to accounts-payable"}]',
        "attributes": '{"gen_ai.system":"openai","server.address":"127.0.0.1"}',
        "events": "[]",
        "cut_bytes": 0,
    }
    return SpanRecord(**{**values, **fields})


def make_trace(task: Task) -> TraceView:
    tool = {
        "operation": "execute_tool",
        "tokens_total": None,
        "cost_usd_text": None,
        "request_model": None,
        "response_model": None,
        "provider": None,
    }
    spans = (
        make_span(task.trace_id, 0, tokens_total=None, cost_usd_text=None),
        make_span(task.trace_id, 1),
        make_span(task.trace_id, 2, name="execute_tool find_po", tool_name="find_po", **tool),
        make_span(
            task.trace_id,
            3,
            name="execute_tool route_invoice",
            tool_name="route_invoice",
            status="error",
            status_message="ERP said 503",
            error_type="503",
            **tool,
        ),
        make_span(
            task.trace_id,
            4,
            name="execute_tool route_invoice",
            tool_name="route_invoice",
            input=HOSTILE,
            output="x" * 1_000_000,
            cut_bytes=1234,
            **tool,
        ),
        make_span(task.trace_id, 5),
    )
    return TraceView(task=task, spans=spans, spans_total=6)


def in_force() -> CharterInForce:
    return CharterInForce(
        agent=AGENT,
        digest=charter().digest,
        text="",
        path="charter.yaml",
        accepted_at=NOW - timedelta(days=12),
        number=1,
    )


def make_agent_page(tasks=None, outcomes=None, evidence=None):
    tasks = make_tasks() if tasks is None else tasks
    outcomes = make_outcomes(tasks) if outcomes is None else outcomes
    evidence = make_evidence(tasks, outcomes) if evidence is None else evidence
    traffic = AgentTraffic(
        tasks=tasks, outcomes=outcomes, window_from=NOW - timedelta(days=30), window_to=NOW
    )
    truth = count_truth(tasks, outcomes, charter().task_types)
    return build_agent(make_verdict(evidence), charter(), in_force(), truth, traffic)


class PageLake(MemoryLake):
    """A lake whose traces have spans."""

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        task = self._tasks.get(trace_id)
        return None if task is None else make_trace(task)
