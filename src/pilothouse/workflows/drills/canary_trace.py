# SPDX-License-Identifier: Apache-2.0
"""Plant a trace of our own on the road of telemetry, and see whether it can be queried in time."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.intake import Intake, IntakeAnswer, Signal
from pilothouse.ports.lake import CANARY_AGENT, Lake
from pilothouse.workflows.drills.waiting import REAL_TIME, Pace
from pilothouse.workflows.ground.installation import Installation

__all__ = ["CANARY_EVERY_S", "Canary", "plant_canary", "record_canary"]

CANARY_EVERY_S = 4 * 3_600.0
"""The requirement accepts a day: five canaries may be lost to a restart before anybody is told."""

QUERYABLE_WITHIN_S = 10.0
"""Within which a planted trace must be read back, as MON-6 asks."""

LOOK_EVERY_S = 0.05
"""Between two looks; each is one query of one trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What became of a planted trace.

    Attributes:
        trace_id: The trace.
        seconds: How long after it was sent it could be read; None when it could not in time.
        sentence: The result in words.
    """

    trace_id: str
    seconds: float | None
    sentence: str


def plant_canary(intake: Intake, lake: Lake, now: datetime, pace: Pace = REAL_TIME) -> Canary:
    """Send one trace of an agent that does not exist, and wait until it can be read.

    Args:
        intake: The road that every agent's telemetry takes.
        lake: Where it must come out.
        now: Time of the trace, aware UTC.
        pace: How time passes.
    """
    trace_id = secrets.token_hex(16)
    began = pace.monotonic()
    receipt = intake.accept(
        Signal.TRACES,
        content_type="application/json",
        content_encoding="",
        body=_request(trace_id, now),
        source="canary",
    )
    if receipt.answer is not IntakeAnswer.ACCEPTED or receipt.rejected:
        said = f"a planted trace was not taken in: {receipt.reason or receipt.answer}"
        return Canary(trace_id=trace_id, seconds=None, sentence=said)
    while True:
        found = lake.trace(trace_id) is not None
        seconds = pace.monotonic() - began
        if seconds > QUERYABLE_WITHIN_S:
            said = f"a planted trace could not be read within {QUERYABLE_WITHIN_S:.0f} s"
            return Canary(trace_id=trace_id, seconds=None, sentence=said)
        if found:
            said = f"a planted trace could be read {seconds:.1f} s after it was sent"
            return Canary(trace_id=trace_id, seconds=seconds, sentence=said)
        pace.sleep(LOOK_EVERY_S)


def record_canary(
    installation: Installation,
    intake: Intake,
    now: datetime,
    *,
    command: str = "pilothouse up",
    pace: Pace = REAL_TIME,
) -> Canary:
    """Plant a trace and put on record for every agent with a charter what became of it.

    One canary speaks for all: they share the road.
    """
    found = plant_canary(intake, installation.lake, now, pace)
    agents = [record.agent for record in installation.ledger.charters()]
    installation.ledger.add_evidence(_records(agents, found, now, command))
    return found


def _records(agents: Sequence[str], found: Canary, now: datetime, command: str) -> list[Evidence]:
    return [
        bound_record(
            "canary.trace",
            agent,
            now,
            command=command,
            n=1,
            passed=found.seconds is not None,
            detail=f"{found.sentence[:1].upper()}{found.sentence[1:]}.",
            items=(found.trace_id,),
        )
        for agent in agents
    ]


def _request(trace_id: str, now: datetime) -> bytes:
    """Return an OTLP request of one span."""
    at_ns = unix_ns(now)
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": f"invoke_agent {CANARY_AGENT}",
        "kind": 1,
        "startTimeUnixNano": str(at_ns),
        "endTimeUnixNano": str(at_ns + 1),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}},
            {"key": "gen_ai.agent.name", "value": {"stringValue": CANARY_AGENT}},
        ],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": CANARY_AGENT}}]}
    spans = {"resource": resource, "scopeSpans": [{"scope": {"name": "pilothouse"}, "spans": [span]}]}
    return json.dumps({"resourceSpans": [spans]}).encode()
