# SPDX-License-Identifier: Apache-2.0
"""The Watch page: what each detector says now, how soon it would notice what, and how often it cries wolf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.watched import DetectorStatus
from pilothouse.core.verdict.numbers import days_long, interval, percent, percentage
from pilothouse.core.verdict.task_cost import TaskCost
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.reports.domain import asked_section, domain_head
from pilothouse.reports.moments import span_text
from pilothouse.reports.sections import Cell, Row, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.watch_work import NOT_COUNTED
from pilothouse.reports.words import UNKNOWN, money_text, plural

__all__ = ["build_watch"]

_STATES: Mapping[str, tuple[Status, str]] = {
    "quiet": (Status.HOLDS, "Quiet"),
    "learning": (Status.NO_EVIDENCE, "Learning"),
    "warning": (Status.AT_RISK, "Warning"),
    "alarm": (Status.BREACHED, "Alarm"),
    "blind": (Status.NO_EVIDENCE, "Blind"),
}
_COUNTED = frozenset({"quiet", "warning", "alarm"})
NO_RATE = "not a rate"
"""What stands in place of a rate where a detector compares costs, words or names: unknown would say that nobody knows."""

_WORST_FIRST = ("alarm", "warning", "blind", "learning", "quiet")


def build_watch(
    charter: Charter,
    verdict: AgentVerdict,
    detectors: Sequence[DetectorStatus],
    now: datetime,
    *,
    falls: Sequence[float],
    cost: TaskCost | None = None,
    further: Sequence[Section] = (),
    missed: str = "",
) -> SectionsPage:
    """Build the page.

    Args:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        detectors: Detectors of the agent.
        now: The moment, aware UTC.
        falls: Falls for which delays are known, as fractions.
        cost: What a task costs all-in, or None before the first one is counted.
        further: What ended tasks, how many were scored, and what model calls cost.
        missed: What is to be said of alarms that called nobody, or empty.
    """
    ordered = sorted(detectors, key=lambda one: _WORST_FIRST.index(one.state))
    loud = [one for one in ordered if one.state in {"alarm", "warning"}]
    blind = [one for one in ordered if one.state in {"blind", "learning"}]
    worst = ordered[0] if ordered else None
    mark = _mark(worst.state) if worst else mark_of(Status.NO_EVIDENCE)
    head = domain_head(verdict, charter, "MON")
    return SectionsPage(
        name="watch",
        title=f"{mark.word} · watch of {charter.agent}",
        heading="Watch",
        agent=charter.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=shown_text(f"{missed} {_sentence(ordered, loud, blind)}".strip())),
        action=_action(charter.agent, loud) or head.action,
        sections=(
            _detectors(ordered),
            _detectability(ordered, falls),
            _cost(cost),
            *further,
            asked_section(head, charter, charter.agent),
        ),
    )


def _mark(state: str) -> StatusMark:
    status, word = _STATES[state]
    return mark_of(status, word=word)


def _sentence(
    ordered: Sequence[DetectorStatus], loud: Sequence[DetectorStatus], blind: Sequence[DetectorStatus]
) -> str:
    if not ordered:
        return "No detector watches this agent yet."
    if loud:
        names = ", ".join(_name(one) for one in loud[:3])
        return shown_text(f"{plural(len(loud), 'detector speaks', 'detectors speak')}: {names}.")
    if all(one.counted_to is None for one in ordered):
        return f"{plural(len(ordered), 'detector stands', 'detectors stand')} ready: no finished day is counted yet."
    quiet = f"Quiet: {len(ordered) - len(blind)} of {plural(len(ordered), 'detector')}"
    return f"{quiet}; {len(blind)} cannot tell yet." if blind else f"{quiet}."


def _name(one: DetectorStatus) -> str:
    return f"{one.title} on {one.task_type}" if one.task_type else one.title


def _action(agent: str, loud: Sequence[DetectorStatus]) -> ActionOffer | None:
    if not loud:
        return None
    return ActionOffer(
        label="Read the tasks behind it", command=f"pilothouse traces --agent {agent}", href="/incidents"
    )


def _detectors(ordered: Sequence[DetectorStatus]) -> Section:
    return Section(
        anchor="detectors",
        title="Detectors",
        note="last 28 counted days, worst first",
        columns=columns("State", "Watches", "#Now", "#Cases", "#Cases a day", "Rule", "Counted to"),
        rows=(*(_row(one) for one in ordered if not _is_silent(one)), *_silent(ordered)),
        empty=Empty(missing="The charter names nothing to watch.", command="pilothouse check"),
    )


def _row(one: DetectorStatus) -> Row:
    return row(
        Cell(mark=_mark(one.state), small=_noted(one)),
        Cell(text=shown_text(one.title), small=shown_text(one.task_type)),
        _rate(one),
        f"{one.n:,}" if _is_measured(one) else "",
        f"{one.cases_per_day:,.1f}" if one.cases_per_day else "",
        shown_text(one.rule or "none: it only warns"),
        calendar_day(one.counted_to) if one.counted_to else "no day yet",
    )


def _is_silent(one: DetectorStatus) -> bool:
    """Whether nothing at all is known of it, so that many of its kind say no more than one."""
    return one.state == "blind" and not _is_measured(one) and one.counted_to is None


def _silent(ordered: Sequence[DetectorStatus]) -> list[Row]:
    """Return one row for all detectors that wait for the same thing."""
    waiting: dict[str, list[DetectorStatus]] = {}
    for one in ordered:
        if _is_silent(one):
            waiting.setdefault(one.note, []).append(one)
    return [
        row(
            Cell(mark=_mark("blind"), small=shown_text(note)),
            Cell(
                text=_name(alike[0]) if len(alike) == 1 else f"{len(alike)} detectors",
                small=shown_text(", ".join(dict.fromkeys(one.title for one in alike)))
                if len(alike) > 1
                else "",
            ),
            "unknown",
            "",
            "",
            "",
            # A note that says what brings it is followed, and counting days would not bring it.
            Cell(text="no day yet", command="" if "`" in note else "pilothouse watch tick"),
        )
        for note, alike in waiting.items()
    ]


def _is_measured(one: DetectorStatus) -> bool:
    return None not in {one.value, one.low, one.high}


def _rate(one: DetectorStatus) -> Cell:
    if one.value is None or one.low is None or one.high is None:
        return Cell(text=NO_RATE if one.state in _COUNTED else UNKNOWN)
    line = "" if one.line is None else f"line {percentage(one.line)}"
    found = interval(one.low, one.high, "rate", n=one.n, currency="")
    return Cell(text=percent(one.value, one.n), small=" · ".join(part for part in (found, line) if part))


def _noted(one: DetectorStatus) -> str:
    """Say what a reader must know, and that a rate beyond its line was called for: the days of before stay in the rate."""
    alarmed = "" if one.alarmed is None else f"last alarm {calendar_day(one.alarmed)}"
    return "; ".join(part for part in (alarmed, shown_text(one.note)) if part)


def _days(value: float | None, *, bound: float | None = None) -> str:
    """Return a time of days; digits are added until one that is longer than promised looks longer."""
    if value is None:
        return "never"
    if value < 1:
        return span_text(timedelta(days=value))
    text = f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"
    if bound is not None and value != bound and text in {f"{bound:.1f}", f"{bound:,.0f}"}:
        text = days_long(value, bound=bound)
    return f"{text} d"


def _delays(one: DetectorStatus, falls: Sequence[float]) -> Iterator[str]:
    known = {each.drop: each.days for each in one.delays}
    other = NO_RATE if one.delay_days is not None and not known else UNKNOWN
    return (_days(known[fall]) if fall in known else other for fall in falls)


def _detectability(ordered: Sequence[DetectorStatus], falls: Sequence[float]) -> Section:
    known = [
        one for one in ordered if one.delays or one.promised_days is not None or one.delay_days is not None
    ]
    return Section(
        anchor="detectability",
        title="How soon it would notice",
        note="days until a fall of so many points is noticed at the volume of now, and false alarms a year",
        columns=columns(
            "Detector",
            *(f"#{fall * 100:g} points" for fall in falls),
            "#Promised",
            "#Kept",
            "#False alarms a year, at most",
        ),
        rows=tuple(
            row(
                Cell(text=shown_text(one.title), small=shown_text(one.task_type)),
                *_delays(one, falls),
                _days(one.promised_days) if one.promised_days is not None else "nothing",
                "unknown" if one.delay_days is None else _days(one.delay_days, bound=one.promised_days),
                "unknown" if one.false_alarms_per_year is None else f"{one.false_alarms_per_year:.2g}",
            )
            for one in known
        ),
        empty=Empty(
            missing="Nothing is known of delays before a detector has its baseline.",
            asked_by="`detect_within` of an alert",
            command="pilothouse watch status",
        ),
    )


def _cost(cost: TaskCost | None) -> Section:
    """Each part of the cost of a task, and their sum, which is unknown when a part is."""
    rows: list[Row] = []
    if cost is not None:
        for name, amount, basis in (
            *((one.name, one.money, one.basis) for one in cost.parts),
            ("All-in", cost.total, f"last {cost.days} counted days"),
        ):
            rows.append(row(name, money_text(amount, cost.currency), shown_text(basis)))
    return Section(
        anchor="cost",
        title="Cost of a task",
        note="all-in: model calls, minutes of review at the cost of an hour, fixed costs of the month",
        columns=columns("Part", "#A task", "From"),
        rows=tuple(rows),
        empty=NOT_COUNTED,
    )
