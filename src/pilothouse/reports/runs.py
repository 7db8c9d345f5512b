# SPDX-License-Identifier: Apache-2.0
"""The Runs page and the page of one recorded run: its timeline, how to play it again, and its difference to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.evidence.run_log import (
    ContextEdited,
    Denied,
    HostContacted,
    LoggedEvent,
    ModelRequest,
    ModelResponse,
    OutputHeld,
    RecordedRun,
    Replayable,
    RunClosed,
    RunState,
    RunSummary,
    ToolCalled,
    ToolReturned,
)
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.foreign import foreign_line, size_text
from pilothouse.reports.moments import at_ns, duration_text, moment
from pilothouse.reports.pictures import timeline
from pilothouse.reports.sections import Cell, Row, Section, SectionsPage, columns
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Sentence,
    StatusMark,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import SHAPES, plural

__all__ = ["CallPair", "RunDifference", "build_run", "build_runs"]

EVENTS_SHOWN = 200
"""Events of one run on its page; `pilothouse replay --show` prints all."""

_NS_PER_S = 1e9
_REPLAY: Mapping[Replayable, tuple[Status, str]] = {
    Replayable.EXACT: (Status.HOLDS, "Whole run"),
    Replayable.MODEL_SIDE: (Status.AT_RISK, "Model calls"),
    Replayable.NO: (Status.NO_EVIDENCE, "Not at all"),
    Replayable.ERASED: (Status.NO_EVIDENCE, "Erased"),
}
_STATES: Mapping[RunState, Status] = {
    RunState.OPEN: Status.NO_EVIDENCE,
    RunState.COMPLETED: Status.HOLDS,
    RunState.FAILED: Status.BREACHED,
    RunState.CANCELLED: Status.AT_RISK,
    RunState.ABANDONED: Status.AT_RISK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPair:
    """A model call of a run beside the one with its number in another.

    Attributes:
        number: 1 for the first.
        asked: Where the requests differ first, or empty when they are equal.
        here: What was answered here, or None without such a call.
        there: What was answered there, or None.
    """

    number: int
    asked: str
    here: str | None
    there: str | None

    @property
    def is_same(self) -> bool:
        """Whether request and answer are equal."""
        return not self.asked and self.here == self.there


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDifference:
    """Two runs call by call."""

    other: str
    calls: tuple[CallPair, ...]


def build_runs(agent: str, runs: Sequence[RunSummary], now: datetime) -> SectionsPage:
    """Build the list.

    Args:
        agent: Agent id.
        runs: Recorded runs, newest first.
        now: The moment, aware UTC.
    """
    able = sum(one.replayable in {Replayable.EXACT, Replayable.MODEL_SIDE} for one in runs)
    plain = (
        f"{able} of {plural(len(runs), 'recorded run')} can be played again without touching the outside."
        if runs
        else "No run is recorded: nothing can be played again."
    )
    base = f"/agents/{quote(agent, safe='')}/runs"
    action = (
        ActionOffer(label="Play the newest one again", command=f"pilothouse replay {runs[0].run[:12]}")
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
                empty=Empty(
                    missing="No model call of this agent has passed the gateway.",
                    asked_by="MON-13",
                    command="pilothouse run -- CMD",
                ),
            ),
        ),
    )


def _mark(pair: tuple[Status, str]) -> StatusMark:
    return StatusMark(status=pair[0], word=pair[1], shape=SHAPES[pair[0]])


def _row(one: RunSummary, base: str, now: datetime) -> Row:
    return Row(
        cells=(
            Cell(mark=_mark(_REPLAY[one.replayable])),
            Cell(text=one.run[:8], href=f"{base}/{one.run}", is_code=True),
            Cell(when=moment(at_ns(one.opened_ns), now)),
            Cell(mark=_mark((_STATES[one.state], one.state.value.capitalize()))),
            Cell(text=f"{one.calls:,}"),
            Cell(text=f"{one.lost:,}"),
            Cell(text=short_digest(one.version), is_code=True),
        )
    )


def build_run(
    recorded: RecordedRun,
    now: datetime,
    *,
    others: Sequence[RunSummary] = (),
    difference: RunDifference | None = None,
) -> SectionsPage:
    """Build the page of one run.

    Args:
        recorded: The run.
        now: The moment, aware UTC.
        others: Further runs of the agent, to be compared with.
        difference: What was compared, or None.
    """
    run = recorded.summary
    took = duration_text(max(0, run.last_ns - run.opened_ns) / _NS_PER_S)
    mark = _mark(_REPLAY[run.replayable])
    plain = (
        f"{plural(run.calls, 'model call')} and {plural(run.events, 'event')} in {took}, "
        f"{run.state.value}; {mark.word.lower()} can be played again."
    )
    if recorded.damage:
        mark = _mark((Status.BREACHED, "Damaged"))
        plain = shown_text(f"The record ends at event {len(recorded.events)}: {recorded.damage}")
    if difference is not None:
        plain = _difference_words(difference)
    base = f"/agents/{quote(run.agent, safe='')}/runs/{run.run}"
    return SectionsPage(
        name="run",
        title=f"{mark.word} · run {run.run[:8]}",
        heading=f"Run {run.run[:8]}",
        agent=run.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=plain),
        action=ActionOffer(
            label="Play it again, the agent's own code too",
            command=f"pilothouse replay {run.run[:12]} --exec 'python agent.py'",
        ),
        sections=(
            *([_difference(difference)] if difference else []),
            _events(recorded),
            _again(run, base, others),
        ),
    )


def _difference_words(difference: RunDifference) -> str:
    first = next((one for one in difference.calls if not one.is_same), None)
    if first is None:
        return f"Every call is the one of run {difference.other[:8]}."
    where = f"the request differs at {first.asked}" if first.asked else "the answer differs"
    return shown_text(f"Parts from run {difference.other[:8]} at call {first.number}: {where}.")


def _difference(difference: RunDifference) -> Section:
    return Section(
        anchor="difference",
        title=f"Against run {difference.other[:8]}",
        note="call by call; the first difference is where they part",
        columns=columns("State", "#Call", "Request differs at", "Answer here", "Answer there"),
        rows=tuple(
            Row(
                cells=(
                    Cell(
                        mark=_mark((Status.HOLDS, "Equal") if one.is_same else (Status.BREACHED, "Differs"))
                    ),
                    Cell(text=str(one.number)),
                    Cell(text=shown_text(one.asked) or "nowhere"),
                    Cell(
                        text=foreign_line(one.here, chars_max=400) if one.here is not None else "no such call"
                    ),
                    Cell(
                        text=foreign_line(one.there, chars_max=400)
                        if one.there is not None
                        else "no such call"
                    ),
                )
            )
            for one in difference.calls
        ),
    )


def _events(recorded: RecordedRun) -> Section:
    shown = recorded.events[:EVENTS_SHOWN]
    first = recorded.summary.opened_ns
    stops = [(at_ns(one.at_ns), one.event.kind, _is_loud(one)) for one in shown]
    more = len(recorded.events) - len(shown)
    return Section(
        anchor="events",
        title="Timeline",
        note=f"{more:,} more: pilothouse replay {recorded.summary.run[:12]} --show" if more else "",
        picture=timeline(stops, "Events of the run, to scale"),
        columns=columns("#Event", "#After", "What", "Seen by", "Says"),
        rows=tuple(
            Row(
                anchor=f"event-{one.seq}",
                cells=(
                    Cell(text=str(one.seq)),
                    Cell(text=duration_text(max(0, one.at_ns - first) / _NS_PER_S)),
                    Cell(text=one.event.kind, is_code=True),
                    Cell(text=one.tap.value),
                    Cell(text=_says(one)),
                ),
            )
            for one in shown
        ),
        empty=Empty(missing="Nothing of this run can be read any more.", command="pilothouse replay --list"),
    )


def _is_loud(one: LoggedEvent) -> bool:
    event = one.event
    if isinstance(event, ModelResponse):
        return event.status >= 400 or event.error is not None
    if isinstance(event, ToolReturned):
        return event.error is not None
    return isinstance(event, Denied | OutputHeld)


def _says(one: LoggedEvent) -> str:
    match one.event:
        case ModelRequest(route=route, body=body):
            text = f"{route}, {size_text(len(body))}"
        case ModelResponse(status=status, model=model, error=error):
            text = f"HTTP {status} {model or ''} {error or ''}"
        case ToolCalled(tool=tool, effect=effect):
            text = f"{tool}, {effect} effect"
        case ToolReturned(error=error):
            text = f"error {error.get('code', '')}" if error else "answered"
        case HostContacted(host=host, inside=inside):
            text = f"{host}{'' if inside else ', outside the gateway'}"
        case Denied(code=code, reason=reason):
            text = f"{code}: {reason}"
        case OutputHeld(reason=reason):
            text = f"held: {reason}"
        case ContextEdited(policy=policy):
            text = f"context shortened by {policy}"
        case RunClosed(state=state):
            text = state.value
        case _:
            text = ""
    return foreign_line(text)


def _again(run: RunSummary, base: str, others: Sequence[RunSummary]) -> Section:
    ident = run.run[:12]
    ways = (
        ("Each model call by itself, closed off", f"pilothouse replay {ident}"),
        ("The agent's own code, closed off", f"pilothouse replay {ident} --exec 'python agent.py'"),
        (
            "Another model asked instead",
            f"pilothouse replay {ident} --mode compare --model MODEL --upstream URL",
        ),
        (
            "Another prompt, until it leaves the record",
            f"pilothouse replay {ident} --mode fork --prompt FILE --upstream URL",
        ),
    )
    rows = [Row(cells=(Cell(text=text), Cell(command=command))) for text, command in ways]
    rows += [
        Row(cells=(Cell(text=f"Compare with run {one.run[:8]}", href=f"{base}?against={one.run}"), Cell()))
        for one in others
    ]
    return Section(
        anchor="again", title="Play it again, or compare", columns=columns("How", "Type"), rows=tuple(rows)
    )
