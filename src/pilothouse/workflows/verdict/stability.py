# SPDX-License-Identifier: Apache-2.0
"""Write each finished day of an agent down once, and read the stability clock from those days."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import Effect, compare_charters
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.evidence.unix_time import midnight, unix_ns
from pilothouse.core.evidence.work import PRODUCTION
from pilothouse.core.verdict.addition import explained
from pilothouse.core.verdict.phases import PhaseMove
from pilothouse.core.verdict.stability import DayRecord, Reset, StabilityClock, StabilityTerms, fold_clock
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.ledger import DECISIONS_MAX, CharterInForce, Ledger
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of, newest_verdict
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import additions_of, phase_events
from pilothouse.workflows.traces.reconcile import GAP_KIND, INSTALLATION

__all__ = ["DAY", "clock_evidence", "keep_days", "read_clock", "read_days"]

DAY = "stability.day"
"""Kind of the row that holds one day."""

LATE = timedelta(hours=1)
"""How long after midnight a day is written: late spans and outcomes have arrived by then."""

WRITTEN_WITHIN = timedelta(minutes=20)
"""How long a look at finished days may take to come and to write: two of its turns."""

BACK_DAYS_MAX = 31
"""Days that are written afterwards when the server did not run: a month of holidays."""

VERDICTS_OF_DAY_MAX = 300
"""Frozen verdicts of one day that are looked through: one every five minutes is 288."""

MEAN_DAYS = 7
"""Days of the volume's mean: a weekend does not stop the clock."""

_WATCHED = ("MON-1", "MON-2", "MON-3", "MON-7")
_UNPLANNED = ("EVAL-3", "EVAL-7")


def keep_days(installation: Installation, now: datetime) -> int:
    """Write down every finished day that is not written yet.

    Returns:
        How many days were written; none when run again at once.

    Raises:
        PilothouseError: The first agent for which it failed, after all others had their turn.
    """

    def keep(record: CharterInForce) -> int:
        written, charter = 0, charter_of(record)
        days = read_days(installation.ledger, record.agent)
        for day in _unwritten(days, record.accepted_at, now):
            row = _observe(installation, charter, day, days)
            installation.ledger.record(
                kind=DAY,
                agent=record.agent,
                at=now,
                actor="pilothouse up",
                document=canonical_json(row.model_dump(mode="json")),
            )
            days = (*days, row)
            written += 1
        return written

    return for_every_agent(installation.ledger, keep)


def read_days(ledger: Ledger, agent: str) -> tuple[DayRecord, ...]:
    """Return the days written down for an agent, oldest first."""
    rows = ledger.decisions(agent, kind=DAY, limit=DECISIONS_MAX)
    return tuple(DayRecord.model_validate_json(row.document) for row in reversed(rows))


def read_clock(ledger: Ledger, charter: Charter, now: datetime) -> StabilityClock | None:
    """Return where the stability clock of an agent stands; None while its terms are open questions."""
    terms = StabilityTerms.of(charter)
    if terms is None:
        return None
    days = read_days(ledger, charter.agent)
    return fold_clock(days, terms, _first_unwritten(days, now))


def _first_unwritten(days: Sequence[DayRecord], now: datetime) -> date:
    """Return the day from which on nothing can be written down yet: yesterday too, while its record is on its way.

    Nobody can have recorded a day in the hour after its midnight. Taken for a day that nobody recorded it would end a pause
    of fourteen days by a reset, once a night.
    """
    today = now.date()
    is_written = any(record.day == today - timedelta(days=1) for record in days)
    return (
        today if is_written or now - midnight(today) >= LATE + WRITTEN_WITHIN else today - timedelta(days=1)
    )


def clock_evidence(ledger: Ledger, charter: Charter, now: datetime) -> Evidence | None:
    """Return the record of the stable days at a moment; None when none counts, and then DATA-11 says so.

    It is folded anew for each verdict, so that a reset is seen at once and no older record stands beside it.
    """
    clock = read_clock(ledger, charter, now)
    if clock is None or not clock.stable_days:
        return None
    end = midnight(clock.strip[-1].day + timedelta(days=1))
    return recorded(
        "stability.clock",
        charter,
        now,
        command=f"pilothouse phase status {charter.agent}",
        since=midnight(clock.strip[0].day),
        until=min(end, now),
        n=clock.stable_days,
        detail=f"Day {clock.stable_days} of {clock.target_days}.",
    )


def _unwritten(days: Sequence[DayRecord], accepted_at: datetime, now: datetime) -> Iterator[date]:
    last = max((record.day for record in days), default=accepted_at.date() - timedelta(days=1))
    today = (now - LATE).date()
    first = max(last + timedelta(days=1), today - timedelta(days=BACK_DAYS_MAX))
    for offset in range((today - first).days):
        yield first + timedelta(days=offset)


def _observe(
    installation: Installation, charter: Charter, day: date, before: Sequence[DayRecord]
) -> DayRecord:
    start = midnight(day)
    end = start + timedelta(days=1)
    tasks = _completed(installation, charter, start, end)
    verdicts = tuple(_verdicts_of(installation.ledger, charter.agent, start, end))
    resets = [
        *_resets_of_verdicts(verdicts),
        *_resets_of_moves(installation.ledger, charter.agent, start, end),
        *_resets_of_charters(installation.ledger, charter.agent, start, end),
        *_resets_of_joining(installation.ledger, charter.agent, start, end),
    ]
    return DayRecord(
        day=day,
        tasks=tasks,
        volume_share=_volume_share(charter, tasks, day, before),
        complete_share=_complete_share(installation.ledger, start, end),
        pauses=tuple(_pauses(verdicts, start)),
        resets=tuple({(reset.reason, reset.text): reset for reset in resets}.values())[:50],
    )


