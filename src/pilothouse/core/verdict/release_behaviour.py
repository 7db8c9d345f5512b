# SPDX-License-Identifier: Apache-2.0
"""Whether a version still takes the steps of the golden runs (matches -> one requirement)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.core.evidence.evidence import ITEMS_MAX, Scope
from pilothouse.core.statistics.intervals import failure_ceiling
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["TrajectoryResult", "judge_behaviour"]

REMEDY_MORE = "pilothouse eval golden TRACE --by PERSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryResult:
    """One golden sequence of tool calls.

    Attributes:
        case_id: The case.
        is_kept: Whether every run of the candidate took it; None when its tool calls are not known.
        was_kept: Whether the other side took it; None when that is not known, or there is none.
        reason: The first step that differs, or why nothing is known.
    """

    case_id: str
    is_kept: bool | None
    was_kept: bool | None
    reason: str

    @property
    def is_lost(self) -> bool:
        """Whether the candidate deviates from it, and the baseline is not known to deviate as well."""
        return self.is_kept is False and self.was_kept is not False


def judge_behaviour(results: Sequence[TrajectoryResult], *, least: int = 1) -> ItemVerdict | None:
    """Decide whether golden sequences are kept: a person approved each, so one that is lost is a regression.

    A sequence that the other side does not take either is no regression; the success of its case counts it.

    Args:
        results: One for each golden case that ran.
        least: Fewest sequences that say anything.

    Returns:
        The item, or None without golden cases.

    Example:
        >>> one = TrajectoryResult(case_id="a", is_kept=False, was_kept=True, reason="step 1 ('read') is missing")
        >>> judge_behaviour([one]).sentence
        "1 of 1 golden sequences is no longer taken; first a: step 1 ('read') is missing"
    """
    if not results:
        return None
    known = [one for one in results if one.is_kept is not None]
    lost = [one for one in known if one.is_lost]
    missed_before = sum(one.is_kept is False and not one.is_lost for one in known)
    item = ItemVerdict(
        requirement="behaviour",
        scope=Scope(),
        status=Status.NO_EVIDENCE,
        reason=Reason.INSUFFICIENT,
        rule="every golden sequence of tool calls is still taken",
        sentence="",
        unit="rate",
        n=len(known),
    )
    if lost:
        words = "is" if len(lost) == 1 else "are"
        return item.model_copy(
            update={
                "status": Status.BREACHED,
                "reason": None,
                "sentence": (
                    f"{len(lost)} of {len(known)} golden sequences {words} no longer taken; "
                    f"first {lost[0].case_id}: {lost[0].reason}"
                ),
                "value": 1 - len(lost) / len(known),
                "items": tuple(one.case_id for one in lost)[:ITEMS_MAX],
            }
        )
    unknown = [one for one in results if one.is_kept is None]
    if unknown:
        return item.model_copy(
            update={
                "reason": Reason.MISSING,
                "sentence": f"of {len(unknown)} golden runs the tool calls are not known: {unknown[0].reason}",
                "remedy": 'answer {"output": ..., "tool_calls": [...]}; what was lost is asked again by the same command',
                "items": tuple(one.case_id for one in unknown)[:ITEMS_MAX],
            }
        )
    if len(known) < least:
        return item.model_copy(
            update={
                "sentence": f"{len(known)} golden sequences, {least} are asked for",
                "n_needed": least,
                "remedy": REMEDY_MORE,
            }
        )
    high = failure_ceiling(0, len(known))
    before = f"; {missed_before} were not taken before either" if missed_before else ""
    return item.model_copy(
        update={
            "status": Status.HOLDS,
            "reason": None,
            "sentence": f"none of {len(known)} golden sequences is lost, so under {percentage(high)} are{before}",
            "value": 1.0,
            "low": 1 - high,
            "high": 1.0,
        }
    )
