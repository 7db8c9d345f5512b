# SPDX-License-Identifier: Apache-2.0
"""Drive a target at a fixed rate (open loop), and record what each user would have received.

Open loop: arrivals do not wait for answers, and latency counts from the scheduled start, so a system that
stalls cannot hide it by slowing its own test down.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook, success_of
from pilothouse.evals.scoring import score_once
from pilothouse.evals.targets.target import AgentFailed, Target, TargetUnreachable
from pilothouse.evals.trial import Result, TrialContext, TrialStatus, trial_key

__all__ = [
    "IDLE_S",
    "ArmResult",
    "Delivered",
    "arrival_order",
    "drive",
    "lag_s_max",
    "poisson_schedule",
]

LAG_S_MIN: Final = 0.050
"""A generator that starts calls later than this measures itself, not the system..."""

LAG_SHARE_MAX: Final = 0.01
"""...unless it is under a hundredth of what a user waits: latency counts from the scheduled start anyway."""

IDLE_S: Final = 0.01
"""Where time without an open call is jumped over, this much of it stays: the loop gets to what an answer left behind, and a
run of 300 calls does not wait for a quarter of a minute."""

ANSWERED: Final = "answered"
"""Cause of a delivery that is an answer."""

IN_FLIGHT_MAX: Final = 5_000
"""Open calls; a system this far behind is saturated and more would only exhaust this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What one user would have received.

    Attributes:
        case_id: The case.
        cluster: What makes it depend on others.
        task_type: Task type.
        is_good: Good, bad, or None when a delivered answer has no score.
        cause: `answered` (also when the answer is bad), `timeout`, `agent_error`, `refused` or `shed`.
        latency_s: From the scheduled start to the answer.
        lag_s: How late the call was started.
        cost_usd: What it cost, or None when that is not known.
    """

    case_id: str
    cluster: str
    task_type: str
    is_good: bool | None
    cause: str
    latency_s: float
    lag_s: float
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm of a load run.

    Attributes:
        name: For example `1x`.
        per_minute: Rate it was driven at.
        delivered: One for each case, in arrival order.
        backlog_max: Most calls open at once.
        seconds: How long it took.
        skipped_s: Time without an open call that was jumped over.
    """

    name: str
    per_minute: float
    delivered: tuple[Delivered, ...]
    backlog_max: int
    seconds: float
    skipped_s: float = 0.0

    @property
    def answered(self) -> int:
        """Users who got an answer in time, good or bad."""
        return sum(one.cause == ANSWERED for one in self.delivered)

    @property
    def usd_per_task(self) -> float | None:
        """Mean cost of the tasks whose cost is known, or None without one."""
        costs = [one.cost_usd for one in self.delivered if one.cost_usd is not None]
        return float(np.mean(costs)) if costs else None

    @property
    def lag_p99_s(self) -> float:
        """99 % quantile of how late calls were started."""
        return float(np.quantile([one.lag_s for one in self.delivered], 0.99)) if self.delivered else 0.0

    @property
    def causes(self) -> dict[str, int]:
        """How often each thing happened."""
        return dict(Counter(one.cause for one in self.delivered))

    def latency_s(self, quantile: float) -> float:
        """Quantile of the latency users saw, failed calls included.

        Args:
            quantile: In (0, 1).
        """
        return float(np.quantile([one.latency_s for one in self.delivered], quantile))


def arrival_order(cases: Sequence[Case], *, seed: int) -> tuple[Case, ...]:
    """Mix cases of all task types; the same seed gives the same order.

    Args:
        cases: Cases in any order.
        seed: Any whole number, 0 or more.
    """
    return tuple(cases[int(place)] for place in np.random.default_rng(seed).permutation(len(cases)))


def poisson_schedule(count: int, *, per_minute: float, seed: int) -> tuple[float, ...]:
    """Draw the arrival times of independent users.

    Args:
        count: How many.
        per_minute: Mean arrivals in a minute.
        seed: The same one gives the same moments.

    Returns:
        Seconds from the beginning, rising.
    """
    gaps = np.random.default_rng(seed).exponential(60.0 / per_minute, size=count)
    return tuple(float(at) for at in np.cumsum(gaps))


