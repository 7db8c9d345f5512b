# SPDX-License-Identifier: Apache-2.0
"""Turn what the gateway delivered into evidence: how many final answers broke the output schema."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from pilothouse.core.evidence.evidence import Binding, Evidence, Source
from pilothouse.ports.ledger import Ledger

__all__ = ["ANSWERS_EVERY_S", "Delivered", "record_answers"]

ANSWERS_EVERY_S = 30.0
"""How far the evidence may lie behind the traffic."""

WINDOW = timedelta(days=7)
"""As long as the requirement accepts; an older count begins anew."""


class Delivered(Protocol):
    """Final answers of one agent and version since the last look; see `runtime.gateway.guard.AnswerCount`."""

    delivered: int
    invalid: int
    repaired: int
    stopped: int
    runs: tuple[str, ...]


def record_answers(
    ledger: Ledger, counts: Mapping[tuple[str, str | None], Delivered], now: datetime
) -> tuple[Evidence, ...]:
    """Add what was delivered to the running count of the last seven days, and store it.

    Args:
        ledger: Where evidence stands.
        counts: What was delivered since the last look, by agent and version.
        now: The moment, aware UTC.

    Returns:
        The new records; none for an agent that delivered nothing.
    """
    records = []
    for (agent, version), count in counts.items():
        if not count.delivered:
            continue
        before = _running_count(ledger, agent, version, now)
        n = count.delivered + (0 if before is None else before.n)
        bad = count.invalid + (0 if before is None else before.n - (before.good or 0))
        held = count.stopped + (0 if before is None else before.counts.get("held_or_rejected", 0))
        mended = count.repaired + (0 if before is None else before.counts.get("repaired", 0))
        records.append(
            Evidence(
                kind="output_schema",
                agent=agent,
                binds=Binding(version=version),
                window_from=now if before is None else before.window_from,
                window_to=now,
                n=n,
                good=n - bad,
                detail=f"{bad:,} of {n:,} delivered answers broke the schema; "
                f"{mended:,} were repaired first, {held:,} held or rejected",
                items=count.runs,
                counts={"repaired": mended, "held_or_rejected": held},
                source=Source(command="pilothouse up"),
                recorded_at=now,
            )
        )
    if records:
        ledger.add_evidence(records)
    return tuple(records)


def _running_count(ledger: Ledger, agent: str, version: str | None, now: datetime) -> Evidence | None:
    found = [
        one
        for one in ledger.evidence(agent, since=now - WINDOW)
        if one.kind == "output_schema"
        and one.binds.version == version
        and one.window_from >= now - WINDOW
        and one.source.command == "pilothouse up"
    ]
    return max(found, key=lambda one: one.window_to, default=None)
