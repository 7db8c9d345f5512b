# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.load import drive
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


def arm(behaviour, *, n=20, per_minute=600_000, deadline_s=1.0):
    registry = ScorerRegistry()
    cases = [Case(id=f"c{i}", task_type="t", input=i, expected=2 * i) for i in range(n)]
    return asyncio.run(
        drive(
            Busy(behaviour), cases, CheckBook(registry, default=registry.make("exact")),
            name="a", per_minute=per_minute, deadline_s=deadline_s, seed=1,
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


def test_the_same_seed_gives_the_same_order_of_deliveries():
    async def behaviour(case, system):
        return Reply(output=case.input * 2)

    assert [one.case_id for one in arm(behaviour).delivered] == [f"c{n}" for n in range(20)]
