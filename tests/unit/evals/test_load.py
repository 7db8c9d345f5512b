# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from pilothouse.core.evidence.trial_trace import is_load
from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.load import drive, poisson_schedule
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.targets.target import AgentFailed, TargetSpec, TargetUnreachable
from pilothouse.evals.trial import Reply


class Busy:
    """A system whose behaviour depends on the case and on how many calls are open."""

    spec = TargetSpec(address="t", version="v", fingerprint="f", version_is_declared=True)

    def __init__(self, behaviour):
        self.behaviour = behaviour
        self.open = 0

    async def run(self, case, context):
        self.open += 1
        try:
            return await self.behaviour(case, self)
        finally:
            self.open -= 1

    async def close(self):
        pass


def arm(behaviour, *, n=20, schedule=None, deadline_s=1.0, skip_idle=False):
    registry = ScorerRegistry()
    cases = [Case(id=f"c{i}", task_type="t", input=i, expected=2 * i) for i in range(n)]
    return asyncio.run(
        drive(
            Busy(behaviour), cases, CheckBook(registry, default=registry.make("exact")),
            name="a", per_minute=1.0, deadline_s=deadline_s, skip_idle=skip_idle,
            schedule=schedule or poisson_schedule(n, per_minute=600_000, seed=1),
        )
    )  # fmt: skip


def test_what_the_user_got_counts_whatever_the_reason():
    async def behaviour(case, system):
        if case.input == 0:
            raise AgentFailed("boom")
        if case.input == 1:
            raise TargetUnreachable("429", is_pressure=True)
        if case.input == 2:
            await asyncio.sleep(30)
        return Reply(output=case.input * 2 if case.input != 3 else "wrong")

    found = arm(behaviour, deadline_s=0.2)
    assert found.causes == {"agent_error": 1, "refused": 1, "timeout": 1, "answered": 17}
    assert [one.is_good for one in found.delivered[:5]] == [False, False, False, False, True]
    assert found.delivered[2].latency_s >= 0.19


def test_arrivals_do_not_wait_for_answers():
    release = asyncio.Event()

    async def behaviour(case, system):
        if case.input == 19:
            release.set()
        await release.wait()
        return Reply(output=case.input * 2)

    found = arm(behaviour, deadline_s=20.0)
    # A closed loop would wait for the first answer for ever: it comes only when the last call has arrived.
    assert found.backlog_max == 20
    assert all(one.is_good for one in found.delivered)


def test_deliveries_stand_in_the_order_of_arrival():
    async def behaviour(case, system):
        return Reply(output=case.input * 2)

    assert [one.case_id for one in arm(behaviour).delivered] == [f"c{n}" for n in range(20)]


def test_time_without_an_open_call_is_jumped_over_and_calls_that_overlapped_still_do():
    release = asyncio.Event()

    async def behaviour(case, system):
        # The second call comes while the first is open, and ends it: jumping ahead of an open call would hang here.
        if case.input == 1:
            release.set()
        await release.wait()
        return Reply(output=case.input * 2)

    found = arm(behaviour, n=3, schedule=(0.0, 0.05, 3_600.0), deadline_s=30.0, skip_idle=True)
    assert found.answered == 3
    assert found.backlog_max == 2
    assert 3_590 < found.skipped_s < 3_600
    assert found.seconds < 60
    assert max(one.latency_s for one in found.delivered) < 30


def test_arrivals_at_random_come_at_the_rate_and_by_the_seed():
    one, same, other = (poisson_schedule(4_000, per_minute=120, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert list(one) == sorted(one)
    # 4,000 gaps of half a second: the mean is within five standard errors.
    assert abs(one[-1] / 4_000 - 0.5) < 5 * 0.5 / 4_000**0.5


def test_its_calls_are_told_from_trials_so_that_a_stand_in_may_answer_them():
    seen = []

    class Noting(Busy):
        async def run(self, case, context):
            seen.append(context.traceparent.split("-")[1])
            return Reply(output=0)

    registry = ScorerRegistry()
    book = CheckBook(registry, default=registry.make("exact"))
    case = Case(id="c", task_type="t", input=1, expected=2)
    asyncio.run(drive(Noting(None), [case], book, name="a", per_minute=1.0, schedule=(0.0,), deadline_s=1.0))
    assert [is_load(one) for one in seen] == [True]
