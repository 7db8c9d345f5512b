# SPDX-License-Identifier: Apache-2.0
"""What the detectors of each task type say now: rates of all tasks, quality by labels, the judge, claimed confidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.watched import DetectorStatus
from pilothouse.core.statistics.detection import DetectionDesign, detectability
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.quality import labels_alike, quality_interval
from pilothouse.core.statistics.rates import BASELINE_DAYS, rate_detectability, rate_of_turns
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.verdict.numbers import percentage
from pilothouse.ports.watch import WatchReading, WatchState
from pilothouse.workflows.incidents.alerts import rule_for
from pilothouse.workflows.review.strata import JUDGED
from pilothouse.workflows.watch.book import JUDGE_STATE, QUALITY_STATE, RATE_STATES
from pilothouse.workflows.watch.count import CONFIDENCE, claim_line
from pilothouse.workflows.watch.judge import (
    BASE_CASES_MIN,
    JUDGE,
    JudgeState,
    judge_errors,
    judge_warning,
)
from pilothouse.workflows.watch.labels import pooled
from pilothouse.workflows.watch.quality import QualityState, is_suspected, quality_line
from pilothouse.workflows.watch.room import LABELS
from pilothouse.workflows.watch.row import DROPS, blank_row, independent_cases, shown_interval
from pilothouse.workflows.watch.rules import TRUTH, Watched, arl_days, types_sharing
from pilothouse.workflows.watch.words import METRIC_WORDS

__all__ = ["claim_rows", "label_rows", "rate_row"]

JUDGE_SEES_MIN = 0.3
"""Youden's J below which the warning takes a judge to be this good."""


def rate_row(
    watched: Watched,
    states: Mapping[tuple[str, str], WatchState],
    readings: Sequence[WatchReading],
) -> DetectorStatus:
    """Return the row of one rate of one task type.

    Args:
        watched: What is watched, against which line.
        states: What the detectors remember.
        readings: What this one said of the last counted days.
    """
    kept = states.get((watched.task_type, watched.closes))
    state = (RATE_STATES.validate_json(kept.document) if kept else {}).get(watched.metric)
    row = blank_row(
        watched.metric, METRIC_WORDS[watched.metric][0], watched.task_type, watched.rule, readings
    )
    if state is None or not readings:
        return row
    documents = [json.loads(one.document) for one in readings]
    n, good = sum(one["n"] for one in documents), sum(one["good"] for one in documents)
    line = watched.watch.line(state)
    days = sum(1 for one in documents if one["n"])
    found: dict[str, Any] = {"note": documents[-1]["missing"], "alarmed": state.alarmed}
    worth = independent_cases(documents)
    if n:
        estimate = rate_of_turns(good, n, worth)
        if estimate is not None:
            # Days of one agent are not a fixed sample: the interval describes, the detector decides.
            found |= shown_interval(estimate, inverted=watched.inverted)
        found |= {"n": n, "cases_per_day": n / days}
    if line is not None:
        found["line"] = 1 - line if watched.inverted else line
        if n:
            found["delays"] = rate_detectability(
                value=line
                if not watched.watch.uses_baseline or state.baseline is None
                else state.baseline.value,
                line=line,
                cases_per_day=worth / days,
                arl_days=watched.watch.arl_days,
                detectors=watched.watch.detectors,
                drops=DROPS,
            )
    learning = line is None or bool(documents[-1]["missing"])
    return replace(row, state="blind" if not n else "learning" if learning else "quiet", **found)


def label_rows(
    charter: Charter,
    states: Mapping[tuple[str, str], WatchState],
    said: Mapping[tuple[str, str], Sequence[WatchReading]],
) -> Iterator[DetectorStatus]:
    """Yield quality by labels, and the judge that buys more of them, for task types whose metric is no system of record.

    Args:
        charter: The charter in force.
        states: What the detectors remember.
        said: What they said of the last counted days, by task type and detector.
    """
    types = [name for name in charter.task_types if not quality_is_outcome(charter, name)]
    for name in types:
        rule = rule_for(charter, "quality", name)
        readings = said.get((name, "quality"), ())
        row = blank_row("quality", METRIC_WORDS["quality"][0], name, rule, readings)
        kept = states.get((name, LABELS))
        if kept is None or not readings:
            yield replace(row, note="no label of a finished day yet: `pilothouse review` shows what waits")
            continue
        state = QUALITY_STATE.validate_json(kept.document)
        yield _quality(charter, name, row, state, readings, arl_days(rule), types_sharing(charter, rule))
        judge = states.get((name, JUDGE))
        if judge is not None and (name, JUDGE) in said:
            yield _judge(name, JUDGE_STATE.validate_json(judge.document), state, said[name, JUDGE])


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
    turns = _turns(documents)
    estimate = quality_interval(strata, design_effect=labels_alike(strata, turns)) if strata else None
    line = quality_line(charter, name, state)
    days = max(len(state.recent), 1)
    found: dict[str, Any] = {"note": documents[-1]["missing"], "alarmed": state.alarmed, "n": labels}
    found["cases_per_day"] = labels / days
    if isinstance(estimate, Estimate):
        found |= shown_interval(estimate, inverted=False)
    if line is not None and isinstance(estimate, Estimate) and labels:
        found["line"] = line
        value = estimate.value if state.base is None else state.base.value
        errors = judge_errors(state)
        judged = sum(one.judged for one in strata if one.name in JUDGED) / days
        if errors is not None and judged >= 1:
            design = DetectionDesign(
                quality=min(max(value, 0.001), 0.999),
                se=min(errors[0], 0.9999),
                sp=min(errors[1], 0.9999),
                judged_per_day=round(judged),
                labels_per_day=min(labels / days, judged),
                m0=line,
                arl_days=arl,
                detectors=detectors,
                turns=turns,
            )
            found["delays"] = detectability(design, [drop for drop in DROPS if drop < design.quality])
        else:
            found["delays"] = rate_detectability(
                value=value,
                line=line,
                cases_per_day=labels / labels_alike(strata, turns) / days,
                arl_days=arl,
                detectors=detectors,
                drops=DROPS,
            )
    certified = documents[-1]["certification"]
    if certified and state.alarmed is not None:
        found["note"] = certified
    if not found["note"] and is_suspected(state, documents[-1]["e"], documents[-1]["threshold"]):
        found["note"] = (
            f"a fall is suspected ({documents[-1]['e']:,.0f} to 1): more labels are bought until it is settled"
        )
    learning = line is None or bool(documents[-1]["missing"])
    return replace(row, state="blind" if not labels else "learning" if learning else "quiet", **found)


