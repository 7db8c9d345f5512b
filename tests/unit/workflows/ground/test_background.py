# SPDX-License-Identifier: Apache-2.0
"""Background ticks: each at its own pace, none stopped by another's failure."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from pilothouse.errors import StorageUnavailable
from pilothouse.workflows.ground.background import BACKOFF_MAX_S, Background, Tick


class StillClock:
    def now(self):
        return datetime(2026, 11, 20, tzinfo=UTC)


class Hands:
    """A monotonic clock that a test moves."""

    def __init__(self):
        self.at_s = 0.0

    def __call__(self):
        return self.at_s


def test_a_tick_is_told_the_time_and_runs_again_only_when_due():
    seen, hands = [], Hands()
    background = Background([Tick(name="t", every_s=10, run=seen.append)], StillClock(), monotonic=hands)
    due = {}
    hands.at_s = 100.0
    assert background.run_due(due) == 110.0
    for hands.at_s in (105.0, 110.0):
        background.run_due(due)
    assert seen == [StillClock().now()] * 2


def test_a_pause_begins_when_the_run_has_ended():
    hands = Hands()

    def slow(_now):
        hands.at_s += 90.0

    background = Background([Tick(name="slow", every_s=60, run=slow)], StillClock(), monotonic=hands)
    assert background.run_due({}) == 150.0


def test_a_failing_tick_stops_no_other_backs_off_and_says_why():
    ran, told, hands = [], [], Hands()

    def fail(_now):
        raise StorageUnavailable("the ledger is away.", remedy="Wait.")

    background = Background(
        [Tick(name="bad", every_s=10, run=fail), Tick(name="good", every_s=10, run=ran.append)],
        StillClock(),
        lambda name, text: told.append((name, text)),
        monotonic=hands,
    )
    due = {}
    background.run_due(due)
    bad, good = background.states()
    assert (bad.failures, good.failures, len(ran)) == (1, 0, 1)
    assert told == [("bad", "the ledger is away. Wait.")]
    assert due["bad"] == 20.0
    for step in range(1, 12):
        hands.at_s = 1_000.0 * step
        background.run_due(due)
    assert due["bad"] - 11_000.0 == BACKOFF_MAX_S


def test_a_success_forgets_earlier_failures():
    outcomes = [RuntimeError("once"), None]

    def run(_now):
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome

    hands = Hands()
    background = Background([Tick(name="t", every_s=1, run=run)], StillClock(), monotonic=hands)
    due = {}
    background.run_due(due)
    assert background.states()[0].last_error == "RuntimeError: once"
    hands.at_s = 100.0
    background.run_due(due)
    assert background.states()[0] == type(background.states()[0])(name="t", runs=2)


def test_the_thread_runs_ticks_and_ends_when_asked():
    ran = threading.Event()
    background = Background([Tick(name="t", every_s=0.01, run=lambda _now: ran.set())], StillClock())
    background.start()
    assert ran.wait(10)
    assert background.stop()
