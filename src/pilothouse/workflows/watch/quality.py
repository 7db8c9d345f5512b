# SPDX-License-Identifier: Apache-2.0
"""Quality from few labels, day by day: whether it left its band, and whether a drop of the charter's size is proved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import date

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.statistics.certification import CertifierState, DropCertifier, certified_line
from pilothouse.core.statistics.change import (
    DAYS_MIN,
    LINE_RANGE,
    DropDetector,
    DropState,
    day_log_e,
    raw_floor,
)
from pilothouse.core.statistics.daily import (
    PRIOR_FAIL,
    PRIOR_PASS,
    DayCounts,
    DayStratum,
    answered_probability,
    predicted_rate,
)
from pilothouse.core.statistics.quality import labels_alike, quality_interval
from pilothouse.core.statistics.rates import BASELINE_DAYS
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.statistics.wealth import log_mean, rise
from pilothouse.workflows.watch.labels import LabelledDay, Tally, pooled

__all__ = [
    "SUSPICION",
    "QualityLook",
    "QualityState",
    "is_suspected",
    "look_at_labels",
    "quality_line",
]

SUSPICION = "suspicion"
"""Name of the detector's first layer: evidence of labels that is high and undecided buys more of them."""

SUSPECTED_SHARE = 1 / 20
"""Share of the alarm's evidence from which a fall is suspected: about two days of labels in a quiet year (decision 0139)."""

PREDICTION_DAYS = 28
"""Closed days from which the share of good answers of a verdict is predicted."""

PRIORS = {"pass": PRIOR_PASS, "verified": PRIOR_PASS, "fail": PRIOR_FAIL, "contradicted": PRIOR_FAIL}
PRIOR_UNKNOWN = 0.75
"""Prediction where nothing is known of a task: the middle of the two."""

CERTIFY_DAYS_MAX = 60
"""An alarm after so many days is about another drop, and its proof begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityState:
    """What is remembered of a task type's labels; JSON in the ledger.

    Attributes:
        drop: State of the drop detector.
        recent: Tallies of the last closed days by stratum, oldest first, at most `PREDICTION_DAYS`.
        baseline: Sums of the first month by stratum, while it is gathered.
        baseline_days: Days in it.
        baseline_alike: Sum over its tasks of the other turns of their conversations.
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
    baseline_alike: float = 0.0
    base: Estimate | None = None
    certifier: CertifierState | None = None
    cusum: float = 0.0
    risen: date | None = None
    alarmed: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLook:
    """What the labels of one day say.

    Attributes:
        line: Quality below which evidence grows, or None.
        e_value: Evidence that quality lies below it.
        threshold: Evidence at which the alarm is raised.
        alarm: Whether it is raised.
        suspected: Whether a fall is suspected: more labels would settle it.
        proved: Day on which a drop of the charter's size was proved after an alarm, or None.
        certification: The state of that proof in words, or empty.
        missing: What is missing for a judgement, or empty.
    """

    line: float | None
    e_value: float
    threshold: float
    alarm: bool
    suspected: bool = False
    proved: date | None = None
    certification: str = ""
    missing: str = ""


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
    line = quality_line(charter, name, state)
    after = _remember(state, labelled)
    threshold = arl_days * detectors
    if line is None:
        missing = "the charter says no floor, and the first month is not over"
        if state.base is not None:
            missing = "quality of the first month is so low that no fall below it can be told"
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
        suspected=is_suspected(state, math.exp(log_e), threshold),
        proved=proved,
        certification=said,
        missing=missing,
    )


def quality_line(charter: Charter, name: str, state: QualityState) -> float | None:
    """Return the quality below which evidence grows: the charter's floor, then that of the first month; None for none.

    Args:
        charter: The charter in force.
        name: Task type.
        state: What is remembered of its labels.
    """
    line = known(charter.task_types[name].quality.min) if state.base is None else raw_floor(state.base)
    least, most = LINE_RANGE
    # A floor of 99.95 % is held against the next one that labels can be held against: later, and never too early.
    return None if line is None or line <= least else min(line, most - 0.001)


def is_suspected(state: QualityState, e_value: float, threshold: float) -> bool:
    """Return whether evidence is high and undecided; never in the first month, whose labels must not be more where they are worse.

    Args:
        state: What was remembered before the day.
        e_value: Evidence after it.
        threshold: Evidence at which the alarm is raised.
    """
    return state.base is not None and SUSPECTED_SHARE * threshold <= e_value < threshold


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
    return DayCounts(day=day, strata=strata, turns=labelled.turns), ""


def _predicted(state: QualityState, name: str) -> float:
    before = [tallies.get(name, (0, 0, 0, 0)) for tallies in state.recent]
    good, labelled = sum(one[3] for one in before), sum(one[2] for one in before)
    return predicted_rate(good, labelled, PRIORS.get(name, PRIOR_UNKNOWN))


def _remember(state: QualityState, labelled: LabelledDay) -> QualityState:
    tallies = labelled.tallies
    recent = (*state.recent, dict(tallies))[-PREDICTION_DAYS:]
    if state.base is not None:
        return replace(state, recent=recent)
    sums = dict(state.baseline or {})
    for name, tally in tallies.items():
        before = sums.get(name, (0, 0, 0, 0))
        sums[name] = (before[0] + tally[0], before[1] + tally[1], before[2] + tally[2], before[3] + tally[3])
    judged = sum(tally[0] for tally in tallies.values())
    days = state.baseline_days + (judged > 0)
    alike = state.baseline_alike + judged * (labelled.turns - 1)
    base = None
    if days >= BASELINE_DAYS:
        strata = [one for one in pooled([sums]) if one.judged]
        turns = 1 + alike / max(sum(one.judged for one in strata), 1)
        found = quality_interval(strata, design_effect=labels_alike(strata, turns))
        base = found if isinstance(found, Estimate) else None
    return replace(
        state,
        recent=recent,
        baseline=None if base else sums,
        baseline_days=days,
        baseline_alike=alike,
        base=base,
    )


def _certified(
    charter: Charter, name: str, state: QualityState, counts: DayCounts, *, alarm: bool
) -> tuple[QualityState, date | None, str]:
    """Go on proving that the drop is larger than the charter accepts, from the day after an alarm on."""
    drop = known(charter.task_types[name].quality.max_drop)
    if state.base is None or not drop:
        return state, None, ""
    if certified_line(state.base, float(drop) / 100) <= LINE_RANGE[0]:
        return state, None, ""  # nothing lies so far below a first month that was bad
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
