# SPDX-License-Identifier: Apache-2.0
"""Intervals, tests and detectors that make a verdict valid.

Names are loaded when they are first used, so that a command which computes nothing does not wait for scipy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.core.statistics.intervals import (
        anytime_interval,
        cases_to_prove_ceiling,
        cases_to_prove_floor,
        failure_upper_bound,
        jeffreys_interval,
        jeffreys_lower,
        jeffreys_upper,
    )
    from pilothouse.core.statistics.methods import METHODS, Explanation, MethodId, find_method
    from pilothouse.core.statistics.quantities import mean_bounds, quantile_bounds
    from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence, TestResult

__all__ = [
    "METHODS",
    "Estimate",
    "Explanation",
    "MethodId",
    "NotEnoughEvidence",
    "TestResult",
    "anytime_interval",
    "cases_to_prove_ceiling",
    "cases_to_prove_floor",
    "failure_upper_bound",
    "find_method",
    "jeffreys_interval",
    "jeffreys_lower",
    "jeffreys_upper",
    "mean_bounds",
    "quantile_bounds",
]

_HOMES = {
    "intervals": (
        "anytime_interval",
        "cases_to_prove_ceiling",
        "cases_to_prove_floor",
        "failure_upper_bound",
        "jeffreys_interval",
        "jeffreys_lower",
        "jeffreys_upper",
    ),
    "methods": ("METHODS", "Explanation", "MethodId", "find_method"),
    "quantities": ("mean_bounds", "quantile_bounds"),
    "results": ("Estimate", "NotEnoughEvidence", "TestResult"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