def _completed(installation: Installation, charter: Charter, start: datetime, end: datetime) -> int:
    wanted = TaskFilter(
        agent=charter.agent,
        environment=PRODUCTION,
        result=TaskResult.COMPLETED.value,
        from_ns=unix_ns(start),
        to_ns=unix_ns(end),
    )
    return len(installation.lake.window(wanted))


def _volume_share(charter: Charter, tasks: int, day: date, before: Sequence[DayRecord]) -> float | None:
    target = known(charter.target_volume.per_day)
    if not target:
        return None
    since = day - timedelta(days=MEAN_DAYS - 1)
    counted = [tasks, *(record.tasks for record in before if since <= record.day < day)]
    return sum(counted) / len(counted) / target


def _complete_share(ledger: Ledger, start: datetime, end: datetime) -> float:
    """Return the share of a day in which no alert stood that acknowledged telemetry was missing."""
    rows = sorted(ledger.decisions(INSTALLATION, kind=GAP_KIND, limit=DECISIONS_MAX), key=lambda row: row.at)
    missing, opened = timedelta(), None
    for row in rows:
        if json.loads(row.document)["state"] == "raised":
            opened = row.at if opened is None else opened
        elif opened is not None:
            missing += max(timedelta(), min(row.at, end) - max(opened, start))
            opened = None
    if opened is not None:
        missing += max(timedelta(), end - max(opened, start))
    return 1 - missing / (end - start)


def _verdicts_of(ledger: Ledger, agent: str, start: datetime, end: datetime) -> Iterator[AgentVerdict]:
    """Yield the frozen verdicts that spoke on a day, newest first: those of the day and the one before it."""
    moment = end - timedelta(microseconds=1)
    for _ in range(VERDICTS_OF_DAY_MAX):
        verdict = newest_verdict(ledger, agent, at=moment)
        if verdict is None:
            return
        yield verdict
        if verdict.as_of < start:
            return
        moment = verdict.as_of - timedelta(microseconds=1)


def _resets_of_verdicts(verdicts: Sequence[AgentVerdict]) -> Iterator[Reset]:
    for verdict in verdicts:
        for requirement in verdict.requirements:
            if requirement.status is not Status.BREACHED:
                continue
            critical = any(
                item.status is Status.BREACHED and (item.scope.part or "").startswith("critical")
                for item in requirement.items
            )
            if requirement.requirement in _WATCHED or critical:
                yield Reset(reason="breach", text=requirement.deciding.sentence[:500])
            elif requirement.requirement in _UNPLANNED:
                yield Reset(reason="unplanned_model_change", text=requirement.deciding.sentence[:500])


def _pauses(verdicts: Sequence[AgentVerdict], start: datetime) -> Iterator[str]:
    # What has not changed is frozen once a day, so an older verdict says that nobody judged, and nothing of this day.
    if not verdicts or verdicts[0].as_of < start - LATE:
        yield "No verdict was given on this day."
        return
    newest = verdicts[0]
    for requirement in newest.requirements:
        if requirement.requirement in _WATCHED and requirement.status is Status.NO_EVIDENCE:
            yield f"{requirement.requirement} had no evidence: {requirement.deciding.sentence}"[:500]
    if len({verdict.version for verdict in verdicts}) > 1:
        yield "The version changed on this day."


def _resets_of_moves(ledger: Ledger, agent: str, start: datetime, end: datetime) -> Iterator[Reset]:
    for event in phase_events(ledger, agent):
        if start <= event.at < end and event.move is not PhaseMove.ENTERED:
            yield Reset(reason="rollback", text=f"Back to {event.phase}: {event.reason}"[:500])
    for row in ledger.decisions(agent, kind="agent.rolled_back", limit=DECISIONS_MAX):
        if start <= row.at < end:
            found = json.loads(row.document)
            yield Reset(reason="rollback", text=f"Back to {found['to_version']}: {found['reason']}"[:500])


def _resets_of_charters(ledger: Ledger, agent: str, start: datetime, end: datetime) -> Iterator[Reset]:
    before, after = _charter_before(ledger, agent, start), _charter_before(ledger, agent, end)
    if before is None or after is None or before.digest == after.digest:
        return
    charter, accepted = charter_of(after), additions_of(ledger, agent, at=end)
    for change in compare_charters(charter_of(before), charter).changes:
        if change.effect is Effect.LOOSER:
            yield Reset(reason="threshold_loosened", text=f"{change.path} was loosened.")
        elif change.effect is Effect.WIDER and not explained(change, accepted, charter):
            yield Reset(reason="scope_change", text=f"{change.path} was widened.")


def _resets_of_joining(ledger: Ledger, agent: str, start: datetime, end: datetime) -> Iterator[Reset]:
    """Yield what became one with the old scope on a day: until then it had counted apart."""
    for one in additions_of(ledger, agent):
        if one.joined_at is not None and start <= one.joined_at < end:
            yield Reset(reason="scope_change", text=f"The {one.label} joined the scope.")


def _charter_before(ledger: Ledger, agent: str, moment: datetime) -> CharterInForce | None:
    return ledger.charter(agent, at=moment - timedelta(microseconds=1))
