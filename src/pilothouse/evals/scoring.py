# SPDX-License-Identifier: Apache-2.0
"""Run one scorer on one result; a crash, hang or invalid value becomes a missing value with a reason."""

from __future__ import annotations

import asyncio
import inspect
from typing import Final

from pilothouse.errors import InfrastructureError, LimitExceeded
from pilothouse.evals.case import Case
from pilothouse.evals.checks import Check
from pilothouse.evals.foreign_code import must_propagate
from pilothouse.evals.score import OutOfRange, Score, Unscored, failed, unscored
from pilothouse.evals.stuck_code import CodeStuck
from pilothouse.evals.trial import Result, TrialStatus
from pilothouse.schemas.process import CheckUnfinished

__all__ = ["PASSING_TROUBLE", "score_once"]

SCORER_DEADLINE_S: Final = 60.0
"""A scorer that takes longer than a person would is stuck."""

PASSING_TROUBLE: Final = frozenset(
    {
        Unscored.TIMEOUT,
        Unscored.JUDGE_UNREACHABLE,
        Unscored.MODEL_CHANGED,
        Unscored.OUTCOME_UNKNOWN,
        Unscored.SCORER_CRASHED,
    }
)
"""Reasons that may be gone tomorrow: such a score is not stored, so the same command asks again."""


async def score_once(check: Check, case: Case, result: Result) -> Score:
    """Score one result.

    Args:
        check: The scorer, and whether it is a zero-tolerance check.
        case: The case.
        result: How its run ended.

    Returns:
        The score; a run that failed is a failed answer, and says nothing about behaviour.

    Raises:
        LimitExceeded: The scorer, or what it holds answers against, takes too long: nobody knows what it would say of the next one.
    """
    if result.status is TrialStatus.INFRA_ERROR:
        return unscored(Unscored.TRACE_MISSING, result.error)
    if result.status is not TrialStatus.DONE:
        return unscored(Unscored.TRACE_MISSING, result.error) if check.must_not else failed(result.error)
    try:
        async with asyncio.timeout(SCORER_DEADLINE_S):
            answer = check.scorer.score(case, result)
            score: object = await answer if inspect.isawaitable(answer) else answer
    except TimeoutError:
        return unscored(Unscored.TIMEOUT, f"no score within {SCORER_DEADLINE_S:g} s", cost_usd=None)
    except CheckUnfinished as unknown:
        raise LimitExceeded(
            f"scorer {check.name!r}, case {case.id!r}: its {unknown}",
            remedy="Write it without repeats within repeats, such as (a+)+, and run it again; stored answers are used.",
            subject=check.name,
        ) from unknown
    except CodeStuck as stuck:
        raise LimitExceeded(
            f"scorer {check.name!r}, case {case.id!r}: it {stuck}",
            remedy="Let it end, or wait with `await`, and run it again; stored answers are used.",
            subject=check.name,
        ) from stuck
    except InfrastructureError as error:
        return unscored(Unscored.JUDGE_UNREACHABLE, str(error), cost_usd=None)
    except OutOfRange as error:
        return unscored(Unscored.OUT_OF_RANGE, str(error), cost_usd=None)
    except BaseException as error:
        if must_propagate(error):
            raise
        # A scorer is foreign code: its crash is data about the scorer.
        return unscored(Unscored.SCORER_CRASHED, f"{type(error).__name__}: {error}", cost_usd=None)
    if not isinstance(score, Score):
        return unscored(Unscored.OUT_OF_RANGE, f"scorer returned {type(score).__name__}", cost_usd=None)
    return score
