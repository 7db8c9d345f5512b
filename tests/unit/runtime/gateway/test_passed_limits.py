# SPDX-License-Identifier: Apache-2.0
"""A lower limit that a run or a day reaches is told once while calls go on, and one in money without a price is said to be blind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.stubs.gateway_site import taken_from

from pilothouse.core.evidence.task import TokenCount
from pilothouse.ports.gateway import Spent, VirtualKey, WireProtocol
from pilothouse.runtime.gateway import passed_limits, untold
from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.meter import Meter
from pilothouse.runtime.gateway.policy import PICO, AgentPolicy, Budget, Pin
from pilothouse.runtime.gateway.routes import find_place

TODAY = date(2026, 11, 17)
NOW = datetime(2026, 11, 17, 9, tzinfo=UTC)
ROUTE = find_place("POST", "/gw/v1/chat/completions", says_anthropic=False).route
KEY = VirtualKey(prefix="p", digest="d", agent="triage", created_at=NOW, created_by="test")


def spend(meter, alert, *, run="r", tokens=10, by="acme"):
    """Make one call of some tokens, and return what was told since the last one."""
    policy = AgentPolicy(agent="triage", chain=(Pin(provider=by, model="m"),), alert=alert)
    call = Call(
        run=run * 32,
        route=ROUTE,
        key=KEY,
        policy=policy,
        protocol=WireProtocol.OPENAI,
        identity="path",
        began_ns=int(NOW.timestamp()) * 10**9,
    )
    meter.reserve(call, policy.chain[0])
    call.attempts.append(Attempt(by, "m", call.began_ns, status=200))
    call.usage, call.served_by, call.ending = TokenCount(output=tokens), by, Ending.DONE
    meter.settle(call)
    return [(one.limit, one.of, one.spent, one.most) for one in taken_from(meter.passed.untold)]


@pytest.fixture
def meter():
    return priced()


def priced():
    """A dollar a token at `acme`; nobody has said what others cost."""
    return Meter(lambda provider, _model, tokens, _at: tokens.total * PICO if provider == "acme" else None)


def test_each_run_and_each_day_is_told_once_when_it_reaches_its_limit(meter):
    alert = Budget(tokens_per_run=20, usd_per_day=Decimal(30))
    assert spend(meter, alert) == []
    assert spend(meter, alert) == [("tokens_per_run", "r" * 32, 20, 20)]
    assert spend(meter, alert) == [("usd_per_day", "2026-11-17", 30 * PICO, 30 * PICO)]
    assert spend(meter, alert) == []
    assert [one[:2] for one in spend(meter, alert, run="s", tokens=25)] == [("tokens_per_run", "s" * 32)]
    higher = replace(alert, usd_per_day=Decimal(60))
    assert [one[0] for one in spend(meter, higher)] == ["usd_per_day"], "another limit is told anew"


def test_what_other_gateways_have_spent_counts(meter):
    meter.learn(TODAY, {"triage": Spent(tokens=95)})
    meter.shared.learn({("triage", "r" * 32): Spent(tokens=45, calls=3)})
    told = spend(meter, Budget(tokens_per_day=100, tokens_per_run=50))
    assert told == [("tokens_per_run", "r" * 32, 55, 50), ("tokens_per_day", "2026-11-17", 105, 100)]


def test_a_limit_in_money_without_a_price_is_said_to_be_blind_once_a_day(meter):
    alert = Budget(usd_per_run=Decimal(5), usd_per_day=Decimal(30), tokens_per_day=1_000)
    assert spend(meter, alert, by="other") == [
        ("usd_per_run", "2026-11-17", None, 5 * PICO),
        ("usd_per_day", "2026-11-17", None, 30 * PICO),
    ]
    assert spend(meter, alert, run="s", by="other") == []


def test_who_says_no_lower_limit_is_told_nothing_and_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(passed_limits, "TOLD_MAX", 1)
    meter = priced()
    assert spend(meter, None, tokens=10**9) == []
    alert = Budget(tokens_per_run=1)
    assert [spend(meter, alert, run=run)[0][1][0] for run in "abca"] == list("abca"), "forgotten, told anew"


def test_what_finds_no_room_to_wait_is_told_later(meter, monkeypatch):
    monkeypatch.setattr(untold, "WAITING_MAX", 0)
    alert = Budget(tokens_per_run=1)
    assert spend(meter, alert) == []
    monkeypatch.setattr(untold, "WAITING_MAX", 1)
    assert [one[0] for one in spend(meter, alert)] == ["tokens_per_run"]
