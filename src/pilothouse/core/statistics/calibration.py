# SPDX-License-Identifier: Apache-2.0
"""Rescale a confidence so that of answers with 80 % about 80 % are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import (
    Floats,
    Integers,
    binary_array,
    check_same_length,
    finite_array,
    malformed,
)
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import NotEnoughEvidence

__all__ = ["CALIBRATION_LABELS_MIN", "FEATURES_MAX", "PLATT_LABELS_MIN", "Calibrator", "fit_calibrator"]

CALIBRATION_LABELS_MIN = 50
"""Labels below which a calibration would be noise."""

PLATT_LABELS_MIN = 300
"""Labels from which two parameters beat one."""

FEATURES_MAX = 32
"""Signals of confidence in one calibrator: more of them need thousands of labels."""

_LABELS_PER_FEATURE = 20
"""Labels that each further signal must bring."""

_TEMPERATURES = (0.2, 20.0)
"""Range of temperatures: beyond, the confidence says nothing or everything."""

_RIDGE = 1e-3
"""Penalty of a weight, relative to the labels: it keeps weights finite when labels separate."""

_NEWTON_STEPS = 50
_STEP_LENGTHS = (1.0, 0.5, 0.2, 0.05)
_BISECTIONS = 60

Kind = Literal["temperature", "platt", "ridge_logistic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """A fitted map from signals to the chance of being right.

    Attributes:
        kind: `temperature`, `platt` or `ridge_logistic` (several signals).
        weights: Weight of each signal.
        intercept: Constant on the logit scale; 0 for a temperature.
        n: Labels behind it.
        brier: Mean squared error on these labels.
        log_loss: Mean log-loss on these labels, in nats.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    kind: Kind
    weights: tuple[float, ...]
    intercept: float
    n: int
    brier: float
    log_loss: float
    guarantee: str
    notes: tuple[str, ...] = ()

    def predict(self, signals: Sequence[float] | NDArray[np.generic]) -> Floats:
        """Return the chance of being right for each task.

        Args:
            signals: Logits, shape (n,), or signals, shape (n, features).

        Returns:
            Probabilities, shape (n,).

        Raises:
            MalformedRecord: Another number of signals than it was fitted on, or not finite.

        Example:
            >>> c = Calibrator(kind="temperature", weights=(0.5,), intercept=0.0, n=100, brier=0.1,
            ...                log_loss=0.3, guarantee="")
            >>> c.predict([2.0]).round(3).tolist()
            [0.731]
        """
        matrix = _signals(signals)
        if matrix.shape[1] != len(self.weights):
            raise malformed("signals", f"of {matrix.shape[1]} columns", f"{len(self.weights)} columns")
        chances: Floats = scipy.special.expit(matrix @ np.array(self.weights) + self.intercept)
        return chances


