# SPDX-License-Identifier: Apache-2.0
"""Which rates of an agent are watched, each against which line and with which guarantee: read from its charter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import Alert
from pilothouse.core.charter.tasks import TaskType
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.statistics.rates import RateWatch
from pilothouse.workflows.incidents.alerts import rule_for

__all__ = ["LATENCY_QUANTILE", "TRAFFIC", "TRUTH", "Watched", "arl_days", "types_sharing", "watched_rates"]

LATENCY_QUANTILE = 0.95
"""The charter's latency is a 95 % quantile: 95 of 100 tasks must be at least as quick."""

WARNING_ARL_DAYS = 60.0
"""Mean days to a false warning: it buys labels and wakes nobody."""

TRAFFIC, TRUTH = "traffic", "truth"
"""When a day is finished: an hour after midnight, or when every claim of it is settled and a day has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One rate of one task type.

    Attributes:
        metric: What is watched.
        counted: Metric of the day that is counted; quality by the system of record is the discrepancy's counter.
        task_type: Task type.
        closes: `TRAFFIC` or `TRUTH`.
        watch: The detector.
        rule: The alert rule of the charter; without one it only warns.
        inverted: Whether people speak of the bad cases (an escalation rate) instead of the good ones.
    """

    metric: str
    counted: str
    task_type: str
    closes: str
    watch: RateWatch
    rule: Alert | None
    inverted: bool

    @property
    def layer(self) -> str:
        """`verdict` where an alert rule stands behind it, `warning` elsewhere."""
        return "warning" if self.rule is None else "verdict"


def watched_rates(charter: Charter) -> Iterator[Watched]:
    """Yield the rates that are watched for an agent."""
    for name, terms in charter.task_types.items():
        for metric, counted, closes, line, inverted in _lines(charter, name, terms):
            yield _watched(charter, name, metric, counted, closes, line=line, inverted=inverted)


def _lines(
    charter: Charter, name: str, terms: TaskType
) -> Iterator[tuple[str, str, str, float | None, bool]]:
    yield "completion", "completion", TRAFFIC, known(terms.completion.min), False
    yield "escalation", "escalation", TRAFFIC, _below(known(terms.escalation.max)), True
    yield "latency", "latency", TRAFFIC, LATENCY_QUANTILE, False
    if terms.verifier is not None:
        yield "discrepancy", "discrepancy", TRUTH, _below(known(terms.discrepancy.max)), True
        most = _below(known(terms.discrepancy.unverifiable_max))
        yield "unverifiable", "unverifiable", TRUTH, most, True
    if quality_is_outcome(charter, name):
        yield "quality", "discrepancy", TRUTH, known(terms.quality.min), False
    yield "override", "override", TRUTH, _below(known(terms.override.max)), True
    yield "complaint", "complaint", TRUTH, None, True
    yield "correction", "correction", TRUTH, None, True


def _below(ceiling: float | None) -> float | None:
    return None if ceiling is None else 1 - ceiling


def _watched(
    charter: Charter, name: str, metric: str, counted: str, closes: str, *, line: float | None, inverted: bool
) -> Watched:
    rule = rule_for(charter, metric, name)
    watch = RateWatch(
        committed=line,
        uses_baseline=line is None or (rule is not None and rule.detector == "drop") or metric == "quality",
        arl_days=arl_days(rule),
        detectors=types_sharing(charter, rule),
    )
    return Watched(
        metric=metric,
        counted=counted,
        task_type=name,
        closes=closes,
        watch=watch,
        rule=rule,
        inverted=inverted,
    )


def types_sharing(charter: Charter, rule: Alert | None) -> int:
    """Return how many task types share the false alarms of a rule, whether records or labels of people tell their quality.

    Args:
        charter: The charter in force.
        rule: The alert rule, or None for a warning.
    """
    if rule is None or rule.task_types == "all":
        return len(charter.task_types)
    return max(len(known(rule.task_types) or ()), 1)


def arl_days(rule: Alert | None) -> float:
    """Return the mean days to a false alarm that a rule accepts: once a year unless it says otherwise.

    Args:
        rule: The alert rule, or None for a warning.
    """
    if rule is None:
        return WARNING_ARL_DAYS
    accepted = known(rule.false_alarms_per_year) if rule.false_alarms_per_year is not None else None
    return 365.0 / accepted if accepted else 365.0
