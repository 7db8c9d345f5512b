# SPDX-License-Identifier: Apache-2.0
"""Whether enough answers are good: the lower bound of their rate against the floor, at the critical value of the look."""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy

from pilothouse.core.statistics.intervals import cases_to_prove_floor, jeffreys_bounds
from pilothouse.core.statistics.sequential import spending_bounds
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.release import ITEMS_MAX, CaseResult, GateRules, level_worth, undecided
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["judge_floor", "level_critical"]


def judge_floor(
    results: Sequence[CaseResult], rules: GateRules, *, critical: float, is_last: bool
) -> ItemVerdict | None:
    """Decide whether the rate of good answers is proved to reach the floor.

    The first repeat of each case counts, so that repeats do not pretend to be cases. Clusters count as what their cases
    are worth (`level_worth`): fewer cases, of which the same share is good. That share makes fractions of
    cases, and they are not rounded: rounded up to the next good case, a floor was proved twice as often as it may be.

    Args:
        results: Results of the candidate so far.
        rules: Rules of the task type.
        critical: Critical value of this look, for example 1.645 for a single one at 5 %.
        is_last: Whether no look follows.

    Returns:
        The item, or None when no floor is committed.
    """
    if rules.floor is None:
        return None
    scored = [one for one in results if one.candidate and one.candidate[0] is not None]
    level = float(scipy.special.ndtr(critical))
    item = undecided(
        "floor", rules, f"at least {percentage(rules.floor)} of the answers are good", bound=rules.floor
    )
    if not scored:
        fewest = cases_to_prove_floor(rules.floor, 1.0, level)
        return item.model_copy(update={"sentence": "no case has a score", "n_needed": fewest})
    n, good = len(scored), sum(bool(one.candidate[0]) for one in scored)
    n_effective = level_worth(scored)
    low, high = jeffreys_bounds(good * n_effective / n, n_effective, level)
    status = (
        Status.HOLDS if low >= rules.floor else Status.BREACHED if high < rules.floor else Status.NO_EVIDENCE
    )
    further = cases_to_prove_floor(rules.floor, good / n, level, have=n_effective) if is_last else None
    words = {
        Status.HOLDS: f"proved: at least {percentage(low)}",
        Status.BREACHED: f"proved: at most {percentage(high)}",
        Status.NO_EVIDENCE: f"not proved: the rate lies between {percentage(low)} and {percentage(high)}",
    }[status]
    return item.model_copy(
        update={
            "status": status,
            "reason": Reason.INSUFFICIENT if status is Status.NO_EVIDENCE else None,
            "sentence": f"{good} of {n} good ({percentage(good / n)}); {words}",
            "value": good / n,
            "low": low,
            "high": high,
            "n": n,
            "n_needed": None if further is None else n + math.ceil(further * n / n_effective),
            "method": "Jeffreys bound at the critical value of the look",
            "items": tuple(one.case_id for one in scored if not one.candidate[0])[:ITEMS_MAX],
        }
    )


def level_critical(sizes: Sequence[int], rules: GateRules) -> float:
    """Return the critical value of a level at the last of some looks.

    Args:
        sizes: Cases at each look so far, then, as the last, the cases of the final look.
        rules: Rules of the task type.

    Example:
        >>> f"{level_critical((100, 100), GateRules(task_type='t')):.3f}"
        '1.645'
    """
    *looks, final = sizes
    if not looks or list(looks) == [final]:
        return float(scipy.special.ndtri(1 - rules.alpha))
    return spending_bounds(tuple(size / final for size in looks), rules.spending, rules.alpha)[-1]
