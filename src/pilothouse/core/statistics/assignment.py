# SPDX-License-Identifier: Apache-2.0
"""Check the assignment of units to the arms of an experiment (sample ratio mismatch)."""

from __future__ import annotations

import math

import scipy

from pilothouse.core.statistics.intervals import log_evidence_against
from pilothouse.errors import UsageError

__all__ = ["assignment_p_value", "excess_p_value"]


def assignment_p_value(candidate_units: int, baseline_units: int, *, share: float) -> float:
    """Chance that a split becomes this uneven at any look when the assignment works; below .001 it is broken.

    Args:
        candidate_units: Units seen in the candidate's arm.
        baseline_units: Units seen in the baseline's arm.
        share: Share that the candidate should have, in (0, 1).

    Returns:
        p-value that may be asked for at every look; 1 without any unit.

    Raises:
        UsageError: The share leaves an arm empty.

    Source:
        As `pilothouse.core.statistics.intervals.anytime_interval`; Lindon and Malek 2022 for split tests.

    Example:
        >>> f"{assignment_p_value(510, 490, share=0.5):.2f} {assignment_p_value(600, 400, share=0.5):.0e}"
        '1.00 7e-08'
    """
    if not 0.0 < share < 1.0:
        raise UsageError(f"share {share:g} leaves an arm empty.", remedy="Give for example 0.05.")
    return min(1.0, math.exp(-log_evidence_against(share, candidate_units, candidate_units + baseline_units)))


def excess_p_value(candidate: int, both: int, *, share: float) -> float:
    """Chance that at least so many of the events in both arms fall to the candidate when they do not depend on the arm.

    Args:
        candidate: Events of the candidate's arm.
        both: Events of both arms.
        share: Share of the candidate in everything that could have been an event.

    Returns:
        Exact one-sided p-value; 1 without an event of the candidate.

    Source:
        Clopper and Pearson 1934.

    Example:
        >>> f"{excess_p_value(1, 1, share=0.05):.2f} {excess_p_value(8, 10, share=0.05):.0e}"
        '0.05 2e-09'
    """
    return float(scipy.special.bdtrc(candidate - 1, both, share)) if candidate else 1.0
