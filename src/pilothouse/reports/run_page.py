# SPDX-License-Identifier: Apache-2.0
"""The page of one recorded run: its timeline, what edits took out of it, how to play it again, and its difference to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pilothouse.core.evidence.run_log import (
    CUT_SHORT,
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
    RunSummary,
    ToolCalled,
    ToolReturned,
)
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.foreign import foreign_line, size_text
from pilothouse.reports.moments import at_ns, duration_text
from pilothouse.reports.pictures import Timeline, timeline
from pilothouse.reports.runs import replay_mark
from pilothouse.reports.sections import Cell, Field, FormOffer, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Link,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import plural

__all__ = ["CallPair", "CaseOffer", "ReplayOffer", "RunDifference", "Taken", "build_run"]

EVENTS_SHOWN = 200
"""Events of one run on its page; `pilothouse replay --show` prints all."""

SAID_SHOWN = 160
"""Characters of what a model was asked or said: a line or two, for the eye that looks for a place."""

TAKEN_SHOWN = 4_000
"""Characters of a removed result on the page; the command beside it prints all."""

PROMPT_CHARS_MAX = 60_000
"""Instructions that a form holds: percent-encoded they are a third of the largest form."""

DIGEST_SHOWN = 16
"""Hex digits that name a removed result in an address, as its id does."""

_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPair:
    """A model call of a run beside the one with its number in another.

    Attributes:
        number: 1 for the first.
        asked: Where the requests differ first, or empty when they are equal.
        values: What stands there in both requests, or None where nothing can be held against each other.
        here: What was answered here, or None without such a call.
        there: What was answered there, or None.
        changed: What was changed in the request there on purpose, in words, or empty.
        is_answered: Whether a model answered there; else `there` says why not, and nobody knows what it would have said.
    """

    number: int
    asked: str
    here: str | None
    there: str | None
    values: tuple[str, str] | None = None
    changed: str = ""
    is_answered: bool = True

    @property
    def is_same(self) -> bool:
        """Whether request and answer are equal."""
        return not self.asked and self.here == self.there


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDifference:
    """A run beside another, or beside its replay, call by call.

    Attributes:
        other: What stands beside it, in words.
        calls: The pairs.
        note: What is to be known of the other side.
        heads: What the answers of both sides are called.
    """

    other: str
    calls: tuple[CallPair, ...]
    note: str = "calls that differ stand first"
    heads: tuple[str, str] = ("Answer here", "Answer there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A removed result that somebody reads on the page."""

    ident: str
    content: str


