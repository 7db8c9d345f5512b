# SPDX-License-Identifier: Apache-2.0
"""What the system of record said about each task: one current outcome for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, or_, select, update

from pilothouse.core.evidence.claim import erased_claim, is_erased
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.spellings import spellings
from pilothouse.core.evidence.standing import replaces
from pilothouse.errors import LimitExceeded
from pilothouse.ledger.row_log import fresh_salt, log_rows, logged_change
from pilothouse.ledger.schema import from_micros, outcomes, to_micros
from pilothouse.ports.ledger import OUTCOME_IDS_MAX, OUTCOMES_MAX

__all__ = ["erase_claims", "outcomes_holding", "outcomes_in_window", "outcomes_of", "save_outcomes"]

_IDS_AT_ONCE = 1_000
"""Ids asked for in one query, well below SQLite's 32,766 variables."""

_SETTLE = (
    update(outcomes)
    .where(outcomes.c.trace_id == bindparam("new_trace_id"))
    .values({column.name: bindparam(f"new_{column.name}") for column in outcomes.c})
)
"""One statement for many rows: made anew for each, it cost twenty times as much."""


def save_outcomes(connection: Connection, given: Sequence[Outcome]) -> None:
    """Store outcomes; one that is there is replaced only while it is pending, or when the claim was corrected."""
    latest = {outcome.trace_id: outcome for outcome in given}
    stored = {
        row["trace_id"]: row
        for ids in _chunks(list(latest))
        for row in connection.execute(select(outcomes).where(outcomes.c.trace_id.in_(ids))).mappings()
    }
    new = [_row(outcome) for trace_id, outcome in latest.items() if trace_id not in stored]
    if new:
        connection.execute(insert(outcomes), new)
    changed = [known for trace_id, known in stored.items() if replaces(latest[trace_id], _outcome(known))]
    anew = [_row(latest[known["trace_id"]]) for known in changed]
    if anew:
        connection.execute(_SETTLE, [{f"new_{name}": value for name, value in row.items()} for row in anew])
    if new or anew:
        at = max(outcome.verified_at for outcome in latest.values())
        log_rows(connection, "outcomes", added=[*new, *anew], removed=changed, at=at, actor="pilothouse")


def outcomes_in_window(connection: Connection, agent: str, from_ns: int, to_ns: int) -> Sequence[Outcome]:
    """Return outcomes of tasks that started in the half-open window, by start."""
    query = (
        select(outcomes)
        .where(outcomes.c.agent == agent)
        .where(outcomes.c.task_start_ns >= from_ns)
        .where(outcomes.c.task_start_ns < to_ns)
        .order_by(outcomes.c.task_start_ns, outcomes.c.trace_id)
        .limit(OUTCOMES_MAX + 1)
    )
    found = tuple(_outcome(row) for row in connection.execute(query).mappings())
    if len(found) > OUTCOMES_MAX:
        raise LimitExceeded(
            f"more than {OUTCOMES_MAX:,} outcomes of {agent!r} in one window",
            remedy="Ask for a shorter window: `sampling.window` in the charter.",
            subject=agent,
        )
    return found


def outcomes_of(connection: Connection, trace_ids: Sequence[str]) -> Mapping[str, Outcome]:
    """Return the current outcomes of some tasks, by trace id."""
    if len(trace_ids) > OUTCOME_IDS_MAX:
        raise LimitExceeded(
            f"{len(trace_ids):,} outcomes asked for at once, at most {OUTCOME_IDS_MAX:,}",
            remedy="Ask page by page, or by window.",
            subject="outcomes",
        )
    return {
        row["trace_id"]: _outcome(row)
        for ids in _chunks(list(dict.fromkeys(trace_ids)))
        for row in connection.execute(select(outcomes).where(outcomes.c.trace_id.in_(ids))).mappings()
    }


def outcomes_holding(connection: Connection, subject: str) -> Sequence[str]:
    """Return the traces of outcomes in whose claim or finding a subject stands, at most `OUTCOME_IDS_MAX`."""
    held = or_(
        *(
            column.contains(one, autoescape=True)
            for column in (outcomes.c.claim, outcomes.c.found)
            for one in spellings(subject)
        )
    )
    query = select(outcomes.c.trace_id).where(held).order_by(outcomes.c.trace_id).limit(OUTCOME_IDS_MAX)
    return tuple(connection.execute(query).scalars())


def erase_claims(
    connection: Connection, claims: Mapping[str, str | None], *, at: datetime, actor: str
) -> int:
    """Overwrite claims and findings of some traces; what was about another claim than the task's stays so."""
    done = 0
    for ids in _chunks(list(claims)):
        here = outcomes.c.trace_id.in_(ids)
        stored = connection.execute(select(outcomes).where(here)).mappings().all()
        anew = [
            {
                **row,
                "claim": erased_claim(row["claim"], claims[row["trace_id"]]),
                "found": "",
                "salt": fresh_salt(),
            }
            for row in stored
            if row["found"] or (row["claim"] is not None and not is_erased(row["claim"]))
        ]
        if anew:
            with logged_change(connection, outcomes, here, at=at, actor=actor):
                connection.execute(
                    _SETTLE, [{f"new_{name}": value for name, value in row.items()} for row in anew]
                )
        done += len(anew)
    return done


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)]


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "trace_id": outcome.trace_id,
        "agent": outcome.agent,
        "task_type": outcome.task_type,
        "version_digest": outcome.version_digest,
        "task_start_ns": outcome.task_start_ns,
        "claim": outcome.claim,
        "status": outcome.status.value,
        "found": outcome.found,
        "critical": outcome.critical,
        "verifier": outcome.verifier,
        "verified_us": to_micros(outcome.verified_at),
        "attempts": outcome.attempts,
        "salt": fresh_salt(),
    }


def _outcome(row: RowMapping) -> Outcome:
    return Outcome(
        trace_id=row["trace_id"],
        agent=row["agent"],
        task_type=row["task_type"],
        version_digest=row["version_digest"],
        task_start_ns=row["task_start_ns"],
        claim=row["claim"],
        status=OutcomeStatus(row["status"]),
        found=row["found"],
        critical=row["critical"],
        verifier=row["verifier"],
        verified_at=from_micros(row["verified_us"]),
        attempts=row["attempts"],
    )
