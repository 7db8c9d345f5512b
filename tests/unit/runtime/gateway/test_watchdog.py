# SPDX-License-Identifier: Apache-2.0
"""Limits hold from the first moment on, and a call that is quicker than all of them costs no timer."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from pilothouse.runtime.gateway.watchdog import LATE_S, Stop, Watchdog, Young


async def call(young, *, limits, takes_s):
    """Be a call: its limits one after the other, then its work; return why it was stopped, or None."""
    dog = Watchdog(60.0, young)
    for reason, seconds in limits:
        dog.limit(reason, seconds)
    try:
        await asyncio.sleep(takes_s)
    except asyncio.CancelledError:
        return dog.go_on()
    finally:
        dog.close()
    return None


def test_quick_calls_share_one_timer_and_are_never_late(monkeypatch):
    async def main():
        loop, asked, late = asyncio.get_running_loop(), [], []
        real = loop.call_at  # which `call_later` calls, too
        monkeypatch.setattr(loop, "call_at", lambda *args, **more: asked.append(args) or real(*args, **more))
        young = Young()
        for _ in range(20):
            dog = Watchdog(60.0, young)
            dog.when_late(lambda: late.append(1))
            dog.restart(120.0)
            for reason, seconds in ((Stop.DEADLINE, 60.0), (Stop.CLIENT_SLOW, 30.0)):
                dog.limit(reason, seconds)
            dog.close()
        assert len(asked) == 1
        await asyncio.sleep(3 * LATE_S)
        assert not late
        assert len(asked) <= 3, "the shared one again, and the sleep of this test"

    asyncio.run(main())


@pytest.mark.parametrize("seconds", [0.005, 1.5 * LATE_S, 3 * LATE_S])
def test_a_limit_stops_a_call_young_or_not(seconds):
    async def main():
        limits = [(Stop.DEADLINE, 50.0), (Stop.FIRST_BYTE, seconds)]
        return await call(Young(), limits=limits, takes_s=30.0)

    assert asyncio.run(main()) is Stop.FIRST_BYTE


def test_a_limit_that_was_moved_away_stops_nothing():
    async def main():
        return await call(Young(), limits=[(Stop.IDLE, 0.005), (Stop.IDLE, 20.0)], takes_s=3 * LATE_S)

    assert asyncio.run(main()) is None


def test_who_is_still_there_is_told_once_that_it_is_late():
    async def main():
        late, told, young = [], asyncio.Event(), Young()
        first, second = Watchdog(60.0, young), Watchdog(60.0, young)
        first.when_late(lambda: late.append("first"))
        second.when_late(told.set)
        await told.wait()
        await asyncio.sleep(3 * LATE_S)
        first.when_late(lambda: late.append("at once"))
        for dog in (first, second):
            dog.close()
        return late

    assert asyncio.run(main()) == ["first", "at once"]


@pytest.mark.parametrize("made", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_limit_that_is_over_before_its_timer_is_set_stops_the_call(made):
    """As when the loop was held up for longer than the limit: one loop gave a handle that the next limit could not ask."""

    async def main():
        dog = Watchdog(60.0, Young())
        dog.limit(Stop.FIRST_BYTE, 2.5 * LATE_S)
        time.sleep(3 * LATE_S)  # noqa: ASYNC251 - the loop is to be held up
        dog.be_late()
        dog.limit(Stop.IDLE, 0.001)
        try:
            await asyncio.sleep(30.0)
        except asyncio.CancelledError:
            return dog.go_on()
        finally:
            dog.close()

    with asyncio.Runner(loop_factory=made) as runner:
        assert runner.run(main()) is Stop.IDLE
