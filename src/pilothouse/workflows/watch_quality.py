# SPDX-License-Identifier: Apache-2.0
"""Quality from few labels, day by day: a judge's warning that buys labels, and the labels' verdict on a drop."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import ItemState
from pilothouse.core.statistics.certification import CertifierState, DropCertifier
from pilothouse.core.statistics.change import DAYS_MIN, DropDetector, DropState, baseline_floor, day_log_e
from pilothouse.core.statistics.daily import (
    PRIOR_FAIL,
    PRIOR_PASS,
    DayCounts,
    DayStratum,
    answered_probability,
    predicted_rate,
)
from pilothouse.core.statistics.quality import Stratum, quality_interval
from pilothouse.core.statistics.rates import BASELINE_DAYS
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.statistics.warning import JudgeWarning, WarningState
from pilothouse.core.statistics.wealth import log_mean, rise
from pilothouse.ports.review import ItemRecord
from pilothouse.workflows.strata import JUDGED

__all__ = [
    "JudgeState",
    "LabelledDay",
    "QualityLook",
    "QualityState",
    "Tally",
    "close_labels",
    "judge_errors",
    "look_at_judge",
    "look_at_labels",
    "pooled",
]

PREDICTION_DAYS = 28
"""Closed days from which the share of good answers of a verdict is predicted."""

PRIORS = {"pass": PRIOR_PASS, "verified": PRIOR_PASS, "fail": PRIOR_FAIL, "contradicted": PRIOR_FAIL}
PRIOR_UNKNOWN = 0.75
"""Prediction where nothing is known of a task: the middle of the two."""

BASE_CASES_MIN = 200
"""Judged tasks that a month must have before its pass rate is a base."""

BURST_TIMES = 3
"""A warning buys three times the usual labels."""

CERTIFY_DAYS_MAX = 60
"""An alarm after so many days is about another drop, and its proof begins anew."""

_ANSWERED = {ItemState.ACCEPTED: True, ItemState.CORRECTED: False, ItemState.REJECTED: False}

Tally = tuple[int, int, int, int]
"""Of one stratum and day: judged, chosen for a label, labelled, good among the labelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityState:
    """What is remembered of a task type's labels; JSON in the ledger.

    Attributes:
        drop: State of the drop detector.
        recent: Tallies of the last closed days by stratum, oldest first, at most `PREDICTION_DAYS`.
        baseline: Sums of the first month by stratum, while it is gathered.
        baseline_days: Days in it.
        base: Quality of the first month once it is over.
        certifier: Proof of a drop after an alarm, or None.
        cusum: Evidence of one bet since it last was none.
        risen: First day of that, where the change seems to have begun, or None.
        alarmed: Day of the last alarm, or None.
    """

    drop: DropState = field(default_factory=DropState)
    recent: tuple[dict[str, Tally], ...] = ()
    baseline: dict[str, Tally] | None = None
    baseline_days: int = 0
    base: Estimate | None = None
    certifier: CertifierState | None = None
    cusum: float = 0.0
    risen: date | None = None
    alarmed: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeState:
    """What is remembered of a judge's verdicts; JSON in the ledger.

    Attributes:
        days: Days of the base.
        judged: Tasks judged in them.
        passed: Those that passed.
        warning: State of the warning.
    """

    days: int = 0
    judged: int = 0
    passed: int = 0
    warning: WarningState = field(default_factory=WarningState)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledDay:
    """A day whose labels are all in, or whose time for them is over.

    Attributes:
        tallies: By stratum.
        rates: Chance of a label by stratum; none when no label was requested.
        bad: Traces of the wrong answers.
        note: Why some labels do not count, or empty.
    """

    tallies: Mapping[str, Tally]
    rates: Mapping[str, float]
    bad: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLook:
    """What the labels of one day say.

    Attributes:
        line: Quality below which evidence grows, or None.
        e_value: Evidence that quality lies below it.
        threshold: Evidence at which the alarm is raised.
        alarm: Whether it is raised.
        proved: Day on which a drop of the charter's size was proved after an alarm, or None.
        certification: The state of that proof in words, or empty.
        missing: What is missing for a judgement, or empty.
    """

    line: float | None
    e_value: float
    threshold: float
    alarm: bool
    proved: date | None = None
    certification: str = ""
    missing: str = ""


