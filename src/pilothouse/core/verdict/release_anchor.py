# SPDX-License-Identifier: Apache-2.0
"""What a release verdict shows of the anchor: the differences to it, and whether the candidate is better throughout."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.core.verdict.verdict import ItemVerdict

__all__ = ["against_anchor", "is_better_throughout"]


def against_anchor(verdict: ReleaseVerdict) -> tuple[ItemVerdict, ...]:
    """Return the differences to the anchor that the verdict states; while there is none, to the baseline.

    Args:
        verdict: The verdict. An item that proves nothing because its other side or its judge does not count states no number.
    """
    is_baseline = verdict.anchor in {None, verdict.baseline}
    return tuple(
        one
        for one in verdict.items
        if one.value is not None
        and (one.requirement == "not_eroded" or (one.requirement == "not_worse" and is_baseline))
    )


def is_better_throughout(differences: Sequence[ItemVerdict], task_types: Collection[str]) -> bool:
    """Whether a version is proved better in every task type: only then a later loss is held against more than before.

    Args:
        differences: What `against_anchor` found.
        task_types: Every task type that was judged.

    Example:
        >>> is_better_throughout((), ("refund",)), is_better_throughout((), ())
        (False, False)
    """
    better = {one.scope.task_type for one in differences if one.low is not None and one.low > 0}
    return bool(task_types) and better >= set(task_types)
