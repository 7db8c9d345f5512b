# SPDX-License-Identifier: Apache-2.0
"""Rate limit, bulkhead, retry and idempotency against plain descriptions of themselves."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.runtime.resilience.breaker import BreakerPolicy, Permit, Refused, Settled
from pilothouse.runtime.resilience.bulkhead import Bulkhead
from pilothouse.runtime.resilience.deadline import NEVER, Deadline, inherited_deadline, under_deadline
from pilothouse.runtime.resilience.gate import Admitted, Gate, GatePolicy, Turn
from pilothouse.runtime.resilience.hedge import Hedge
from pilothouse.runtime.resilience.idempotency import CallState, after_crash, call_key
from pilothouse.runtime.resilience.rate_limit import PUSH_BACK_MAX_S, RateLimiter
from pilothouse.runtime.resilience.retry import (
    FailedAttempt,
    NoRetry,
    RetryBudget,
    RetryPolicy,
    next_try,
    read_retry_after,
)

NO_DEADLINE = settings(deadline=None, max_examples=80)


@NO_DEADLINE
@given(
    rate=st.sampled_from([1.0, 4.0, 10.0]),
    burst=st.integers(1, 5),
    steps=st.lists(st.tuples(st.floats(0, 2), st.sampled_from([0.0, 0.3, 5.0])), max_size=60),
)
def test_no_window_ever_holds_more_than_rate_and_burst_allow(rate, burst, steps):
    limiter, now, started = RateLimiter(rate, burst=burst), 0.0, []
    for step, patience in steps:
        now += step
        wait = limiter.reserve(now, wait_max_s=patience)
        if wait is not None:
            assert wait <= patience
            started.append(now + wait)
    assert started == sorted(started)
    for index, first in enumerate(started):
        for later in range(index, len(started)):
            allowed = burst + rate * (started[later] - first) + 1e-6
            assert later - index + 1 <= allowed


def test_a_system_that_asks_for_a_pause_gets_it_but_not_for_ever():
    limiter = RateLimiter(10.0, burst=5)
    limiter.push_back(0.0, 7.0)
    assert limiter.wait_s(0.0) == pytest.approx(7.0)
    limiter.push_back(0.0, 1e9)
    assert limiter.wait_s(0.0) == pytest.approx(PUSH_BACK_MAX_S)


@NO_DEADLINE
@given(slots=st.integers(1, 4), line=st.integers(0, 4), moves=st.lists(st.integers(0, 3), max_size=80))
def test_a_bulkhead_is_never_overfull_and_serves_in_order(slots, line, moves):
    bulkhead, inside, waiting = Bulkhead[int](slots=slots, line=line), 0, []
    for name, move in enumerate(moves):
        if move <= 1:
            got = bulkhead.enter(name)
            if inside < slots:
                assert got == "in"
                inside += 1
            elif len(waiting) < line:
                assert got == "waits"
                waiting.append(name)
            else:
                assert got == "full"
        elif move == 2 and inside:
            following = bulkhead.leave()
            assert following == (waiting.pop(0) if waiting else None)
            inside -= following is None
        elif waiting:
            assert bulkhead.give_up(waiting.pop())
        assert bulkhead.inside == inside <= slots


FAILED = FailedAttempt(attempt=1, is_retryable=True, is_safe=True, retry_after_s=None, left_s=30.0)


def amplification(calls_per_s, seconds, *, breaker):
    """Attempts at a backend that is down, per call."""
    never = BreakerPolicy(failure_rate=2.0)
    gate = Gate(GatePolicy() if breaker else GatePolicy(breaker=never))
    attempts, calls, chance = 0, 0, 0.5
    for call in range(int(calls_per_s * seconds)):
        now, attempt = call / calls_per_s, 0
        calls += 1
        gate.enter(Turn(lambda: None))
        while True:
            leave = gate.admit(now, wait_max_s=1.0)
            if not isinstance(leave, Admitted):
                break
            attempts += 1
            attempt += 1
            gate.settle(leave.permit, Settled.BAD, took_s=0.01, now_s=now, chance=chance)
            failed = replace(FAILED, attempt=attempt)
            wait = gate.next_try(failed, now_s=now, chance=chance)
            if isinstance(wait, NoRetry):
                break
            now += wait
        gate.leave()
    return attempts / calls


@pytest.mark.parametrize("calls_per_s", [0.5, 5.0, 100.0])
def test_an_outage_is_not_made_worse_by_retries(calls_per_s):
    assert amplification(calls_per_s, 600, breaker=True) <= 1.2


def test_the_budget_alone_keeps_retries_of_a_busy_tool_down():
    assert amplification(50.0, 200, breaker=False) <= 1.2


def test_what_follows_a_failed_attempt():
    def ask(budget=None, **changes):
        failed = replace(FAILED, **changes)
        return next_try(RetryPolicy(), failed, budget=budget or RetryBudget(), now_s=0.0, chance=0.5)

    assert ask() == pytest.approx(0.1)
    assert ask(attempt=2) == pytest.approx(0.2)
    assert ask(retry_after_s=4.0) == 4.0
    assert ask(retry_after_s=40.0) == NoRetry("deadline")
    assert ask(attempt=3) == NoRetry("attempts")
    assert ask(is_safe=False) == NoRetry("unsafe")
    assert ask(is_retryable=False) == NoRetry("useless")
    assert ask(budget=RetryBudget(floor=0)) == NoRetry("budget")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3.0),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0),
        ("Thu, 01 Jan 2015 00:00:09 GMT", 0.0),
        ("-1", None),
        ("1e9", None),
        ("", None),
        ("soon", None),
        (None, None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_or_ignored(text, expected):
    assert read_retry_after(text, datetime(2026, 1, 1, tzinfo=UTC)) == expected


def test_a_deadline_inside_a_deadline_is_the_earlier_one():
    assert inherited_deadline() == NEVER
    with under_deadline(Deadline(10.0)):
        with under_deadline(Deadline(20.0)) as chosen:
            assert chosen == Deadline(10.0)
        with under_deadline(Deadline(5.0)):
            assert inherited_deadline().left_s(4.0) == 1.0
    assert inherited_deadline() == NEVER
    with pytest.raises(ValueError, match="nothing to do"):
        Deadline.after(0.0, 0.0)


def test_a_hedge_waits_for_a_quantile_and_stays_rare():
    hedge = Hedge(share=0.05)
    assert hedge.delay_s() is None
    started = 0
    for call in range(1_000):
        hedge.observe(0.1 if call % 10 else 1.0)
        started += hedge.start()
    assert 0.1 <= hedge.delay_s() <= 1.0
    assert started == 50


def test_exactly_three_probes_reach_a_half_open_backend_under_50_threads():
    gate = Gate(GatePolicy())
    for _ in range(10):
        leave = gate.admit(0.0, wait_max_s=1.0)
        gate.settle(leave.permit, Settled.BAD, took_s=0.1, now_s=0.0, chance=0.0)
    start, given = threading.Barrier(50), []

    def call():
        start.wait()
        given.append(gate.admit(20.0, wait_max_s=1.0))

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Admitted) for one in given) == 3
    assert sum(isinstance(one, Refused) for one in given) == 47
    assert all(
        isinstance(one.permit, Permit) and one.permit.probe for one in given if isinstance(one, Admitted)
    )


def test_after_a_crash_only_a_backend_with_keys_is_asked_again():
    assert after_crash(CallState.SENT, idempotency="natural") == "send_same_key"
    assert after_crash(CallState.UNKNOWN, idempotency="none") == "ask_person"
    assert after_crash(CallState.DONE, idempotency="none") == "stored"
    assert after_crash(CallState.RESERVED, idempotency="none") == "send"


def test_another_argument_is_another_call():
    keys = {call_key("r", "c", "pay@1", {"amount": amount})[0] for amount in (1, 2, "1")}
    assert len(keys) == 3