def fit_calibrator(
    logit: Sequence[float] | NDArray[np.generic], correct: Sequence[int] | NDArray[np.generic]
) -> Calibrator | NotEnoughEvidence:
    """Fit a calibrator on labelled tasks.

    Args:
        logit: Logit of the confidence, shape (n,); or several signals, shape (n, features), such as
            self-reported confidence, agreement of samples, judge, retries, tool errors. No signal is
            taken as a probability.
        correct: Whether the answer was right (1) or wrong (0), shape (n,).

    Returns:
        Temperature below 300 labels, Platt from 300, ridge-logistic for several signals; or how many
        labels are missing.

    Raises:
        MalformedRecord: A value outside its range, unequal lengths, or too many signals.

    Source:
        Guo, Pleiss, Sun and Weinberger 2017 (temperature); Platt 1999 with a ridge of 0.001.

    Example:
        >>> c = fit_calibrator([4.0] * 80 + [-4.0] * 20, [1] * 60 + [0] * 20 + [1] * 5 + [0] * 15)
        >>> c.kind, f"{1 / c.weights[0]:.2f}"
        ('temperature', '3.64')
    """
    matrix = _signals(logit)
    right = binary_array("correct", correct)
    n = check_same_length(logit=matrix, correct=right)
    features = matrix.shape[1]
    need = max(CALIBRATION_LABELS_MIN, _LABELS_PER_FEATURE * features if features > 1 else 0)
    if n < need:
        return NotEnoughEvidence(
            reason=f"{n} labels cannot calibrate {features} signals" if features > 1 else f"{n} labels cannot calibrate",
            have=n, need=need, unit="labels",
            remedy=f"Label {need - n} more tasks, drawn at random from all traffic.",
        )  # fmt: skip
    kind: Kind
    if features > 1:
        kind, (weights, intercept) = "ridge_logistic", _standardised_ridge(matrix, right)
    elif n >= PLATT_LABELS_MIN:
        kind, (weights, intercept) = "platt", _ridge_logistic(matrix, right)
    else:
        kind, weights, intercept = "temperature", np.array([_inverse_temperature(matrix[:, 0], right)]), 0.0
    margin = matrix @ weights + intercept
    notes: tuple[str, ...] = ("Brier score and log-loss are on the labels it was fitted on",)
    if right.min() == right.max():
        notes += ("all labels are alike: the confidence of the other kind was never seen",)
    return Calibrator(
        kind=kind,
        weights=tuple(weights.tolist()),
        intercept=float(intercept),
        n=n,
        brier=float(np.mean((scipy.special.expit(margin) - right) ** 2)),
        log_loss=float(np.mean(np.logaddexp(0, margin) - right * margin)),
        guarantee=METHODS[MethodId.FIT_CALIBRATOR].sentence,
        notes=notes,
    )


def _signals(values: Sequence[float] | NDArray[np.generic]) -> Floats:
    """Signals as a finite matrix of shape (n, features)."""
    raw = np.asarray(values)
    if raw.ndim == 2:
        if not 1 <= raw.shape[1] <= FEATURES_MAX:
            raise malformed("logit", f"of {raw.shape[1]} columns", f"1 to {FEATURES_MAX} columns")
        return np.stack([finite_array(f"logit[:, {j}]", raw[:, j]) for j in range(raw.shape[1])], axis=1)
    return finite_array("logit", values)[:, None]


def _inverse_temperature(z: Floats, right: Integers) -> float:
    """Minimise the log-loss of sigma(s z) over s: its slope grows with s, so it is bisected."""
    low, high = 1 / _TEMPERATURES[1], 1 / _TEMPERATURES[0]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if float(z @ (scipy.special.expit(middle * z) - right)) > 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _ridge_logistic(matrix: Floats, right: Integers) -> tuple[Floats, float]:
    """Newton's method for the penalised log-likelihood; the intercept is not penalised."""
    n, features = matrix.shape
    design = np.column_stack([matrix, np.ones(n)])
    penalty = np.diag([_RIDGE * n] * features + [1e-9 * n])
    weights = np.zeros(features + 1)
    before, current, steps = np.inf, _loss(design, right, weights, penalty), 0
    while before - current > 1e-13 * n and steps < _NEWTON_STEPS:
        chance = scipy.special.expit(design @ weights)
        slope = design.T @ (chance - right) + penalty @ weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve, slope)
        # A full step can overshoot where labels nearly separate; a shorter one never does.
        weights = min(
            (weights - scale * step for scale in _STEP_LENGTHS),
            key=lambda w: _loss(design, right, w, penalty),
        )
        before, current, steps = current, _loss(design, right, weights, penalty), steps + 1
    return weights[:-1], float(weights[-1])


def _standardised_ridge(matrix: Floats, right: Integers) -> tuple[Floats, float]:
    """Fit on signals of equal spread, so that the ridge treats them alike, and return plain weights."""
    centre, spread = matrix.mean(axis=0), matrix.std(axis=0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    weights, intercept = _ridge_logistic((matrix - centre) / spread, right)
    plain = weights / spread
    return plain, intercept - float(plain @ centre)


def _loss(design: Floats, right: Integers, weights: Floats, penalty: Floats) -> float:
    margin = design @ weights
    return float((np.logaddexp(0, margin) - right * margin).sum() + weights @ penalty @ weights / 2)
