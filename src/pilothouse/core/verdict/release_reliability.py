# SPDX-License-Identifier: Apache-2.0
"""Whether enough cases come out good in all of k runs: pass^k against the least that is asked."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.core.statistics.repeats import pass_hat_k
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import percent_range, percentage
from pilothouse.core.verdict.release import ITEMS_MAX, CaseResult, GateRules, undecided
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["judge_reliability"]


def judge_reliability(results: Sequence[CaseResult], rules: GateRules) -> ItemVerdict | None:
    """Decide whether enough cases come out good in all of k runs.

    Args:
        results: Results of the candidate, k repeats or more each.
        rules: Rules of the task type.

    Returns:
        The item, or None when the rules ask for nothing.
    """
    k = rules.reliable_k
    if k <= 1:
        return None
    rule = f"at least {percentage(rules.reliable_min)} of the cases come out good in all of {k} runs"
    item = undecided("reliable", rules, rule, bound=rules.reliable_min)
    whole = [one for one in results if None not in one.candidate and len(one.candidate) >= k]
    if not whole:
        runs = max((len(one.candidate) for one in results), default=0)
        few = f"each case ran {runs} times, {k} are needed: give --repeats {k}"
        return item.model_copy(
            update={"sentence": few if runs < k else f"no case has a score for all of its {runs} runs"}
        )
    estimate = pass_hat_k(
        [sum(map(bool, one.candidate)) for one in whole],
        [len(one.candidate) for one in whole],
        k,
        clusters=[one.cluster for one in whole],
        level=1 - 2 * rules.alpha,
    )
    if isinstance(estimate, NotEnoughEvidence):
        return item.model_copy(
            update={"sentence": estimate.reason, "n": len(whole), "n_needed": estimate.need}
        )
    bound = rules.reliable_min
    status = (
        Status.HOLDS
        if estimate.low >= bound
        else Status.BREACHED
        if estimate.high < bound
        else Status.NO_EVIDENCE
    )
    return item.model_copy(
        update={
            "status": status,
            "reason": Reason.INSUFFICIENT if status is Status.NO_EVIDENCE else None,
            "sentence": f"pass^{k} is {percentage(estimate.value)} {percent_range(estimate.low, estimate.high)} over {len(whole)} cases",
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "n": len(whole),
            "method": estimate.method.value,
            "items": tuple(one.case_id for one in whole if not all(one.candidate))[:ITEMS_MAX],
        }
    )
