# SPDX-License-Identifier: Apache-2.0
"""A scorer, or an agent, that computes for ever holds no gate up for ever."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from pilothouse.errors import LimitExceeded
from pilothouse.evals import stuck_code
from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.journal import Journal
from pilothouse.evals.runner import Runner, TrialRequest
from pilothouse.evals.score import passed
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.scorers.scorer import ScorerKind, ScorerSpec
from pilothouse.evals.stuck_code import CodeStuck, interrupting
from pilothouse.evals.targets.target import TargetSpec
from pilothouse.evals.trial import Reply, TrialStatus

pytestmark = pytest.mark.timeout(
    120, method="thread"
)  # the other way of the plugin takes the timer that is tested


class Agent:
    spec = TargetSpec(address="test", version="v", fingerprint="f", version_is_declared=True)

    async def run(self, case, _context):
        if case.input == "stuck":
            for_ever()
        return Reply(output=1)

    async def close(self):
        pass


class Rule:
    def __init__(self, rule):
        self.score = lambda case, _result: rule(case)
        self.spec = ScorerSpec(name="rule", kind=ScorerKind.DETERMINISTIC, version="1")


def for_ever():
    end = time.monotonic() + 30  # the test fails then, and no machine is held up
    while time.monotonic() < end:
        try:
            sum(range(1_000))
        except Exception:
            continue
    raise AssertionError("nobody interrupted it")


async def later(_case):
    await asyncio.sleep(0)
    for_ever()


def wait(_case):
    time.sleep(30)
    raise AssertionError("nobody interrupted it")


def run(path, rule, given="x"):
    book = CheckBook(ScorerRegistry(), default=Rule(rule))
    case = Case(id="c0", task_type="t", input=given)

    async def go():
        with Journal(path) as journal:
            request = TrialRequest(case=case, index=0, target=Agent(), config="cfg")
            return await Runner(journal, book, run_id="r").run([request])

    return asyncio.run(go())


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(stuck_code, "STUCK_S", 0.3)
    monkeypatch.setattr(stuck_code, "BEAT_S", 0.05)


@pytest.mark.parametrize("rule", [lambda _case: for_ever(), later, wait])
def test_a_scorer_that_computes_or_waits_for_ever_ends_the_run_by_name(rule, tmp_path):
    with pytest.raises(LimitExceeded, match=r"scorer 'rule', case 'c0': it computed for 0.3 s"):
        run(tmp_path / "j.sqlite", rule)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_one_that_takes_its_time_by_waiting_is_left_alone(tmp_path):
    async def slow(_case):
        await asyncio.sleep(1.0)
        return passed()

    (outcome,) = run(tmp_path / "j.sqlite", slow)
    assert outcome.success.value == 1.0


def test_an_agent_that_computes_for_ever_in_our_loop_has_failed(tmp_path):
    (outcome,) = run(tmp_path / "j.sqlite", lambda _case: passed(), "stuck")
    assert (outcome.status, "computed for 0.3 s" in outcome.error) == (TrialStatus.AGENT_ERROR, True)


def test_a_process_that_was_stopped_goes_on():
    async def go():
        with interrupting(asyncio.get_running_loop()):
            asyncio.get_running_loop().call_later(0.1, time.sleep, 0.8)  # held up, and by no task
            await asyncio.sleep(1.2)

    asyncio.run(go())


def test_beside_the_main_thread_and_beside_another_timer_nothing_is_done():
    found = []

    async def go():
        with interrupting(asyncio.get_running_loop()):
            found.append(signal.getitimer(signal.ITIMER_PROF))

    thread = threading.Thread(target=lambda: asyncio.run(go()))
    thread.start()
    thread.join()
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        asyncio.run(go())
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert found == [(0.0, 0.0)] * 2


def test_what_holds_the_interpreter_ends_with_its_process():
    code = """
import asyncio, itertools
from pilothouse.evals import stuck_code
stuck_code.STUCK_S, stuck_code.STUCK_CPU_S = 0.2, 0.5
async def go():
    with stuck_code.interrupting(asyncio.get_running_loop()):
        await asyncio.sleep(0)
        sum(itertools.repeat(0))  # asks for no signal
asyncio.run(go())
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGPROF


def test_no_handler_for_exceptions_stops_it():
    assert not issubclass(CodeStuck, Exception)
