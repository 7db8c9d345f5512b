# SPDX-License-Identifier: Apache-2.0
"""Outcomes of verification: one current outcome for each task."""

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
from pilothouse.ledger.database import Repository
from pilothouse.ledger.row_log import fresh_salt, log_rows, logged_change
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ledger.schema import outcomes as outcome_rows
from pilothouse.ports.ledger import OUTCOME_IDS_MAX, OUTCOMES_MAX

__all__ = ["SqlOutcomes"]

_IDS_AT_ONCE = 1_000
"""Ids asked for in one query, well below SQLite's 32,766 variables."""

_SETTLE = (
    update(outcome_rows)
    .where(outcome_rows.c.trace_id == bindparam("new_trace_id"))
    .values({column.name: bindparam(f"new_{column.name}") for column in outcome_rows.c})
)
"""One statement for many rows: made anew for each, it cost twenty times as much."""


class SqlOutcomes(Repository):
    """The part of `ports.Ledger` that keeps outcomes."""

    def save_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Store outcomes; an existing one is replaced only while it is pending, or when the claim was corrected."""
        latest = {outcome.trace_id: outcome for outcome in outcomes}
        with self.database.write() as connection:
            stored = _stored(connection, list(latest))
            new = [_row(outcome) for trace_id, outcome in latest.items() if trace_id not in stored]
            if new:
                connection.execute(insert(outcome_rows), new)
            changed = [known for ident, known in stored.items() if replaces(latest[ident], _outcome(known))]
            anew = [_row(latest[known["trace_id"]]) for known in changed]
            _settle(connection, anew)
            if new or anew:
                at = max(outcome.verified_at for outcome in latest.values())
                added = [*new, *anew]
                log_rows(
                    connection, outcome_rows.name, added=added, removed=changed, at=at, actor="pilothouse"
                )

    def outcomes(self, agent: str, *, from_ns: int, to_ns: int) -> Sequence[Outcome]:
        """Return outcomes of tasks that started in the half-open window, by start."""
        query = (
            select(outcome_rows)
            .where(outcome_rows.c.agent == agent)
            .where(outcome_rows.c.task_start_ns >= from_ns)
            .where(outcome_rows.c.task_start_ns < to_ns)
            .order_by(outcome_rows.c.task_start_ns, outcome_rows.c.trace_id)
            .limit(OUTCOMES_MAX + 1)
        )
        with self.database.read() as connection:
            found = tuple(_outcome(row) for row in connection.execute(query).mappings())
        if len(found) > OUTCOMES_MAX:
            raise LimitExceeded(
                f"more than {OUTCOMES_MAX:,} outcomes of {agent!r} in one window",
                remedy="Ask for a shorter window: `sampling.window` in the charter.",
                subject=agent,
            )
        return found

    def outcomes_of(self, trace_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return the current outcomes of some tasks, by trace id (at most 10,000 ids)."""
        if len(trace_ids) > OUTCOME_IDS_MAX:
            raise LimitExceeded(
                f"{len(trace_ids):,} outcomes asked for at once, at most {OUTCOME_IDS_MAX:,}",
                remedy="Ask page by page, or by window.",
                subject="outcomes",
            )
        with self.database.read() as connection:
            stored = _stored(connection, list(dict.fromkeys(trace_ids)))
        return {trace_id: _outcome(row) for trace_id, row in stored.items()}

    def outcomes_holding(self, subject: str) -> Sequence[str]:
        """Return the traces of outcomes whose claim or finding contains a subject, at most 10,000."""
        held = or_(
            *(
                column.contains(one, autoescape=True)
                for column in (outcome_rows.c.claim, outcome_rows.c.found)
                for one in spellings(subject)
            )
        )
        traces = select(outcome_rows.c.trace_id).where(held).order_by(outcome_rows.c.trace_id)
        with self.database.read() as connection:
            return tuple(connection.scalars(traces.limit(OUTCOME_IDS_MAX)))

    def erase_claims(self, claims: Mapping[str, str | None], *, at: datetime, actor: str) -> int:
        """Overwrite claims and findings of some traces; whether an outcome matches its task's claim stays known."""
        done = 0
        with self.database.write() as connection:
            for ids in _chunks(list(claims)):
                anew = [
                    {
                        **row,
                        "claim": erased_claim(row["claim"], claims[trace_id]),
                        "found": "",
                        "salt": fresh_salt(),
                    }
                    for trace_id, row in _stored(connection, ids).items()
                    if row["found"] or (row["claim"] is not None and not is_erased(row["claim"]))
                ]
                if anew:
                    here = outcome_rows.c.trace_id.in_(ids)
                    with logged_change(connection, outcome_rows, here, at=at, actor=actor):
                        _settle(connection, anew)
                done += len(anew)
        if done:
            self.database.forget_log()
        return done


def _stored(connection: Connection, trace_ids: list[str]) -> dict[str, RowMapping]:
    return {
        row["trace_id"]: row
        for ids in _chunks(trace_ids)
        for row in connection.execute(select(outcome_rows).where(outcome_rows.c.trace_id.in_(ids))).mappings()
    }


def _settle(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(_SETTLE, [{f"new_{name}": value for name, value in row.items()} for row in rows])


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
