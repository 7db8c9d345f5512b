# SPDX-License-Identifier: Apache-2.0
"""From which stated confidence on an answer without a person is cheaper than a review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import ItemState
from pilothouse.core.statistics.calibration import Calibrator, fit_calibrator
from pilothouse.core.statistics.checks import Floats
from pilothouse.core.statistics.thresholds import CostThreshold, cost_threshold
from pilothouse.ports.review import ItemRecord

__all__ = ["cheapest_confidence"]

SURE = 1e-6
"""A stated confidence of 0 or 1 is taken this far from it: nothing is certain, and its logit would be infinite."""

NEVER = 2.0
"""A threshold that no confidence reaches."""


def cheapest_confidence(charter: Charter, name: str, labels: Sequence[ItemRecord]) -> CostThreshold | None:
    """Return the lowest stated confidence at which holding an answer costs more than letting it go.

    What an answer states about itself is no probability, so it is calibrated on the labels first.

    Args:
        charter: Says what a wrong answer and a review cost.
        name: Task type.
        labels: Decided answers that one chance drew.

    Returns:
        The threshold on the stated scale, above 1 where no answer is sure enough; None where the charter names no costs, or
        labels are too few to calibrate.
    """
    terms = charter.task_types[name]
    wrong, review = known(terms.cost_of_error), known(terms.cost_of_review)
    if not wrong or review is None:
        return None
    cost = cost_threshold(float(wrong), float(review))
    if not cost.review_pays:
        return cost
    ordered = sorted(labels, key=lambda one: one.item.confidence or 0.0)
    stated = np.array([one.item.confidence or 0.0 for one in ordered])
    fitted = fit_calibrator(_logit(stated), [int(one.state is ItemState.ACCEPTED) for one in ordered])
    if not isinstance(fitted, Calibrator):
        return None
    enough = fitted.predict(_logit(stated)) >= cost.tau
    # Where a higher confidence is less often right, only a top that is right often enough may go out.
    first = len(enough) - int(np.argmin(enough[::-1])) if not enough.all() else 0
    asked = f"A wrong answer costs {wrong:g} and a review {review:g}, so an answer must be right with {cost.tau:.3f}"
    if first == len(enough):
        return replace(cost, tau=NEVER, sentence=f"{asked}, and labels show that of no stated confidence.")
    tau = float(stated[first])
    return replace(cost, tau=tau, sentence=f"{asked}; labels show that from a stated {tau:.3f} on.")


def _logit(stated: Floats) -> Floats:
    logits: Floats = special.logit(np.clip(stated, SURE, 1 - SURE))
    return logits