_AGAIN: Mapping[Replayable, str] = {
    Replayable.EXACT: "It can be replayed: recorded answers are given back, so nothing outside is touched.",
    Replayable.MODEL_SIDE: "Its model calls can be replayed: recorded answers are given back, so nothing outside is touched.",
    Replayable.NO: "It cannot be replayed: too little of it was recorded.",
    Replayable.ERASED: "Its content was erased, so it cannot be replayed.",
    Replayable.UNRECORDED: "Its model calls were not recorded by choice: it was started with `pilothouse run --record off -- CMD`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOffer:
    """What the visitor may make of a run.

    Attributes:
        task_types: Task types of the charter.
        is_made: Whether the run is a case already.
        may_make: Whether the visitor may make it.
    """

    task_types: tuple[str, ...]
    is_made: bool
    may_make: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOffer:
    """What the visitor may play again here, and what stands in the form.

    Attributes:
        may_play: Whether the visitor may.
        prompt: Instructions that stand there; None for those of the run.
        model: Another model, or empty.
        param: A parameter, or empty.
        gateway: Address of a gateway here that a live model is asked at, or empty where none is known.
    """

    may_play: bool
    prompt: str | None = None
    model: str = ""
    param: str = ""
    gateway: str = ""


def build_run(
    recorded: RecordedRun,
    now: datetime,
    *,
    said: Mapping[int, str] | None = None,
    taken: Taken | None = None,
    case: CaseOffer | None = None,
    replay: ReplayOffer | None = None,
    instructions: str | None = None,
    others: Sequence[RunSummary] = (),
    difference: RunDifference | None = None,
) -> SectionsPage:
    """Build the page of one run.

    Args:
        recorded: The run.
        now: The moment, aware UTC.
        said: What requests and answers say, by the number of their event.
        taken: A removed result that is to be read, or None.
        case: What the visitor may make of it, or None for an agent without a charter.
        replay: How the visitor may play it again here, or None for not at all.
        instructions: Of its first model call, or None without any.
        others: Further runs of the agent, to be compared with.
        difference: What was compared, or None.
    """
    run = recorded.summary
    took = duration_text(max(0, run.last_ns - run.opened_ns) / _NS_PER_S)
    mark = replay_mark(run)
    plain = (
        f"{plural(run.calls, 'model call')} and {plural(run.events, 'event')} in {took}, "
        f"{run.state.value}. {_AGAIN[run.replayable]}"
    )
    if recorded.is_cut:
        plain += f" It may be shorter than what happened: {CUT_SHORT}."
    if recorded.damage:
        mark = mark_of(Status.BREACHED, word="Damaged")
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
        action=ActionOffer(label="Replay it here", href="#again", command=f"pilothouse replay {run.run[:12]}")
        if run.replayable.is_playable
        else None,
        sections=(
            *([_difference(difference)] if difference else []),
            *([_read(taken)] if taken else []),
            _events(recorded, said or {}),
            *_edits(recorded, base),
            *_again(run, base, others, replay, instructions),
            *([_case(run, base, case)] if case else []),
        ),
    )


def _difference_words(difference: RunDifference) -> str:
    first = next((one for one in difference.calls if not one.is_same), None)
    if first is None:
        return f"Every call is the one of {difference.other}."
    if not first.is_answered:
        return shown_text(f"Call {first.number} was not answered: {first.there}")
    where = f"the request differs at {first.asked}" if first.asked else "the answer differs"
    return shown_text(f"Parts from {difference.other} at call {first.number}: {where}.")


def _pair_mark(pair: CallPair) -> StatusMark:
    if not pair.is_answered:
        return mark_of(Status.NO_EVIDENCE, word="No answer")
    return mark_of(Status.HOLDS, word="Equal") if pair.is_same else mark_of(Status.BREACHED, word="Differs")


def _difference(difference: RunDifference) -> Section:
    return Section(
        anchor="difference",
        title=f"Against {difference.other}",
        note=shown_text(difference.note),
        columns=columns("State", "#Call", "Request differs at", *difference.heads),
        rows=tuple(
            row(
                _pair_mark(one),
                str(one.number),
                Cell(text=shown_text(one.asked) or one.changed or "nowhere", small=_both(one)),
                foreign_line(one.here, chars_max=400) if one.here is not None else "no such call",
                foreign_line(one.there, chars_max=400) if one.there is not None else "no such call",
            )
            for one in sorted(difference.calls, key=lambda pair: pair.is_same)
        ),
    )


def _both(pair: CallPair) -> str:
    """Return what stands at the place where two requests differ, here and there."""
    if not pair.asked or pair.values is None:
        return ""
    here, there = (foreign_line(value, chars_max=SAID_SHOWN) or "nothing" for value in pair.values)
    return f"here {here}; there {there}"


def _edits(recorded: RecordedRun, base: str) -> list[Section]:
    """Return what edits of the context took out of requests, each result once; nothing for a run without any."""
    first: dict[str, tuple[int, Mapping[str, Any], int]] = {}
    for one in recorded.events:
        if isinstance(one.event, ContextEdited):
            for entry in one.event.ledger:
                seq, kept, times = first.get(str(entry["digest"]), (one.seq, entry, 0))
                first[str(entry["digest"])] = seq, kept, times + 1
    if not first:
        return []
    rows = [
        row(
            Cell(text=f"event {seq}", href=f"#event-{seq}", small=f"in {plural(times, 'request')}"),
            _REASONS.get(str(entry["reason"]), str(entry["reason"])),
            Cell(text=foreign_line(str(entry["path"])), is_code=True),
            Cell(text=f"{entry['characters']:,}", small=f"about {plural(entry['tokens'], 'token')}"),
            Cell(text="Read it", href=f"{base}?removed={digest[:DIGEST_SHOWN]}#removed"),
        )
        for digest, (seq, entry, times) in list(first.items())[:EVENTS_SHOWN]
    ]
    return [
        Section(
            anchor="edits",
            title="Taken out of requests",
            note="by the edits that the charter switched on; kept here, and the agent can ask for it",
            columns=columns("First at", "Why", "Where", "#Characters", "Content"),
            rows=tuple(rows),
        )
    ]


