# SPDX-License-Identifier: Apache-2.0
"""What watches the agent as a whole says now: cost, failures, context loss, drift, and what the verdict looks at itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.watched import DetectorStatus
from pilothouse.core.statistics.drift_detection import drift_detectability
from pilothouse.core.statistics.rates import rate_detectability
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Reason, Status
from pilothouse.ports.watch import WatchReading, WatchState
from pilothouse.reports.words import plural
from pilothouse.runtime.context.counting import ALERTS
from pilothouse.workflows.incidents.alerts import METRIC_OF_KIND, rule_for
from pilothouse.workflows.watch.context import CONTEXT, CONTEXT_EVERY_S, ENDED_AFTER, WINDOW_DAYS, ContextDays
from pilothouse.workflows.watch.cost import HOURLY_DELAY_DAYS
from pilothouse.workflows.watch.drift import ALARM_P, DETECTORS, FEATURES, P_LEAST
from pilothouse.workflows.watch.errors import ERRORS, failure_watch
from pilothouse.workflows.watch.row import DROPS, blank_row, independent_cases

__all__ = ["overall_rows"]

VERDICT_LAG_DAYS = 330 / 86_400
"""What the verdict sees is frozen every 300 s at most and looked at every 30 s."""

COST_NOTES = {
    "hour": ("each hour against the same hour of other weeks", "half as much again"),
    "day": ("each day, or as many as 20 tasks take, against the 28 before", "twice what is usual"),
}
"""How costs are compared, and the rise for which it is said how soon it is noticed."""

WINDOW_TOLD_DAYS = 60 / 86_400
"""The gateway puts a call near the window on record within 30 s, and people are called of it within 30 s more."""

CONTEXT_DELAY_DAYS = (ENDED_AFTER + timedelta(seconds=CONTEXT_EVERY_S)) / timedelta(days=1)

Said = Mapping[tuple[str, str], Sequence[WatchReading]]

BY_VERDICT = {
    "served_model": ("Served model", "each call is held against the pin and its stand-ins", 0.0),
    "tool_errors": (
        "Answers after tool errors",
        "the traces of tasks with tools are read every ten minutes",
        10.0,
    ),
    "volume": ("Volume", "counted over 28 days; it calls nobody before it is proved", 0.0),
}
"""Metrics that the verdict judges itself: title, how, and minutes until a look beside those of the verdict."""


def overall_rows(
    charter: Charter, states: Mapping[tuple[str, str], WatchState], said: Said, verdict: AgentVerdict | None
) -> Iterator[DetectorStatus]:
    """Yield the rows of the agent as a whole.

    Args:
        charter: The charter in force.
        states: What the detectors remember.
        said: What they said of the last counted days, by task type and detector.
        verdict: The newest verdict, or None where only delays are asked for.
    """
    yield _cost(charter, said.get(("", "cost_per_task"), ()))
    yield _failures(charter, said.get(("", ERRORS), ()))
    yield _context(charter, states.get(("", CONTEXT)))
    yield _window(states.get(("", CONTEXT)))
    for title, tests in DETECTORS.items():
        yield _drift(charter, title, tests, said.get(("", "drift"), ()))
    for metric in BY_VERDICT:
        if metric == "served_model" or rule_for(charter, metric, None) is not None:
            yield _by_verdict(charter, metric, verdict)


def _cost(charter: Charter, readings: Sequence[WatchReading]) -> DetectorStatus:
    row = blank_row("cost_per_task", "Cost per task", "", rule_for(charter, "cost_per_task", None), readings)
    if not readings:
        return replace(row, note="no task had a known cost yet: `pilothouse price` sets prices")
    document = json.loads(readings[-1].document)
    missing = document["missing"]
    # Readings of older versions compared hours only.
    window = document.get("window", "hour")
    noticed = document.get("noticed_days", None if missing else HOURLY_DELAY_DAYS)
    how, rise = COST_NOTES[window]
    seen = f"{rise} goes unnoticed, days differ too much" if noticed is None else f"seen: {rise}"
    return replace(
        row,
        state="learning" if missing else "quiet",
        n=0 if missing else document.get("n", document.get("hours", 0)),
        false_alarms_per_year=document["per_year"],
        alarmed=_last_alarm(readings),
        note=missing or f"{how}; {seen}",
        delay_days=None if noticed is None or row.lag_days is None else noticed + row.lag_days,
    )


def _failures(charter: Charter, readings: Sequence[WatchReading]) -> DetectorStatus:
    """Kinds of failure share one row: each is held against its own past."""
    row = blank_row(ERRORS, "Kinds of failure", "", rule_for(charter, "tool_errors", None), readings)
    if not readings:
        return row
    documents = [json.loads(one.document) for one in readings]
    newest, n = documents[-1], sum(one["n"] for one in documents)
    days = sum(1 for one in documents if one["n"])
    row = replace(row, n=n, cases_per_day=n / max(days, 1), alarmed=_last_alarm(readings))
    if newest["line"] is None or newest["missing"] or not n:
        note = newest["missing"] or "no task in these days"
        return replace(row, state="learning" if n else "blind", note=note)
    watch = failure_watch(charter)
    delays = rate_detectability(
        value=1.0,
        line=newest["line"],
        cases_per_day=independent_cases(documents) / days,
        arl_days=watch.arl_days,
        detectors=watch.detectors,
        drops=DROPS,
    )
    note = f"a kind that is new may end {percentage(1 - newest['line'])} of tasks before evidence against it grows"
    return replace(row, state="quiet", delays=delays, note=note)


def _context(charter: Charter, kept: WatchState | None) -> DetectorStatus:
    row = blank_row("truncation", "Inputs read short", "", rule_for(charter, "truncation", None), ())
    row = replace(row, false_alarms_per_year=0.0, lag_days=CONTEXT_DELAY_DAYS)
    days = None if kept is None else ContextDays.read(kept.document)
    found = None if days is None else days.count()
    if days is None or found is None or not found.inputs:
        return replace(
            row,
            note="no model call with a reported size passed the gateway: `pilothouse run -- CMD` sends them",
        )
    newest = max(days.days)
    idle = days.idle(charter)
    parts = [
        f"{found.cut:,} of {found.inputs:,} inputs were read short; {found.unknown:,} more without a reported size",
        f"{found.opaque:,} that their provider may have shortened" if found.opaque else "",
        f"{' and '.join(idle)} took nothing out in {WINDOW_DAYS} days: is the limit ever reached?"
        if idle
        else "",
    ]
    cut = [day for day, _ in days.runs]
    return replace(
        row,
        state="quiet",
        n=found.inputs,
        value=found.cut / found.inputs,
        low=found.cut / found.inputs,
        high=found.cut / found.inputs,
        cases_per_day=found.inputs / len(days.days),
        counted_to=date.fromisoformat(newest),
        alarmed=date.fromisoformat(max(cut)) if cut else None,
        delay_days=CONTEXT_DELAY_DAYS,
        note="; ".join(filter(None, parts)),
    )


def _window(kept: WatchState | None) -> DetectorStatus:
    """How near calls come to the window: the gateway tells of each by an estimate, this counts what providers reported."""
    row = replace(
        blank_row("context_window", "Window in use", "", None, ()),
        false_alarms_per_year=None,
        lag_days=CONTEXT_DELAY_DAYS,
        delay_days=WINDOW_TOLD_DAYS,
    )
    days = None if kept is None else ContextDays.read(kept.document)
    use = None if days is None else days.use()
    if days is None or use is None or not use.calls + use.refused:
        return replace(
            row,
            note="no recorded call has reported tokens and a known window: `model.limits.window_tokens` of the charter says it",
        )
    near = [day for day in days.window if days.use(day).over[0] or days.use(day).refused]
    reached = ", ".join(
        f"{count:,} reached {100 * alert:g} %" for alert, count in zip(ALERTS, use.over, strict=True)
    )
    share = use.over[0] / use.calls if use.calls else None
    return replace(
        row,
        state="quiet",
        n=use.calls,
        value=share,
        low=share,
        high=share,
        cases_per_day=use.calls / len(days.window),
        counted_to=date.fromisoformat(max(days.window)),
        alarmed=date.fromisoformat(max(near)) if near else None,
        note=f"of {plural(use.calls, 'call')} {reached}; highest {use.highest / 10:.1f} % of the window; "
        f"{use.refused:,} more did not fit and were refused",
    )


def _drift(
    charter: Charter, title: str, tests: Sequence[str], readings: Sequence[WatchReading]
) -> DetectorStatus:
    row = blank_row("drift", title, "", rule_for(charter, "drift", None), readings)
    row = replace(row, false_alarms_per_year=len(tests) / len(P_LEAST))
    if not readings:
        note = "the week after the first one is not over: there is nothing to compare yet"
        return replace(row, note=note)
    documents = [json.loads(one.document) for one in readings]
    newest = documents[-1]
    alarms = [
        one.day
        for one, document in zip(readings, documents, strict=True)
        if set(document["changed"]) & set(tests)
    ]
    told = [part for part in newest["detail"].split("; ") if part.partition(":")[0] in tests]
    ran = [one for one in tests if one in newest["p"]]
    row = replace(row, n=newest["n"], alarmed=alarms[-1] if alarms else None, note="; ".join(told))
    if not ran:
        return replace(row, state="learning")
    lag = row.lag_days or 0.0
    if "inputs" in ran:
        # Readings of older versions do not say how many were compared.
        reference, current = newest.get("compared") or (newest["n"], newest["n"])
        delays = drift_detectability(reference, current, features=FEATURES, alarm_p=ALARM_P, shares=DROPS)
        return replace(row, state="quiet", delays=delays)
    # A change that these tests see at all they see in the week after it.
    return replace(row, state="quiet", delay_days=7 + lag)


def _by_verdict(charter: Charter, metric: str, verdict: AgentVerdict | None) -> DetectorStatus:
    title, how, minutes = BY_VERDICT[metric]
    row = blank_row(metric, title, "", rule_for(charter, metric, None), ())
    delay = VERDICT_LAG_DAYS + minutes / (24 * 60)
    row = replace(row, false_alarms_per_year=0.0, lag_days=delay, note=how)
    items = [] if verdict is None else _items(verdict, metric)
    if not items:
        note = f"{how}; nothing of it was measured yet"
        return replace(row, note=note, delay_days=delay if metric == "served_model" else None)
    breached = [one for one in items if one.status is Status.BREACHED]
    unknown = [one for one in items if one.status is Status.NO_EVIDENCE]
    said, state = how, "quiet"
    if breached:
        said, state = breached[0].sentence, "warning" if row.rule is None else "alarm"
    elif unknown:  # what lapsed or was too little is quiet because nobody looks
        said = unknown[0].sentence
        state = "learning" if all(one.reason is Reason.INSUFFICIENT for one in unknown) else "blind"
    return replace(row, state=state, n=max(one.n for one in items), delay_days=delay, note=said)


def _items(verdict: AgentVerdict, metric: str) -> list[ItemVerdict]:
    """What was measured of a metric."""
    return [
        item
        for requirement in verdict.requirements
        for item in requirement.items
        if METRIC_OF_KIND.get(item.kind) == metric and item.basis == "measured"
    ]


def _last_alarm(readings: Sequence[WatchReading]) -> date | None:
    return max((one.day for one in readings if one.layer != "quiet"), default=None)
