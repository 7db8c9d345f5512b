# SPDX-License-Identifier: Apache-2.0
"""Whether a version is judged by its first answers: who asks until they please must not get a release by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from pilothouse.core.dates import day
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["judge_first_answers", "was_not_proved"]

SAME_SHARE_MIN: Final = 0.95
"""Least share of the answers of an earlier run that a later one counts too; the rest failed for reasons outside the agent."""

_ASKED: Final = frozenset({"not_worse", "not_eroded", "floor", "reliable"})
"""What better answers would prove; attacks and cases are too few however they are answered."""


def was_not_proved(verdict: ReleaseVerdict) -> bool:
    """Whether a run measured its candidate and did not find it good: other answers could turn that.

    Args:
        verdict: Verdict of the run.
    """
    return any(
        one.status is Status.BREACHED
        or (
            one.requirement in _ASKED
            and one.status is Status.NO_EVIDENCE
            and one.reason is Reason.INSUFFICIENT
        )
        for one in verdict.items
    )


def judge_first_answers(
    earlier: Iterable[ReleaseVerdict], answered: Sequence[datetime]
) -> ItemVerdict | None:
    """Return an item without evidence where an earlier run was not won by these answers, or None.

    Args:
        earlier: Runs of the same version on the same cases that did not find it good, newest first.
        answered: When each answer of this run was asked for.
    """
    for one in earlier:
        kept = sum(at <= one.as_of for at in answered)
        first = one.cost.cases if one.answered is None else one.answered
        if kept < SAME_SHARE_MIN * min(first, len(answered)):
            return ItemVerdict(
                requirement="first_answers",
                scope=Scope(),
                status=Status.NO_EVIDENCE,
                reason=Reason.MISSING,
                rule="the first answers of a version decide, and no later ones",
                sentence=f"this version answered these cases before, and was not found good on {day(one.as_of)} ({one.deciding}); "
                "answers that were asked for again prove nothing",
                remedy="give the journal that holds the first answers (--journal FILE), add cases, or change the version",
            )
    return None
