# SPDX-License-Identifier: Apache-2.0
"""The account of `benchmarks/gateway/account.py`: each stage has its own time only, and all stages together have all of it."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[4] / "benchmarks" / "gateway" / "account.py"


@pytest.fixture(scope="module")
def account():
    spec = importlib.util.spec_from_file_location("gateway_account", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_stages_inside_each_other_and_waits_have_their_own_time_and_add_up(account):
    kept = account.Account()
    inner = kept.around(lambda: work(0.004), "inner")

    async def call():
        work(0.002)
        inner()
        await asyncio.sleep(0)
        work(0.003)
        with pytest.raises(ValueError, match="asked for"):
            fails()

    def fail():
        work(0.001)
        raise ValueError("asked for")

    fails = kept.around(fail, "fails")
    began = kept.last
    timed = kept.around(call, "outer")

    async def two():
        await asyncio.gather(timed(), timed())

    asyncio.run(two())
    kept.turn()
    assert sum(kept.spent.values()) == pytest.approx(kept.last - began)
    assert dict(kept.calls) == {"outer": 4, "inner": 2, "fails": 2}, "each of two calls was driven twice"
    assert kept.spent["inner"] >= 0.008
    assert kept.spent["fails"] >= 0.002
    assert kept.spent["outer"] >= 0.010
    assert kept.stack == [account.LOOP]


def test_every_stage_names_functions_that_are_there(account, monkeypatch):
    changed = []
    monkeypatch.setattr(account, "setattr", lambda *one: changed.append(one), raising=False)
    account.Account().patch()
    assert len(changed) == sum(map(len, account.STAGES.values()))
    assert all(callable(timed) for _, _, timed in changed)


@pytest.mark.parametrize("parts", [0, 50])
def test_what_the_table_says_adds_up_to_what_the_kernel_says(account, parts):
    calls = {account.BETWEEN: 1, account.PARSER: 1 + parts, account.PART: parts}
    spent = {account.BETWEEN: 3e-4, account.PARSER: 2e-3, account.PART: 1e-3, account.LOOP: 7e-4}
    zero = {"spent": {}, "calls": {}, "threads": {}, "writer": 0.0, "kernel": 0.0}
    after = {
        "spent": {name: 10 * value for name, value in spent.items()},
        "calls": {name: 10 * value for name, value in calls.items()},
        "clock": [1e-6, 2e-6],
        "threads": {"MainThread": 10 * sum(spent.values()), "keys": 1e-3},
        "writer": 4e-3,
        "kernel": 1e-3,
    }
    stages, thread, others = account.rows(zero, after, 10)
    assert sum(stages.values()) == pytest.approx(thread)
    assert thread == pytest.approx(sum(spent.values()) * 1e6 - 3 * sum(calls.values()))
    assert others == pytest.approx({"keys": 100.0, account.WRITER: 400.0})
