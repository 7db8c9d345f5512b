# SPDX-License-Identifier: Apache-2.0
"""Whether the last incidents of an agent can be replayed (replays of runs, incidents → the record of MON-13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from pilothouse.core.action.incident import Incident
from pilothouse.core.evidence.evidence import INCIDENT, UNKNOWN, Basis, Evidence
from pilothouse.core.evidence.recorded import bound_record

__all__ = ["INCIDENTS_ASKED", "REPLAYED_RUN", "REPLAYED_WITHIN", "fold_replays"]

REPLAYED_RUN = "replay.reproduced"
"""The kind that says of one run whether it was reproduced, or of one incident that it has no run."""

INCIDENTS_REPLAYED = "replay.incidents"
"""The kind that MON-13 asks for."""

INCIDENTS_ASKED = 5
"""So many of the last incidents must be reproduced, or all where there are fewer."""

REPLAYED_WITHIN = timedelta(days=90)
"""As long as a replay counts: an older incident is not asked about, because its run need not be kept that long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What is known about replaying one incident.

    Attributes:
        incident: The incident.
        run: The run that the answer is about, or the first task where it is about none of them.
        passed: Whether it was reproduced; None where that is not known.
        at: When that was found out.
        said: The answer in words.
        next: Whether a replay of the incident itself is what is missing.
    """

    incident: Incident
    run: str
    passed: bool | None
    at: datetime
    said: str
    next: bool = True


def fold_replays(
    agent: str, incidents: Iterable[Incident], stored: Iterable[Evidence], now: datetime
) -> Evidence | None:
    """Return the record of the last incidents at a moment, or of the newest drill where none names a task; None without both.

    An incident is reproduced when a run of it was, and none of its runs failed to be. Where the run log was asked and has no
    run of it that can be replayed, a drill stands in: the replay of another run since the incident. An incident
    without a task, such as that of an owner who left, has nothing to replay.

    Args:
        agent: Agent id.
        incidents: Its incidents, newest first, read as far as they are asked about; drills among them are none.
        stored: Records of `REPLAYED_RUN` of any age; of each run the newest counts, and what was imported proves nothing.
        now: The moment, aware UTC.
    """
    known = sorted(
        (one for one in stored if one.basis is Basis.MEASURED and one.recorded_at <= now),
        key=lambda one: (one.window_to, one.recorded_at),
    )
    newest = {subject: one for one in known for subject in one.items[:1]}
    with_task = (
        one
        for one in incidents
        if one.traces and not one.drill and now - REPLAYED_WITHIN < one.opened_at <= now
    )
    asked = list(islice(with_task, INCIDENTS_ASKED))
    if not asked:
        drills = [one for one in known if one.passed is not None]
        return drills[-1].model_copy(update={"kind": INCIDENTS_REPLAYED}) if drills else None
    answers = [_answer(one, newest) for one in asked]
    failed = [one for one in answers if one.passed is False]
    unknown = [one for one in answers if one.passed is None]
    return _record(agent, failed or unknown or answers, len(answers), now)


def _answer(incident: Incident, newest: dict[str, Evidence]) -> _Answer:
    own = [newest[run] for run in incident.traces if run in newest]
    decided = [one for one in own if one.passed is False] or [one for one in own if one.passed]
    if decided:
        last = max(decided, key=lambda one: one.window_to)
        said = f"{incident.name}, {last.detail}"
        return _Answer(incident=incident, run=last.items[0], passed=last.passed, at=last.window_to, said=said)
    run = incident.traces[0]
    without = newest.get(incident.name)
    if without is None:
        said = f"{incident.name} has not been replayed yet"
        return _Answer(incident=incident, run=run, passed=None, at=incident.opened_at, said=said)
    since = [one for one in newest.values() if one.passed and one.window_to > incident.opened_at]
    if since:
        drill = max(since, key=lambda one: one.window_to)
        said = f"{without.detail}, and since then {drill.detail}"
        return _Answer(incident=incident, run=run, passed=True, at=drill.window_to, said=said)
    said = f"{without.detail}, and no other run has been replayed since"
    return _Answer(incident=incident, run=run, passed=None, at=without.window_to, said=said, next=False)


def _record(agent: str, answers: Sequence[_Answer], n: int, now: datetime) -> Evidence:
    """Return the record that some answers of one kind make: failures alone, what is not known alone, or all that passed."""
    passed = answers[0].passed
    missing = [one.incident for one in answers if one.next and not one.passed]
    counts = {} if passed is not None else {UNKNOWN: len(answers)}
    if missing:
        counts[INCIDENT] = missing[0].number
    return bound_record(
        INCIDENTS_REPLAYED,
        agent,
        now,
        command=f"pilothouse verdict {agent}",
        # The oldest replay is the first that will no longer count; what is not known is not known now.
        until=now if passed is None else min(one.at for one in answers),
        n=n,
        passed=passed,
        detail="; ".join(one.said for one in answers),
        items=tuple(one.run for one in answers),
        counts=counts,
    )
