# SPDX-License-Identifier: Apache-2.0
"""A provider that is asked again is told to stop like any other, and a run is its agent's from its first call on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest

from pilothouse.ports.gateway import Provider, VirtualKey, WireProtocol
from pilothouse.runtime.gateway.call import Attempt, Call
from pilothouse.runtime.gateway.chain_member import Member
from pilothouse.runtime.gateway.exchange import Exchange
from pilothouse.runtime.gateway.policy import AgentPolicy, Pin
from pilothouse.runtime.gateway.refusal import Refused
from pilothouse.runtime.gateway.routes import find_place
from pilothouse.runtime.gateway.runs import Ownership, identify
from pilothouse.runtime.gateway.watchdog import Watchdog, Young
from pilothouse.runtime.resilience.breaker import Breaker, BreakerPolicy

PLACE = find_place("POST", "/gw/v1/chat/completions", says_anthropic=False)


class Endless:
    """An answer whose body never ends, and the connections that give it."""

    status, headers, encoding, is_events = 200, [], "", False
    closed = 0

    async def open(self, *_, **__):
        return self

    async def read_all(self, most):
        await asyncio.sleep(60)

    def close(self):
        self.closed += 1


class Nobody:
    """A client of which nothing is asked."""

    method, path, query, headers = "POST", "/gw/v1/chat/completions", b"", []

    def pass_on(self, part):
        return False


def test_a_repair_that_is_called_off_gives_its_connection_back():
    endless = Endless()

    async def call_off():
        key = VirtualKey(
            prefix="p", digest="d", agent="a", created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="t"
        )
        call = Call(
            run="r" * 32,
            route=PLACE.route,
            key=key,
            policy=AgentPolicy(agent="a"),
            protocol=WireProtocol.OPENAI,
            identity="path",
            attempts=[Attempt("acme", "m", 1)],
        )
        member = Member(
            Pin(provider="acme", model="m"),
            Provider(name="acme", url="http://x", protocol=WireProtocol.OPENAI),
            Breaker(BreakerPolicy()),
            is_asked=True,
        )
        exchange = Exchange(
            call,
            [member],
            Nobody(),
            endless,
            headers=[],
            dog=Watchdog(60, Young()),
            attempts=1,
            chance=Random(1),
        )
        async with asyncio.timeout(0.05):
            await exchange.ask_again(b"{}")

    with pytest.raises(TimeoutError):
        asyncio.run(call_off())
    assert endless.closed == 1


def test_a_run_that_the_gateway_began_is_its_agents():
    runs = Ownership()
    begun = identify(PLACE, {}, "triage", runs)
    named = find_place("POST", f"/gw/r/{begun.run}/v1/chat/completions", says_anthropic=False)
    with pytest.raises(Refused, match="another agent"):
        identify(named, {}, "other", runs)
    assert identify(named, {}, "triage", runs).run == begun.run


def test_a_run_from_before_a_restart_is_whose_it_was():
    """Memory is empty then, and the run log is asked once for each run that a caller names; never for a new one."""
    asked = []

    def on_record(run):
        asked.append(run)
        return {"a" * 32: "triage"}.get(run)

    runs = Ownership(on_record)
    named = find_place("POST", f"/gw/r/{'a' * 32}/v1/chat/completions", says_anthropic=False)
    for _ in range(2):
        with pytest.raises(Refused, match="another agent"):
            identify(named, {}, "other", runs)
    assert identify(named, {}, "triage", runs).run == "a" * 32
    parent = {b"traceparent": b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"}
    assert identify(PLACE, parent, "other", runs).source == "new"
    unknown = find_place("POST", f"/gw/r/{'c' * 32}/v1/chat/completions", says_anthropic=False)
    assert identify(unknown, {}, "other", runs).run == "c" * 32
    identify(PLACE, {}, "other", runs)
    assert asked == ["a" * 32, "c" * 32]
