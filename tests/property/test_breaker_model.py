# SPDX-License-Identifier: Apache-2.0
"""The breaker does what a second, slow and plain description of it says, whatever happens to it."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pilothouse.runtime.resilience.breaker import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Permit,
    Settled,
)

POLICY = BreakerPolicy(
    window=6,
    minimum=4,
    failure_rate=0.5,
    slow_rate=0.75,
    slow_after_s=2.0,
    open_s=10.0,
    open_max_s=40.0,
    jitter=0.0,
    permits=2,
)


class Plain:
    """Keeps the whole history of a period and counts it anew each time."""

    def __init__(self):
        self.mode, self.history, self.until, self.pause = "closed", [], 0.0, POLICY.open_s
        self.period, self.probes_out, self.probes_good = 0, 0, 0

    def move(self, mode):
        self.mode, self.history, self.probes_out, self.probes_good = mode, [], 0, 0
        self.period += 1

    def ask(self, now):
        if self.mode == "open" and now >= self.until:
            self.move("half_open")
        if self.mode == "open":
            return None
        if self.mode == "half_open":
            if self.probes_out + self.probes_good >= POLICY.permits:
                return None
            self.probes_out += 1
        return self.period

    def tell(self, period, outcome, took, now):
        if period != self.period or self.mode == "open":
            return
        slow = took >= POLICY.slow_after_s
        if self.mode == "half_open":
            self.probes_out -= 1
            if outcome is Settled.SILENT:
                return
            if outcome is Settled.BAD or slow:
                self.pause = min(self.pause * 2, POLICY.open_max_s)
                self.until = now + self.pause
                self.move("open")
                return
            self.probes_good += 1
            if self.probes_good == POLICY.permits:
                self.pause = POLICY.open_s
                self.move("closed")
            return
        if outcome is Settled.SILENT:
            return
        self.history.append((outcome is Settled.BAD, slow))
        last = self.history[-POLICY.window :]
        if len(last) < POLICY.minimum:
            return
        bad = sum(one for one, _ in last) / len(last)
        slow_share = sum(two for _, two in last) / len(last)
        if bad >= POLICY.failure_rate or slow_share >= POLICY.slow_rate:
            self.until = now + self.pause
            self.move("open")


class BreakerAgainstPlain(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.breaker, self.plain, self.now, self.out = Breaker(POLICY), Plain(), 0.0, []

    @rule(step=st.sampled_from([0.0, 0.5, 5.0, 10.0, 45.0]))
    def time_passes(self, step):
        self.now += step

    @rule()
    def ask(self):
        given, expected = self.breaker.admit(self.now), self.plain.ask(self.now)
        assert isinstance(given, Permit) is (expected is not None)
        if isinstance(given, Permit):
            self.out.append((given, expected))
        else:
            assert given.retry_after_s > 0

    @precondition(lambda self: self.out)
    @rule(data=st.data(), outcome=st.sampled_from(list(Settled)), took=st.sampled_from([0.1, 3.0]))
    def settle(self, data, outcome, took):
        permit, period = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.breaker.settle(permit, outcome, took_s=took, now_s=self.now)
        self.plain.tell(period, outcome, took, self.now)

    @invariant()
    def same_state(self):
        expected = self.plain.mode
        if expected == "open" and self.now >= self.plain.until:
            expected = "half_open"
        assert self.breaker.state(self.now) == expected


TestBreakerAgainstPlain = BreakerAgainstPlain.TestCase
TestBreakerAgainstPlain.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def calls_until_open(fails, *, calls=1_000):
    breaker = Breaker(BreakerPolicy())
    for call in range(1, calls + 1):
        permit = breaker.admit(0.0)
        assert isinstance(permit, Permit)
        breaker.settle(permit, Settled.BAD if fails(call) else Settled.GOOD, took_s=0.1, now_s=0.0)
        if breaker.state(0.0) is BreakerState.OPEN:
            return call
    return None


def test_a_service_that_fails_every_second_time_is_cut_off_within_20_calls():
    opened = calls_until_open(lambda call: call % 2 == 0)
    assert opened is not None
    assert opened <= 20


def test_a_service_that_fails_half_the_time_at_random_is_cut_off_within_20_calls_in_9_cases_of_10():
    chance = random.Random(7)
    opened = [calls_until_open(lambda _: chance.random() < 0.5, calls=40) for _ in range(2_000)]
    within = [sum(one is not None and one <= calls for one in opened) / len(opened) for calls in (20, 40)]
    assert within[0] >= 0.90
    assert within[1] >= 0.99


def test_five_percent_of_errors_rarely_cut_a_service_off():
    chance = random.Random(11)
    opened = [calls_until_open(lambda _: chance.random() < 0.05) for _ in range(400)]
    assert sum(one is not None for one in opened) / len(opened) <= 0.01


def test_a_half_open_breaker_lets_exactly_its_permits_through():
    breaker = Breaker(BreakerPolicy(permits=3))
    for _ in range(10):
        breaker.settle(breaker.admit(0.0), Settled.BAD, took_s=0.1, now_s=0.0)
    given = [breaker.admit(20.0) for _ in range(50)]
    probes = [one for one in given if isinstance(one, Permit)]
    assert len(probes) == 3
    assert all(probe.probe for probe in probes)
    breaker.settle(probes[0], Settled.SILENT, took_s=0.1, now_s=20.0)
    assert sum(isinstance(breaker.admit(20.0), Permit) for _ in range(50)) == 1, (
        "a cancelled probe gives its leave back"
    )
