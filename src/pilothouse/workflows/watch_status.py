# SPDX-License-Identifier: Apache-2.0
"""What each detector of an agent says now, how often it cries wolf, and after how many days it would notice what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from pydantic import TypeAdapter

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import Alert
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.statistics.change import baseline_floor
from pilothouse.core.statistics.detection import Detectability, DetectionDesign, detectability
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.quality import quality_interval
from pilothouse.core.statistics.rates import RateState, rate_detectability
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.verdict.task_cost import Spent, TaskCost, task_cost
from pilothouse.ports.watch import WatchReading, WatchState, WatchStore
from pilothouse.workflows.alerts import rule_for
from pilothouse.workflows.strata import JUDGED
from pilothouse.workflows.watch_count import CONFIDENCE, REVIEWED
from pilothouse.workflows.watch_quality import QualityState, judge_errors, pooled
from pilothouse.workflows.watch_room import LABELS
from pilothouse.workflows.watch_rules import TRUTH, Watched, arl_days, watched_rates
from pilothouse.workflows.watch_words import METRIC_WORDS

__all__ = ["DROPS", "RULE_DROP", "DetectorStatus", "WatchStatus", "watch_status"]

DROPS = (0.03, 0.05, 0.07, 0.10)
"""Falls for which a detector says when it would notice them."""

RULE_DROP = 0.05
"""The fall that a rule must notice within its time where the charter names none: five points, as for quality."""

WINDOW_DAYS = 28
ALARM_STANDS_DAYS = 7
"""An alarm is shown, and breaches, until seven counted days have passed without another."""

VERDICT_LAG_DAYS = 330 / 86_400
"""What the verdict sees is frozen every 300 s at most and looked at every 30 s."""

COST_DELAY_DAYS = 3 / 24
"""Median time until half as much again is noticed, from the simulation of the cost monitor (number 17)."""

_RATES: TypeAdapter[dict[str, RateState]] = TypeAdapter(dict[str, RateState])
_QUALITY: TypeAdapter[QualityState] = TypeAdapter(QualityState)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorStatus:
    """One detector of one task type.

    Attributes:
        metric: What is watched.
        title: How people call it.
        task_type: Task type, or empty for all.
        rule: Id of the alert rule behind it, or None: then it only warns and buys labels.
        state: `quiet`, `learning`, `warning`, `alarm` or `blind`, worst last.
        value: The rate of the last 28 counted days as people speak of it, or None.
        low: Lower end of its 95 % interval, or None.
        high: Upper end, or None.
        n: Cases behind it.
        line: Where evidence begins to grow, as people speak of it, or None.
        cases_per_day: Cases a day, labels where people give them.
        false_alarms_per_year: How many are accepted for the rule at most, all its task types together.
        delays: Days until it is noticed that the rate is worse by each size of `DROPS` than its baseline, or than the
            charter's line where there is none; None for never, empty when nothing is known.
        lag_days: Days from the end of a day until it was counted, as measured; None before the first one.
        promised_days: What the rule promises (`detect_within`), days, or None.
        delay_days: Days until the fall that the rule is about is noticed, lag included; None when unknown or never.
        counted_to: The last counted day, or None.
        alarmed: Day of the last alarm, or None.
        note: What is missing or what a reader must know, or empty.
    """

    metric: str
    title: str
    task_type: str
    rule: str | None
    state: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    line: float | None = None
    cases_per_day: float = 0.0
    false_alarms_per_year: float | None = None
    delays: tuple[Detectability, ...] = ()
    lag_days: float | None = None
    promised_days: float | None = None
    delay_days: float | None = None
    counted_to: date | None = None
    alarmed: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStatus:
    """All detectors of an agent.

    Attributes:
        agent: Agent id.
        detectors: One for each rate and task type, then those of the whole agent.
        errors: How often each kind of error ended a task in the last 28 counted days, most frequent first.
        cost: What a task cost all-in in the last 28 counted days, or None before the first task is counted.
    """

    agent: str
    detectors: tuple[DetectorStatus, ...]
    errors: tuple[tuple[str, int], ...]
    cost: TaskCost | None = None


def watch_status(store: WatchStore, charter: Charter, today: date) -> WatchStatus:
    """Return what the detectors of an agent say.

    Args:
        store: States and readings.
        charter: The charter in force.
        today: The present day, UTC.
    """
    states = store.states(charter.agent)
    said: dict[tuple[str, str], list[WatchReading]] = {}
    # Labels take days to come: their last 28 counted days lie further back.
    for reading in store.readings(charter.agent, since=today - timedelta(days=2 * WINDOW_DAYS)):
        said.setdefault((reading.task_type, reading.detector), []).append(reading)
    newest = {key: readings[-WINDOW_DAYS:] for key, readings in said.items()}
    rows = [
        *(
            _rate(charter, one, states, newest.get((one.task_type, one.metric), ()))
            for one in watched_rates(charter)
        ),
        *_labelled(charter, states, newest),
        *_claims(charter, states, newest),
        *_whole(charter, newest),
    ]
    errors: dict[str, int] = {}
    for (_name, detector), readings in newest.items():
        if detector == "traffic":
            for one in readings:
                for kind, count in json.loads(one.document)["errors"].items():
                    errors[kind] = errors.get(kind, 0) + count
    return WatchStatus(
        agent=charter.agent,
        detectors=tuple(_promise(charter, row, today) for row in rows),
        errors=tuple(sorted(errors.items(), key=lambda pair: (-pair[1], pair[0]))),
        cost=_all_in(charter, newest),
    )


def _all_in(charter: Charter, newest: Mapping[tuple[str, str], Sequence[WatchReading]]) -> TaskCost | None:
    """The last 28 counted days of traffic, with what people decided on them."""
    traffic = [one for (_, detector), said in newest.items() if detector == "traffic" for one in said]
    days = [one.day for one in traffic]
    documents = [json.loads(one.document) for one in traffic]
    tasks = sum(one["tasks"] for one in documents)
    if not tasks:
        return None
    reviewed = [one for one in newest.get(("", REVIEWED), ()) if min(days) <= one.day <= max(days)]
    whole = len({one.day for one in reviewed}) == len(set(days))
    spent = Spent(
        days=(max(days) - min(days)).days + 1,
        tasks=tasks,
        model_usd=sum(sum(one["usd"]) for one in documents),
        unpriced=sum(one["unpriced"] for one in documents),
        reviewed=sum(sum(json.loads(one.document)["items"].values()) for one in reviewed) if whole else None,
    )
    return task_cost(charter, spent)


def _rate(
    charter: Charter,
    watched: Watched,
    states: Mapping[tuple[str, str], WatchState],
    readings: Sequence[WatchReading],
) -> DetectorStatus:
    kept = states.get((watched.task_type, watched.closes))
    state = (_RATES.validate_json(kept.document) if kept else {}).get(watched.metric)
    row = _row(charter, watched.metric, watched.task_type, watched.rule, readings)
    if state is None or not readings:
        return row
    documents = [json.loads(one.document) for one in readings]
    n, good = sum(one["n"] for one in documents), sum(one["good"] for one in documents)
    line = watched.watch.line(state)
    days = sum(1 for one in documents if one["n"])
    found: dict[str, Any] = {"note": documents[-1]["missing"], "alarmed": state.alarmed}
    if n:
        estimate = jeffreys_interval(good, n)
        if isinstance(estimate, Estimate):
            # Days of one agent are not a fixed sample: the interval describes, the detector decides.
            found |= _shown(estimate, inverted=watched.inverted)
        found |= {"n": n, "cases_per_day": n / days}
    if line is not None:
        found["line"] = 1 - line if watched.inverted else line
        if n:
            found["delays"] = rate_detectability(
                value=line
                if not watched.watch.uses_baseline or state.baseline is None
                else state.baseline.value,
                line=line,
                cases_per_day=n / days,
                arl_days=watched.watch.arl_days,
                detectors=watched.watch.detectors,
                drops=DROPS,
            )
    learning = line is None or bool(documents[-1]["missing"])
    return replace(row, state="blind" if not n else "learning" if learning else "quiet", **found)


def _labelled(
    charter: Charter,
    states: Mapping[tuple[str, str], WatchState],
    said: Mapping[tuple[str, str], Sequence[WatchReading]],
) -> Iterator[DetectorStatus]:
    types = [name for name in charter.task_types if not quality_is_outcome(charter, name)]
    for name in types:
        rule = rule_for(charter, "quality", name)
        readings = said.get((name, "quality"), ())
        row = _row(charter, "quality", name, rule, readings)
        kept = states.get((name, LABELS))
        if kept is None or not readings:
            yield replace(row, note="no label of a finished day yet: `pilothouse review` shows what waits")
            continue
        state = _QUALITY.validate_json(kept.document)
        yield _quality(charter, name, row, state, readings, arl_days(rule), len(types))


def _quality(  # noqa: PLR0917 - one row of the table
    charter: Charter,
    name: str,
    row: DetectorStatus,
    state: QualityState,
    readings: Sequence[WatchReading],
    arl: float,
    detectors: int,
) -> DetectorStatus:
    documents = [json.loads(one.document) for one in readings]
    strata = [one for one in pooled(state.recent) if one.judged]
    labels = sum(one.labelled for one in strata)
    estimate = quality_interval(strata) if strata else None
    line = known(charter.task_types[name].quality.min) if state.base is None else baseline_floor(state.base)
    days = max(len(state.recent), 1)
    found: dict[str, Any] = {"note": documents[-1]["missing"], "alarmed": state.alarmed, "n": labels}
    found["cases_per_day"] = labels / days
    if isinstance(estimate, Estimate):
        found |= _shown(estimate, inverted=False)
    if line is not None and isinstance(estimate, Estimate) and labels:
        found["line"] = line
        value = estimate.value if state.base is None else state.base.value
        errors = judge_errors(state)
        judged = sum(one.judged for one in strata if one.name in JUDGED) / days
        if errors is not None and judged >= 1:
            design = DetectionDesign(
                quality=min(value, 0.999),
                se=min(errors[0], 0.9999),
                sp=min(errors[1], 0.9999),
                judged_per_day=round(judged),
                labels_per_day=min(labels / days, judged),
                m0=line,
                arl_days=arl,
                detectors=detectors,
            )
            found["delays"] = detectability(design, DROPS)
        else:
            found["delays"] = rate_detectability(
                value=value,
                line=line,
                cases_per_day=labels / days,
                arl_days=arl,
                detectors=detectors,
                drops=DROPS,
            )
    certified = documents[-1]["certification"]
    if certified and state.alarmed is not None:
        found["note"] = certified
    learning = line is None or bool(documents[-1]["missing"])
    return replace(row, state="blind" if not labels else "learning" if learning else "quiet", **found)


def _claims(
    charter: Charter,
    states: Mapping[tuple[str, str], WatchState],
    said: Mapping[tuple[str, str], Sequence[WatchReading]],
) -> Iterator[DetectorStatus]:
    """What agents claim against what became of it, for task types that claim a confidence."""
    for name in charter.task_types:
        readings = said.get((name, CONFIDENCE), ())
        if not readings:
            continue
        documents = [json.loads(one.document) for one in readings]
        n, good = sum(one["n"] for one in documents), sum(one["good"] for one in documents)
        claimed = sum(one["n"] * one["claimed"] for one in documents) / n
        kept = states.get((name, TRUTH))
        state = (_RATES.validate_json(kept.document) if kept else {}).get(CONFIDENCE)
        estimate = jeffreys_interval(good, n)
        shown: dict[str, Any] = _shown(estimate, inverted=False) if isinstance(estimate, Estimate) else {}
        yield replace(
            _row(charter, CONFIDENCE, name, None, readings),
            state="learning" if documents[-1]["missing"] else "quiet",
            n=n,
            line=claimed,
            cases_per_day=n / len(documents),
            alarmed=None if state is None else state.alarmed,
            note=documents[-1]["missing"] or f"claims {100 * claimed:.1f} % on average",
            **shown,
        )


def _whole(
    charter: Charter, said: Mapping[tuple[str, str], Sequence[WatchReading]]
) -> Iterator[DetectorStatus]:
    readings = said.get(("", "cost_per_task"), ())
    rule = rule_for(charter, "cost_per_task", None)
    row = _row(charter, "cost_per_task", "", rule, readings)
    if not readings:
        row = replace(row, note="no task had a known cost yet: `pilothouse price` sets prices")
    if readings:
        document = json.loads(readings[-1].document)
        alarms = [one.day for one in readings if one.layer != "quiet"]
        row = replace(
            row,
            state="learning" if document["missing"] else "quiet",
            n=document["hours"],
            false_alarms_per_year=document["per_year"],
            alarmed=alarms[-1] if alarms else None,
            note=document["missing"],
            delay_days=None
            if document["missing"] or row.lag_days is None
            else 1 + COST_DELAY_DAYS + row.lag_days,
        )
    yield row
    readings = said.get(("", "drift"), ())
    row = _row(charter, "drift", "", None, readings)
    if not readings:
        row = replace(row, note="the week after the first one is not over: there is nothing to compare yet")
    if readings:
        document = json.loads(readings[-1].document)
        alarms = [one.day for one in readings if one.layer != "quiet"]
        row = replace(
            row,
            state="quiet" if document["p"] else "learning",
            n=document["n"],
            alarmed=alarms[-1] if alarms else None,
            false_alarms_per_year=1.0,
            note=document["detail"],
        )
    yield row
    rule = rule_for(charter, "served_model", None)
    if rule is not None:
        row = _row(charter, "served_model", "", rule, ())
        yield replace(
            row,
            state="quiet",
            false_alarms_per_year=0.0,
            lag_days=VERDICT_LAG_DAYS,
            delay_days=VERDICT_LAG_DAYS,
            note="every call is looked at; the verdict says what it found",
        )


def _row(
    charter: Charter, metric: str, task_type: str, rule: Alert | None, readings: Sequence[WatchReading]
) -> DetectorStatus:
    del charter
    within = None if rule is None or rule.detect_within is None else known(rule.detect_within)
    titles = {"cost_per_task": "Cost per task", "drift": "Drift", "served_model": "Served model"}
    return DetectorStatus(
        metric=metric,
        title=titles.get(metric) or METRIC_WORDS[metric][0],
        task_type=task_type,
        rule=None if rule is None else rule.id,
        state="blind",
        false_alarms_per_year=365.0 / arl_days(rule),
        lag_days=_lag(readings),
        promised_days=None if within is None else within / timedelta(days=1),
        counted_to=readings[-1].day if readings else None,
        note="" if readings else "no day is counted yet: `pilothouse up` counts them",
    )


def _lag(readings: Sequence[WatchReading]) -> float | None:
    """Median time from the end of a day until it was counted, of the last seven counted ones."""
    lags = sorted(
        (one.at - midnight(one.day + timedelta(days=1))) / timedelta(days=1) for one in readings[-7:]
    )
    return max(lags[len(lags) // 2], 0.0) if lags else None


def _promise(charter: Charter, row: DetectorStatus, today: date) -> DetectorStatus:
    """Say when the fall that the rule is about would be noticed, and whether an alarm stands."""
    del today
    if row.delays and row.lag_days is not None:
        wanted = RULE_DROP
        if row.metric == "quality" and row.task_type:
            points = known(charter.task_types[row.task_type].quality.max_drop)
            wanted = RULE_DROP if points is None else float(points) / 100
        # Of the sizes that were computed, the largest that is not above the wanted one: never kinder than the truth.
        fitting = [one for one in row.delays if one.drop <= wanted + 1e-9] or list(row.delays[:1])
        days = fitting[-1].days
        row = replace(row, delay_days=None if days is None else days + row.lag_days)
    if row.alarmed is not None and row.counted_to is not None:
        stands = (row.counted_to - row.alarmed).days < ALARM_STANDS_DAYS
        if stands:
            return replace(row, state="warning" if row.rule is None else "alarm")
    return row


def _shown(estimate: Estimate, *, inverted: bool) -> dict[str, float]:
    if inverted:
        return {"value": 1 - estimate.value, "low": 1 - estimate.high, "high": 1 - estimate.low}
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