_REASONS = {
    "duplicate": "it stands again further on",
    "large": "it is large",
    "old": "it is old",
}


def _read(taken: Taken) -> Section:
    return Section(
        anchor="removed",
        title="A result that was taken out",
        note="as it is kept: secrets are replaced",
        columns=columns("Content, and what prints all of it"),
        rows=(
            row(
                Cell(
                    text=foreign_line(taken.content, chars_max=TAKEN_SHOWN),
                    command=f"pilothouse context recall {taken.ident}",
                )
            ),
        ),
    )


def _events(recorded: RecordedRun, said: Mapping[int, str]) -> Section:
    shown = recorded.events[:EVENTS_SHOWN]
    first = recorded.summary.opened_ns
    stops = [(at_ns(one.at_ns), one.event.kind, _is_loud(one)) for one in shown]
    more = len(recorded.events) - len(shown)
    return Section(
        anchor="events",
        title="Timeline",
        note=f"{more:,} more: pilothouse replay {recorded.summary.run[:12]} --show" if more else "",
        picture=_drawn(stops),
        columns=columns("#Event", "#After", "What", "Seen by", "Says"),
        rows=tuple(
            row(
                str(one.seq),
                duration_text(max(0, one.at_ns - first) / _NS_PER_S),
                Cell(text=one.event.kind, is_code=True),
                one.tap.value,
                Cell(text=_says(one), small=foreign_line(said.get(one.seq, ""), chars_max=SAID_SHOWN)),
                anchor=f"event-{one.seq}",
            )
            for one in shown
        ),
        empty=Empty(missing="Nothing of this run can be read any more.", command="pilothouse replay --list"),
    )


def _drawn(stops: Sequence[tuple[datetime, str, bool]]) -> Timeline | None:
    """Return the timeline with durations at its ends: a run is short, and minutes of a clock would be equal."""
    picture = timeline(stops, "Events of the run, to scale")
    if picture is None:
        return None
    took = duration_text((stops[-1][0] - stops[0][0]).total_seconds())
    words = f"{plural(len(stops), 'event')} in {took}; first {stops[0][1]}, last {stops[-1][1]}."
    return picture.model_copy(update={"begins": "0", "ends": took, "description": words})


def _is_loud(one: LoggedEvent) -> bool:
    event = one.event
    if isinstance(event, ModelResponse):
        return event.status >= 400 or event.error is not None
    if isinstance(event, ToolReturned):
        return event.error is not None
    return isinstance(event, Denied | OutputHeld)


def _says(one: LoggedEvent) -> str:
    match one.event:
        case ModelRequest(route=route, body=body, opaque=opaque):
            text = f"{route}, {size_text(len(body))}"
            text += f", opaque: its provider may shorten it ({', '.join(opaque)})" if opaque else ""
        case ModelResponse(status=status, model=model, fallback=fallback, error=error):
            stand_in = f"stand-in after {fallback}" if fallback else None
            text = " ".join(part for part in (f"HTTP {status}", model, stand_in, error) if part)
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
        case ContextEdited(ledger=ledger):
            tokens = sum(entry["tokens"] for entry in ledger)
            text = f"{plural(len(ledger), 'result')} of tools taken out, about {plural(tokens, 'token')}"
        case RunClosed(state=state):
            text = state.value
        case _:
            text = ""
    return foreign_line(text)


