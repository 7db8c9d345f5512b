# SPDX-License-Identifier: Apache-2.0
"""Scorers of the time and cost of a run."""

from __future__ import annotations

from pilothouse.evals.case import Case
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.scorer import FunctionScorer
from pilothouse.evals.trial import Reply, Result

__all__ = ["cost_under", "latency_under"]


def latency_under(*, seconds: float) -> FunctionScorer:
    """Right when the answer came within so many seconds; of a recorded answer nobody knows, and it is unscored.

    Args:
        seconds: Longest time.
    """

    def rule(_case: Case, _reply: Reply, result: Result) -> Score:
        took = result.latency_s
        if took is None:
            return unscored(Unscored.TIME_UNKNOWN, "the answer is recorded, and its time is not")
        return passed() if took <= seconds else failed(f"took {took:.3f} s, at most {seconds:g} s")

    return FunctionScorer("latency_under", rule, {"seconds": seconds})


def cost_under(*, usd: float) -> FunctionScorer:
    """Right when the run cost at most so much; an unknown cost is unscored, never cheap.

    Args:
        usd: Highest cost, US dollars.

    Example:
        >>> from pilothouse.evals.trial import TrialStatus
        >>> case = Case(id="a", task_type="t", input=1)
        >>> run = Result(status=TrialStatus.DONE, reply=Reply(output=1), latency_s=0.1)
        >>> cost_under(usd=0.01).score(case, run).why.value
        'cost_unknown'
    """

    def rule(_case: Case, reply: Reply, _result: Result) -> Score:
        if reply.cost_usd is None:
            return unscored(Unscored.COST_UNKNOWN, "the run's cost is not known")
        spent = reply.cost_usd
        return passed() if spent <= usd else failed(f"cost ${spent:.4f}, at most ${usd:g}")

    return FunctionScorer("cost_under", rule, {"usd": usd})