def _turns(documents: Sequence[Mapping[str, Any]]) -> float:
    """Turns that the conversation of a task has on a day; days that were counted by an older version say nothing of them."""
    judged = [sum(tally[0] for tally in one["tallies"].values()) for one in documents]
    turns = sum(n * one.get("turns", 1.0) for n, one in zip(judged, documents, strict=True))
    return turns / sum(judged) if sum(judged) else 1.0


def _judge(
    name: str, state: JudgeState, labels: QualityState, readings: Sequence[WatchReading]
) -> DetectorStatus:
    """The first layer: verdicts of the judge alone, which buy labels and open nothing."""
    documents = [json.loads(one.document) for one in readings]
    n, good = sum(one["n"] for one in documents), sum(one["good"] for one in documents)
    row = blank_row(JUDGE, "Tasks that the judge passes", name, None, readings)
    found: dict[str, Any] = {"n": n, "cases_per_day": n / len(documents), "alarmed": state.warning.warned_on}
    estimate = jeffreys_interval(good, n) if n else None
    if isinstance(estimate, Estimate):
        found |= shown_interval(estimate, inverted=False)
    errors = judge_errors(labels)
    warning = judge_warning(state, j=0.0 if errors is None else sum(errors) - 1)
    if warning is None:
        over = state.days >= BASELINE_DAYS and state.judged >= BASE_CASES_MIN
        note = "it passed too few tasks so far to tell a fall" if over else "the first month is not over"
        return replace(row, state="learning", note=note, **found)
    # A fall of quality moves the judge's verdicts by its share that the judge sees.
    seen = max(warning.j, JUDGE_SEES_MIN)
    delays = rate_detectability(
        value=warning.base_pass_rate,
        line=warning.line,
        cases_per_day=max(n / len(documents), 1e-9),
        arl_days=warning.threshold,
        drops=[drop * seen for drop in DROPS],
    )
    found["delays"] = [replace(one, drop=drop) for one, drop in zip(delays, DROPS, strict=True)]
    found["delays"] = tuple(found["delays"])
    note = "it buys labels; whether quality fell is said by them"
    return replace(row, state="quiet", line=warning.line, note=note, **found)


def claim_rows(
    charter: Charter,
    states: Mapping[tuple[str, str], WatchState],
    said: Mapping[tuple[str, str], Sequence[WatchReading]],
) -> Iterator[DetectorStatus]:
    """Yield what agents claim against what became of it, for task types that claim a confidence.

    Args:
        charter: The charter in force.
        states: What the detectors remember.
        said: What they said of the last counted days, by task type and detector.
    """
    for name in charter.task_types:
        readings = said.get((name, CONFIDENCE), ())
        if not readings:
            continue
        documents = [json.loads(one.document) for one in readings]
        n, good = sum(one["n"] for one in documents), sum(one["good"] for one in documents)
        claimed = sum(one["n"] * one["claimed"] for one in documents) / n
        kept = states.get((name, TRUTH))
        state = (RATE_STATES.validate_json(kept.document) if kept else {}).get(CONFIDENCE)
        worth = independent_cases(documents)
        estimate = rate_of_turns(good, n, worth)
        shown: dict[str, Any] = {} if estimate is None else shown_interval(estimate, inverted=False)
        yield replace(
            blank_row(CONFIDENCE, METRIC_WORDS[CONFIDENCE][0], name, None, readings),
            state="learning" if documents[-1]["missing"] else "quiet",
            n=n,
            line=claimed,
            cases_per_day=n / len(documents),
            alarmed=None if state is None else state.alarmed,
            note=documents[-1]["missing"] or f"claims {percentage(claimed)} on average",
            delays=rate_detectability(
                value=claim_line(claimed),
                line=claim_line(claimed),
                cases_per_day=worth / len(documents),
                arl_days=arl_days(None),
                detectors=len(charter.task_types),
                drops=DROPS,
            ),
            **shown,
        )