def close_labels(
    names: Sequence[str],
    strata: Mapping[str, str],
    items: Mapping[str, ItemRecord],
    rates: Mapping[str, float],
    now: datetime,
) -> LabelledDay | None:
    """Return the labels of a day once nobody is waited for any more; None before.

    Args:
        names: Names of the strata.
        strata: Stratum of each task of the day that belongs to one.
        items: Items drawn from these tasks, by trace.
        rates: Chance of a label by stratum as it was fixed before the day.
        now: The moment, aware UTC.
    """
    if any(record.state.is_open and now < record.item.due_at for record in items.values()):
        return None
    counts = {name: [0, 0, 0, 0] for name in names}
    for trace, name in strata.items():
        record = items.get(trace)
        drawn = _drawn_from(record, name)
        tally = counts.setdefault(drawn, [0, 0, 0, 0])
        tally[0] += 1
        if record is not None:
            tally[1] += 1
            good = _ANSWERED.get(record.state)
            if good is not None:
                tally[2] += 1
                tally[3] += good
    bad = tuple(trace for trace, record in items.items() if _ANSWERED.get(record.state) is False)
    return LabelledDay(
        tallies={name: (t[0], t[1], t[2], t[3]) for name, t in counts.items()}, rates=rates, bad=bad
    )


def look_at_labels(
    charter: Charter,
    name: str,
    state: QualityState,
    day: date,
    labelled: LabelledDay,
    *,
    arl_days: float,
    detectors: int,
) -> tuple[QualityState, QualityLook]:
    """Count one closed day of labels.

    Args:
        charter: The charter in force.
        name: Task type.
        state: State after the day before.
        day: The day.
        labelled: Its labels.
        arl_days: Mean days to a false alarm.
        detectors: Detectors that share it.
    """
    counts, note = _counts(state, day, labelled)
    line = known(charter.task_types[name].quality.min) if state.base is None else baseline_floor(state.base)
    after = _remember(state, labelled.tallies)
    threshold = arl_days * detectors
    if line is None:
        missing = "the charter says no floor, and the first month is not over"
        return after, QualityLook(line=None, e_value=0.0, threshold=threshold, alarm=False, missing=missing)
    detector = DropDetector(m0=line, arl_days=arl_days, detectors=detectors)
    last = state.drop.last
    drop = detector.fold(state.drop, counts, 1 if last is None else max((day - last.day).days, 1))
    alarm = counts.informative and detector.is_alarmed(drop)
    log_e = log_mean(drop.log_wealth)
    cusum = rise(state.cusum, day_log_e(counts, line)) if counts.informative else state.cusum
    after = replace(
        after,
        drop=drop,
        cusum=cusum,
        risen=(state.risen or day) if cusum > 0 else None,
        alarmed=day if alarm else state.alarmed,
    )
    after, proved, said = _certified(charter, name, after, counts, alarm=alarm)
    missing = note
    if drop.days < DAYS_MIN:
        missing = (
            missing or f"{drop.days} closed days with labels are too few to judge, {DAYS_MIN} are needed"
        )
    return after, QualityLook(
        line=line,
        e_value=math.exp(log_e),
        threshold=threshold,
        alarm=alarm,
        proved=proved,
        certification=said,
        missing=missing,
    )


def look_at_judge(
    state: JudgeState, day: date, judged: int, passed: int, *, j: float, labels: int, capacity: int
) -> tuple[JudgeState, int | None, float]:
    """Count a day of a judge's verdicts; return the labels that a warning of this very day buys, and the evidence.

    Args:
        state: State after the day before.
        day: The day.
        judged: Tasks judged.
        passed: Those that passed.
        j: Youden's J of the judge as labels show it.
        labels: Usual labels a day.
        capacity: Labels a day that people have time for.
    """
    if not judged:
        return state, None, 0.0
    if state.days < BASELINE_DAYS or state.judged < BASE_CASES_MIN:
        grown = replace(
            state, days=state.days + 1, judged=state.judged + judged, passed=state.passed + passed
        )
        return grown, None, 0.0
    base = min(max(state.passed / state.judged, 0.05), 0.999)
    warning = JudgeWarning(
        base_pass_rate=base, j=j, burst=max(BURST_TIMES * labels, 1), capacity=max(capacity, 0)
    )
    kept, reading = warning.update(state.warning, day, judged, passed)
    return replace(state, warning=kept), reading.labels_tomorrow if reading.warning else None, reading.e_value


def pooled(days: Sequence[Mapping[str, Tally]]) -> tuple[Stratum, ...]:
    """Return the strata of several days as one window.

    Args:
        days: Tallies by stratum.
    """
    sums: dict[str, list[int]] = {}
    for tallies in days:
        for name, tally in tallies.items():
            total = sums.setdefault(name, [0, 0, 0])
            for index, value in enumerate((tally[0], tally[2], tally[3])):
                total[index] += value
    return tuple(Stratum(name=name, judged=t[0], labelled=t[1], good=t[2]) for name, t in sums.items())