def lag_s_max(deadline_s: float) -> float:
    """Return how late the 99 % quantile of starts may be before a run is invalid.

    Args:
        deadline_s: Seconds after which a user gives up.

    Example:
        >>> lag_s_max(1.0), lag_s_max(60.0)
        (0.05, 0.6)
    """
    return max(LAG_S_MIN, LAG_SHARE_MAX * deadline_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """A finished call: latency counts from the scheduled start, lag is how late it was sent."""

    case: Case
    result: Result
    latency_s: float
    lag_s: float


async def drive(
    target: Target,
    cases: Sequence[Case],
    book: CheckBook,
    *,
    name: str,
    per_minute: float,
    schedule: Sequence[float],
    deadline_s: float,
    skip_idle: bool = False,
) -> ArmResult:
    """Send each case at its scheduled moment, whatever is still unanswered, then score the answers.

    Args:
        target: The system.
        cases: Cases in arrival order.
        book: Checks of each case.
        name: Name of the arm.
        per_minute: Arrivals in a minute, for the reader.
        schedule: When each arrives, seconds from the beginning, rising.
        deadline_s: Seconds after which a user gives up, from the scheduled start.
        skip_idle: Whether time in which no call is open is jumped over.

    Returns:
        One delivery for each case. Nothing is left out: what the world does wrong, the user got.
    """
    began = time.monotonic()
    skipped_s = 0.0
    open_calls: set[asyncio.Task[_Answered]] = set()
    done: list[_Answered] = []
    backlog_max = 0
    for number, (case, at) in enumerate(zip(cases, schedule, strict=True)):
        due = began + at - skipped_s
        if skip_idle:
            jumped_s = await _until_idle(open_calls, due)
            skipped_s += jumped_s
            due -= jumped_s
        wait_s = due - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        lag_s = max(0.0, time.monotonic() - due)
        if len(open_calls) >= IN_FLIGHT_MAX:
            shed = Result(status=TrialStatus.INFRA_ERROR, reply=None, latency_s=deadline_s, error="shed")
            done.append(_Answered(case=case, result=shed, latency_s=deadline_s, lag_s=lag_s))
            continue
        call = asyncio.create_task(
            _one(target, case, name, number, due=due, lag_s=lag_s, deadline_s=deadline_s)
        )
        open_calls.add(call)
        call.add_done_callback(open_calls.discard)
        call.add_done_callback(lambda task: done.append(task.result()) if not task.cancelled() else None)
        backlog_max = max(backlog_max, len(open_calls))
    while open_calls:
        await asyncio.wait(open_calls)
    seconds = time.monotonic() - began
    by_id = {answered.case.id: answered for answered in done}
    delivered = [await _scored(by_id[case.id], book) for case in cases]
    return ArmResult(
        name=name,
        per_minute=per_minute,
        delivered=tuple(delivered),
        backlog_max=backlog_max,
        seconds=seconds,
        skipped_s=skipped_s,
    )


async def _until_idle(open_calls: set[asyncio.Task[_Answered]], due: float) -> float:
    """Wait until no call is open or the next arrival is due; return the idle seconds that may be skipped."""
    while open_calls and (left_s := due - time.monotonic()) > 0:
        await asyncio.wait(set(open_calls), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
    return max(0.0, due - time.monotonic() - IDLE_S)


async def _one(
    target: Target, case: Case, arm: str, number: int, *, due: float, lag_s: float, deadline_s: float
) -> _Answered:
    context = TrialContext(
        run_id=f"load-{arm}",
        key=trial_key(f"load-{arm}", case.input_hash, number),
        index=0,
        deadline_s=deadline_s,
        seed=number,
        is_load=True,
    )
    status, reply, problem = TrialStatus.DONE, None, ""
    try:
        async with asyncio.timeout(max(0.001, deadline_s - lag_s)):
            reply = await target.run(case, context)
    except TimeoutError:
        status, problem = TrialStatus.TIMEOUT, "the user gave up"
    except AgentFailed as error:
        status, problem = TrialStatus.AGENT_ERROR, str(error)
    except TargetUnreachable as error:
        status, problem = TrialStatus.INFRA_ERROR, str(error)
    latency_s = time.monotonic() - due
    result = Result(status=status, reply=reply, latency_s=latency_s, error=problem)
    return _Answered(case=case, result=result, latency_s=latency_s, lag_s=lag_s)


async def _scored(answered: _Answered, book: CheckBook) -> Delivered:
    case, result = answered.case, answered.result
    cause = {
        TrialStatus.DONE: ANSWERED,
        TrialStatus.TIMEOUT: "timeout",
        TrialStatus.AGENT_ERROR: "agent_error",
        TrialStatus.INFRA_ERROR: "shed" if result.error == "shed" else "refused",
    }[result.status]
    is_good: bool | None = False
    if result.status is TrialStatus.DONE:
        checks = [check for check in book.of(case) if not check.must_not]
        success = success_of(
            [await score_once(check, case, result) for check in checks], pass_at=book.pass_at
        )
        is_good = None if success.value is None else success.value == 1.0
    return Delivered(
        case_id=case.id,
        cluster=case.cluster_id,
        task_type=case.task_type,
        is_good=is_good,
        cause=cause,
        latency_s=answered.latency_s,
        lag_s=answered.lag_s,
        cost_usd=result.reply.cost_usd if result.reply is not None else None,
    )