def _case(run: RunSummary, base: str, offer: CaseOffer) -> Section:
    """Offer to make the run a case that every later gate asks, or say that it is one."""
    if offer.is_made:
        return Section(
            anchor="case",
            title="Test case",
            empty=Empty(
                missing="This run is a case: every later gate asks it.",
                command="pilothouse gate --candidate TARGET",
            ),
        )
    types = tuple((name, name) for name in offer.task_types)
    form = FormOffer(
        href=base,
        fields=(
            Field(name="correction", label="What would have been right, as text or JSON"),
            Field(name="forbid", label="Tools that must not be called, with commas"),
            Field(name="task_type", label="Task type", value=offer.task_types[0], choices=types),
        ),
        buttons=(("case", f"Make run {run.run[:8]} a case"),),
        warning="It joins the labelled cases that the charter names, and every later gate asks it. Your name goes on record.",
    )
    return Section(
        anchor="case",
        title="Make it a test case",
        note="every later release gate asks it again",
        empty=None if offer.may_make else Empty(missing="The owner or an approver signs in to make it."),
        forms=(form,) if offer.may_make and types else (),
    )


def _again(
    run: RunSummary,
    base: str,
    others: Sequence[RunSummary],
    offer: ReplayOffer | None,
    instructions: str | None,
) -> tuple[Section, Section]:
    """Return what can be played again here and what it is compared with, then the ways of a terminal."""
    ident = run.run[:12]
    gateway = (offer.gateway if offer else "") or "URL"
    ways = (
        ("The model calls, answered from the record", f"pilothouse replay {ident}"),
        (
            "The agent's own code too, answered from the record",
            f"pilothouse replay {ident} --exec 'python agent.py'",
        ),
        (
            "Another model asked beside the record",
            f"pilothouse replay {ident} --mode compare --model MODEL --upstream {gateway}",
        ),
        (
            "With another prompt from the start",
            f"pilothouse replay {ident} --prompt FILE --upstream {gateway}",
        ),
        (
            "With the agent's own code, and made a test case",
            f"pilothouse replay {ident} --exec 'python agent.py' --to-case DATASET --by PERSON --expect FILE",
        ),
    )
    here = offer if run.replayable.is_playable else None
    missing = "Whoever operates the agent signs in to replay it here."
    if here is None:
        missing = "Nothing of it can be replayed here."
    elif here.may_play:
        missing = "Unchanged, it shows whether the record answers every call. Changed, it shows what would have been answered."
    return (
        Section(
            anchor="again",
            title="Replay",
            empty=Empty(missing=missing),
            more=tuple(
                Link(text=f"Compare with run {one.run[:8]}", href=f"{base}?against={one.run}")
                for one in others
            ),
            forms=_replay_forms(base, here, instructions) if here and here.may_play else (),
        ),
        Section(
            anchor="ways",
            title="Replay in a terminal",
            columns=columns("What is replayed", "Type"),
            rows=tuple(row(text, Cell(command=command)) for text, command in ways),
        ),
    )


def _replay_forms(base: str, offer: ReplayOffer, instructions: str | None) -> tuple[FormOffer, ...]:
    """Return what plays the model calls again: as they were, and with one part changed."""
    text = (offer.prompt or instructions) if instructions else None
    has_prompt = text is not None and len(text) <= PROMPT_CHARS_MAX
    prompt = Field(name="prompt", label="Instructions", value=text or "", is_long=True)
    return (
        FormOffer(href=f"{base}/replay", buttons=(("again", "Replay it unchanged"),)),
        FormOffer(
            href=f"{base}/replay",
            fields=(
                Field(name="model", label="Another model", value=offer.model),
                Field(name="param", label="A parameter, such as temperature=0", value=offer.param),
                *((prompt,) if has_prompt else ()),
            ),
            buttons=(("changed", "Replay it with this changed"),),
            warning="No tool runs and nothing outside changes. What the change touches is asked live, through the gateway, and costs what it costs.",
        ),
    )
