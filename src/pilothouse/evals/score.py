# SPDX-License-Identifier: Apache-2.0
"""A judgement of one result by one scorer; a score without a value says why, and is never zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from pilothouse.evals.foreign_code import plain_reason

__all__ = ["OutOfRange", "Score", "ScoreStatus", "Unscored", "failed", "passed", "unscored"]


class OutOfRange(ValueError):
    """A value that no score can have; any other `ValueError` of a scorer is its crash."""


class ScoreStatus(StrEnum):
    """Whether there is a value."""

    OK = "ok"
    UNSCORED = "unscored"


class Unscored(StrEnum):
    """Why a score has no value."""

    PARSE_FAILED = "parse_failed"
    JUDGE_REFUSED = "judge_refused"
    JUDGE_UNREACHABLE = "judge_unreachable"
    MODEL_CHANGED = "model_changed"
    """Another model answered than the pinned judge: its errors are unknown."""
    TIMEOUT = "timeout"
    TRACE_MISSING = "trace_missing"
    COST_UNKNOWN = "cost_unknown"
    TIME_UNKNOWN = "time_unknown"
    OUTCOME_UNKNOWN = "outcome_unknown"
    """The system of record neither confirms nor contradicts it, or not yet."""
    NOT_APPLICABLE = "not_applicable"
    """The scorer has nothing to say about this case; it leaves the denominator."""
    OUT_OF_RANGE = "out_of_range"
    """The scorer answered a value it declared impossible, or NaN; it is not clipped."""
    SCORER_CRASHED = "scorer_crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one scorer says about one result.

    Attributes:
        value: Goodness in [0, 1], 1 is right; None if and only if there is no score.
        status: Whether there is a value.
        why: Why there is none; None otherwise.
        reason: One short sentence for a person.
        cost_usd: What scoring cost; 0 for a computation, None when a judge's cost is unknown.
    """

    value: float | None
    status: ScoreStatus = ScoreStatus.OK
    why: Unscored | None = None
    reason: str = ""
    cost_usd: float | None = 0.0

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status is ScoreStatus.UNSCORED):
            raise ValueError("a score has a value if and only if its status is ok")
        if (self.why is None) != (self.status is ScoreStatus.OK):
            raise ValueError("an unscored result says why, and only an unscored one does")
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise OutOfRange(f"score {self.value} is not in [0, 1]")
        if self.cost_usd is not None and not (math.isfinite(self.cost_usd) and self.cost_usd >= 0):
            raise OutOfRange(f"cost {self.cost_usd} is no amount of money")
        object.__setattr__(self, "reason", plain_reason(self.reason))


def passed(reason: str = "") -> Score:
    """Return the score of a right answer.

    Example:
        >>> passed().value
        1.0
    """
    return Score(value=1.0, reason=reason)


def failed(reason: str) -> Score:
    """Return the score of a wrong answer, with what was wrong.

    Example:
        >>> failed("queue is 'ap-2', expected 'ap-1'").value
        0.0
    """
    return Score(value=0.0, reason=reason)


def unscored(why: Unscored, reason: str = "", *, cost_usd: float | None = 0.0) -> Score:
    """Return a score without a value.

    Example:
        >>> unscored(Unscored.TIMEOUT).value is None
        True
    """
    return Score(
        value=None,
        status=ScoreStatus.UNSCORED,
        why=why,
        reason=reason,
        cost_usd=cost_usd,
    )
