# SPDX-License-Identifier: Apache-2.0
"""Adapter for a scorer of another library: its value is kept unchanged, and no value becomes a missing one."""

from __future__ import annotations

import hashlib
import math

from pilothouse.core.evidence.foreign_score import ForeignMetric
from pilothouse.evals.case import Case
from pilothouse.evals.score import Score, Unscored, unscored
from pilothouse.evals.scorers.scorer import ScorerKind, ScorerSpec
from pilothouse.evals.trial import Result

__all__ = ["ForeignScorer"]


class ForeignScorer:
    """Wraps a metric of another library.

    Args:
        name: Name in the registry, for example `deepeval:ExactMatchMetric`.
        metric: The metric.
    """

    def __init__(self, name: str, metric: ForeignMetric) -> None:
        self._metric = metric
        # Whether a model is asked inside cannot be seen from outside: what does not say that it computes is a judge.
        kind = ScorerKind.JUDGE if getattr(metric, "is_judge", True) else ScorerKind.DETERMINISTIC
        version = hashlib.sha256(f"{name} {metric.identity}".encode()).hexdigest()
        self.spec = ScorerSpec(name=name, kind=kind, version=version)

    async def score(self, case: Case, result: Result) -> Score:
        """Score a result; a value outside [0, 1] is refused, not clipped.

        Raises:
            ValueError: The result has no reply.
        """
        if result.reply is None:
            raise ValueError("only a result that is done can be scored")
        found = await self._metric.measure(
            input=case.input, output=result.reply.output, expected=case.expected
        )
        if found.value is None:
            # Without an expectation many that compare have nothing to say. A judge that says nothing, as one does that could
            # not read its model, has no score: left out, the answers that it cannot judge would be nobody's.
            is_silent = case.expected is None and self.spec.kind is ScorerKind.DETERMINISTIC
            why = Unscored.NOT_APPLICABLE if is_silent else Unscored.PARSE_FAILED
            return unscored(why, found.reason, cost_usd=None)
        if not (math.isfinite(found.value) and 0.0 <= found.value <= 1.0):
            return unscored(Unscored.OUT_OF_RANGE, f"value {found.value}", cost_usd=None)
        return Score(value=found.value, reason=found.reason, cost_usd=None)
