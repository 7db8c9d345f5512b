# SPDX-License-Identifier: Apache-2.0
"""The stated confidence from which on an answer without a person costs less than its review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from pilothouse.core.statistics.calibration import Calibrator, fit_calibrator
from pilothouse.core.statistics.checks import Floats, binary_array, check_same_length, finite_array
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.statistics.thresholds import CostThreshold, cost_threshold

__all__ = ["NEVER", "cheapest_confidence"]

NEVER = 2.0
"""A threshold that no confidence reaches: everything is held."""

_SURE = 1e-6
"""A stated confidence of 0 or 1 is taken this far from it: its logit would be infinite."""


def cheapest_confidence(
    confidence: Sequence[float] | NDArray[np.generic],
    correct: Sequence[int] | NDArray[np.generic],
    *,
    cost_wrong: float,
    cost_review: float,
) -> CostThreshold | NotEnoughEvidence:
    """Lowest stated confidence above which holding an answer costs more than letting it go.

    What an answer states about itself is no probability, so it is calibrated on the labels first.

    Args:
        confidence: Stated confidence of each labelled task, in [0, 1], shape (n,): a random sample.
        correct: Whether the answer was right (1) or wrong (0), shape (n,).
        cost_wrong: Loss from one wrong answer that went out, above 0.
        cost_review: Cost of one review, from 0, in the same currency.

    Returns:
        The threshold on the stated scale, `NEVER` where no answer is sure enough; or how many labels are missing.

    Raises:
        MalformedRecord: A value outside its range, or unequal lengths.

    Source:
        Chow 1970, on a confidence calibrated as `fit_calibrator` says.

    Example:
        >>> found = cheapest_confidence([0.9] * 80 + [0.2] * 20, [1] * 78 + [0] * 22, cost_wrong=50.0, cost_review=10.0)
        >>> found.tau
        0.9
    """
    cost = cost_threshold(cost_wrong, cost_review)
    check_same_length(confidence=confidence, correct=correct)
    scores = finite_array("confidence", confidence, 0.0, 1.0)
    right = binary_array("correct", correct)
    if not cost.review_pays:
        return cost
    order = np.argsort(scores, kind="stable")
    stated = scores[order]
    fitted = fit_calibrator(_logit(stated), right[order])
    if not isinstance(fitted, Calibrator):
        return fitted
    enough = fitted.predict(_logit(stated)) >= cost.tau
    # Where a higher confidence is less often right, only a top that is right often enough may go out.
    first = 0 if enough.all() else len(enough) - int(np.argmin(enough[::-1]))
    asked = f"A wrong answer costs {cost_wrong:g} and a review {cost_review:g}, so an answer must be right with {cost.tau:.3f}"
    if first == len(enough):
        return replace(cost, tau=NEVER, sentence=f"{asked}, and labels show that of no stated confidence.")
    tau = float(stated[first])
    return replace(cost, tau=tau, sentence=f"{asked}; labels show that from a stated {tau:.3f} on.")


def _logit(stated: Floats) -> Floats:
    logits: Floats = scipy.special.logit(np.clip(stated, _SURE, 1 - _SURE))
    return logits
