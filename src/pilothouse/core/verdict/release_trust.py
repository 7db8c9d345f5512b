# SPDX-License-Identifier: Apache-2.0
"""Whether so few results are missing, for want of a score or by fault of the world, that the rest may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release import ITEMS_MAX, CaseResult, GateRules, undecided
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["RunHealth", "judge_infrastructure", "judge_unscored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHealth:
    """How many trials infrastructure failures lost.

    Attributes:
        planned: Trials that were wanted, stored ones included.
        infra_errors: Trials that ended in an infrastructure error.
        share_max: Largest accepted share.
    """

    planned: int
    infra_errors: int
    share_max: float = 0.02

    @property
    def is_broken(self) -> bool:
        """Whether so many were lost that the rest is not representative."""
        return self.infra_errors > self.share_max * max(self.planned, 1)


def judge_unscored(results: Sequence[CaseResult], rules: GateRules) -> ItemVerdict:
    """Decide whether so few results lack a score that the rest may be believed.

    Args:
        results: Results so far, at least one.
        rules: Rules of the task type.
    """
    answers = [value for one in results for value in one.candidate]
    missing = sum(value is None for value in answers)
    share = missing / len(answers) if answers else 1.0
    is_fine = bool(answers) and share <= rules.unscored_max
    return undecided(
        "scored", rules, f"at most {percentage(rules.unscored_max, decimals=0)} of the results lack a score"
    ).model_copy(
        update={
            "status": Status.HOLDS if is_fine else Status.NO_EVIDENCE,
            "reason": None if is_fine else Reason.INSUFFICIENT,
            "sentence": f"{missing} of {len(answers)} results have no score",
            "value": share,
            "bound": rules.unscored_max,
            "n": len(answers),
            "items": tuple(one.case_id for one in results if None in one.candidate)[:ITEMS_MAX],
        }
    )


def judge_infrastructure(health: RunHealth) -> ItemVerdict:
    """Decide whether infrastructure failures lost so few trials that the rest may be believed."""
    lost, planned = health.infra_errors, health.planned
    return ItemVerdict(
        requirement="infrastructure",
        scope=Scope(),
        status=Status.NO_EVIDENCE if health.is_broken else Status.HOLDS,
        reason=Reason.INSUFFICIENT if health.is_broken else None,
        rule=f"at most {percentage(health.share_max, decimals=0)} of the trials fail for reasons outside the agent",
        sentence=f"{lost} of {planned} trials failed for reasons outside the agent",
        value=lost / planned if planned else None,
        bound=health.share_max,
        unit="rate",
        n=planned,
    )