def judge_errors(state: QualityState) -> tuple[float, float] | None:
    """Return P(judge pass | good) and P(judge fail | bad) as the last labels show them; None without enough.

    Args:
        state: What is remembered of the labels.
    """
    strata = {one.name: one for one in pooled(state.recent)}
    if set(JUDGED) - set(strata) or not all(strata[name].labelled for name in JUDGED):
        return None
    passed, failed = strata[JUDGED[0]], strata[JUDGED[1]]
    share = (passed.judged + 0.5) / (passed.judged + failed.judged + 1)
    a, b = ((one.good + 0.5) / (one.labelled + 1) for one in (passed, failed))
    theta = share * a + (1 - share) * b
    return share * a / theta, (1 - share) * (1 - b) / (1 - theta)


def _drawn_from(record: ItemRecord | None, otherwise: str) -> str:
    """The stratum at the moment of the draw: what became known later must not move a label."""
    if record is None or not record.item.why.startswith("drawn from "):
        return otherwise
    return record.item.why.removeprefix("drawn from ").split(" ")[0]


def _counts(state: QualityState, day: date, labelled: LabelledDay) -> tuple[DayCounts, str]:
    """The day as the detector counts it: without information where too many stayed silent."""
    chances: dict[str, float] = {}
    for name, (judged, chosen, answered, _good) in labelled.tallies.items():
        rate = labelled.rates.get(name, 0.0)
        if not judged:
            continue
        if rate <= 0:
            return DayCounts(day=day, strata=()), "no label was requested"
        before = [tallies.get(name, (0, 0, 0, 0)) for tallies in state.recent]
        found = answered_probability(
            rate,
            selected=chosen,
            answered=answered,
            recent_selected=sum(one[1] for one in before),
            recent_answered=sum(one[2] for one in before),
        )
        if isinstance(found, NotEnoughEvidence):
            return DayCounts(day=day, strata=()), found.reason
        chances[name] = found
    strata = tuple(
        DayStratum(
            name=name,
            judged=judged,
            labelled_good=good,
            labelled_bad=answered - good,
            probability=chances.get(name, 1.0),
            predicted=_predicted(state, name),
        )
        for name, (judged, _chosen, answered, good) in labelled.tallies.items()
        if judged
    )
    return DayCounts(day=day, strata=strata), ""


def _predicted(state: QualityState, name: str) -> float:
    before = [tallies.get(name, (0, 0, 0, 0)) for tallies in state.recent]
    good, labelled = sum(one[3] for one in before), sum(one[2] for one in before)
    return predicted_rate(good, labelled, PRIORS.get(name, PRIOR_UNKNOWN))


def _remember(state: QualityState, tallies: Mapping[str, Tally]) -> QualityState:
    recent = (*state.recent, dict(tallies))[-PREDICTION_DAYS:]
    if state.base is not None:
        return replace(state, recent=recent)
    sums = dict(state.baseline or {})
    for name, tally in tallies.items():
        before = sums.get(name, (0, 0, 0, 0))
        sums[name] = (before[0] + tally[0], before[1] + tally[1], before[2] + tally[2], before[3] + tally[3])
    days = state.baseline_days + any(tally[0] for tally in tallies.values())
    base = None
    if days >= BASELINE_DAYS:
        found = quality_interval([one for one in pooled([sums]) if one.judged])
        base = found if isinstance(found, Estimate) else None
    return replace(state, recent=recent, baseline=None if base else sums, baseline_days=days, base=base)


def _certified(
    charter: Charter, name: str, state: QualityState, counts: DayCounts, *, alarm: bool
) -> tuple[QualityState, date | None, str]:
    """Go on proving that the drop is larger than the charter accepts, from the day after an alarm on."""
    drop = known(charter.task_types[name].quality.max_drop)
    if state.base is None or not drop:
        return state, None, ""
    certifier = DropCertifier(baseline=state.base, drop=float(drop) / 100)
    old = state.certifier is not None and (counts.day - state.certifier.alarm_on).days > CERTIFY_DAYS_MAX
    if state.certifier is None or (alarm and old):
        return (
            (replace(state, certifier=certifier.start(counts.day)), None, "") if alarm else (state, None, "")
        )
    before = state.certifier.proved_on
    kept, said = certifier.update(state.certifier, counts)
    fresh = kept.proved_on if before is None else None
    return replace(state, certifier=kept), fresh, said.sentence
