# SPDX-License-Identifier: Apache-2.0
"""The Runs page: what was recorded of an agent, newest first, and how much of it can be played again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.evidence.run_log import Replayable, RunState, RunSummary
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.moments import at_ns, moment
from pilothouse.reports.sections import Cell, Row, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Link,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
)
from pilothouse.reports.words import plural

__all__ = ["build_runs", "replay_mark"]

_REPLAY: Mapping[Replayable, tuple[Status, str]] = {
    Replayable.EXACT: (Status.HOLDS, "Replayable"),
    Replayable.MODEL_SIDE: (Status.AT_RISK, "Model calls replayable"),
    Replayable.NO: (Status.NO_EVIDENCE, "Not replayable"),
    Replayable.ERASED: (Status.NO_EVIDENCE, "Erased"),
    Replayable.UNRECORDED: (Status.NO_EVIDENCE, "Not recorded by choice"),
}
_STATES: Mapping[RunState, Status] = {
    RunState.OPEN: Status.NO_EVIDENCE,
    RunState.COMPLETED: Status.HOLDS,
    RunState.FAILED: Status.BREACHED,
    RunState.CANCELLED: Status.AT_RISK,
    RunState.ABANDONED: Status.AT_RISK,
    RunState.CUT: Status.AT_RISK,
}


def replay_mark(run: RunSummary) -> StatusMark:
    """Return how much of a run can be played again."""
    status, word = _REPLAY[run.replayable]
    return mark_of(status, word=word)


def build_runs(
    agent: str,
    runs: Sequence[RunSummary],
    now: datetime,
    *,
    before_ns: int | None = None,
    has_older: bool = False,
) -> SectionsPage:
    """Build a page of the list.

    Args:
        agent: Agent id.
        runs: Recorded runs, newest first.
        now: The moment, aware UTC.
        before_ns: Only runs opened before this are asked for, Unix nanoseconds; None for the newest.
        has_older: Whether there are more of them before these.
    """
    able = sum(one.replayable.is_playable for one in runs)
    base = f"/agents/{quote(agent, safe='')}/runs"
    more = [Link(text="Older", href=f"{base}?before={runs[-1].opened_ns}")] if runs and has_older else []
    more += [Link(text="Newest of all", href=base)] if before_ns is not None else []
    # Of a part of the list no figure is said as if it were of all.
    shown = " shown here" if more else ""
    plain = (
        f"{able} of {plural(len(runs), 'recorded run')}{shown} can be replayed: the recorded answers are given back, and nothing outside is touched."
        if runs
        else "No run is recorded, so none can be replayed."
        if before_ns is None
        else "No run was opened before that."
    )
    action = (
        ActionOffer(
            label="Replay the newest one" if before_ns is None else "Replay the newest of these",
            href=f"{base}/{runs[0].run}#again",
            command=f"pilothouse replay {runs[0].run[:12]}",
        )
        if able
        else ActionOffer(
            label="Send the agent's model calls through the gateway",
            command="pilothouse run -- CMD",
        )
    )
    return SectionsPage(
        name="runs",
        title=f"Runs of {agent}",
        heading="Runs",
        agent=agent,
        as_of=page_moment(now),
        sentence=Sentence(plain=plain),
        action=action,
        sections=(
            Section(
                anchor="runs",
                title="Recorded runs",
                note="newest first",
                columns=columns("Replay", "Run", "Opened", "Ended", "#Calls", "#Lost events", "Version"),
                rows=tuple(_row(one, base, now) for one in runs),
                more=tuple(more),
                empty=Empty(
                    missing="No model call of this agent has passed the gateway.",
                    asked_by="MON-13",
                    command="pilothouse run -- CMD",
                ),
            ),
        ),
    )


def _row(one: RunSummary, base: str, now: datetime) -> Row:
    return row(
        replay_mark(one),
        Cell(text=one.run[:8], href=f"{base}/{one.run}", is_code=True),
        moment(at_ns(one.opened_ns), now),
        mark_of(_STATES[one.state], word=one.state.value.capitalize()),
        f"{one.calls:,}",
        f"{one.lost:,}",
        Cell(text=short_digest(one.version), is_code=True),
    )
