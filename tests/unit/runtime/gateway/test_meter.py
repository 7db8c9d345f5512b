# SPDX-License-Identifier: Apache-2.0
"""What was spent stays spent: over midnight, and where a stand-in answers whose price nobody knows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pilothouse.core.evidence.task import TokenCount
from pilothouse.ports.gateway import Spent, VirtualKey, WireProtocol
from pilothouse.runtime.gateway import meter as meter_module
from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.meter import DAY_NS, Meter
from pilothouse.runtime.gateway.pictures import PICTURE_TOKENS_MAX
from pilothouse.runtime.gateway.policy import PICO, AgentPolicy, Budget, Pin
from pilothouse.runtime.gateway.refusal import Refused
from pilothouse.runtime.gateway.routes import find_place

AGENT = "triage"
ROUTE = find_place("POST", "/gw/v1/chat/completions", says_anthropic=False).route
MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)
MIDNIGHT_NS = int(datetime(2026, 11, 17, tzinfo=UTC).timestamp()) * 10**9


def price(provider, model, tokens, at_ns):
    """A dollar a token of the pin; nobody has said what the stand-in costs."""
    del model, at_ns
    return tokens.total * PICO if provider == "acme" else None


def asked(budget, *, at_ns=MIDNIGHT_NS, tokens=10):
    return Call(
        run="r" * 32,
        route=ROUTE,
        key=VirtualKey(
            prefix="p",
            digest="d",
            agent=AGENT,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            created_by="test",
        ),
        policy=AgentPolicy(agent=AGENT, chain=(Pin(provider="acme", model="m"),), budget=budget),
        protocol=WireProtocol.OPENAI,
        identity="path",
        output_max=tokens,
        began_ns=at_ns,
    )


def spend(meter, budget, *, at_ns, by="acme", tokens=10):
    """Make one call of some tokens."""
    call = asked(budget, at_ns=at_ns, tokens=tokens)
    meter.reserve(call, call.policy.chain[0])
    return answered_and_settled(meter, call, by=by, tokens=tokens)


def answered_and_settled(meter, call, *, by="acme", tokens=10):
    call.attempts.append(Attempt(by, "m", call.began_ns, status=200))
    call.usage, call.served_by, call.ending = TokenCount(output=tokens), by, Ending.DONE
    meter.settle(call)
    return call


def test_a_call_that_began_yesterday_makes_nobody_forget_what_today_has_spent():
    meter, budget = Meter(price), Budget(tokens_per_day=25)
    spend(meter, budget, at_ns=MIDNIGHT_NS + 1)
    spend(meter, budget, at_ns=MIDNIGHT_NS - 1)
    spend(meter, budget, at_ns=MIDNIGHT_NS + 2)
    with pytest.raises(Refused, match="20 of 25"):
        spend(meter, budget, at_ns=MIDNIGHT_NS + 3)
    spend(meter, budget, at_ns=MIDNIGHT_NS - 1)
    with pytest.raises(Refused, match="20 of 25"):
        spend(meter, budget, at_ns=MIDNIGHT_NS - 1)
    assert {at: one.tokens for at, one in meter.take_unsaved().items()} == {
        (MONDAY, AGENT): 20,
        (TUESDAY, AGENT): 20,
    }


def test_the_run_that_is_forgotten_is_the_one_longest_untouched(monkeypatch):
    monkeypatch.setattr(meter_module, "RUNS_MAX", 2)
    meter, budget = Meter(price), Budget(tokens_per_run=25)

    def spend_in(run):
        call = replace(asked(budget), run=run * 32)
        meter.reserve(call, call.policy.chain[0])
        return answered_and_settled(meter, call)

    for run in ("a", "b", "a", "c"):
        spend_in(run)
    with pytest.raises(Refused, match="20 of 25"):
        spend_in("a")
    spend_in("c")
    with pytest.raises(Refused, match="20 of 25"):
        spend_in("c")
    spend_in("b")
    spend_in("b")


def test_a_call_is_reserved_by_its_bytes_and_by_what_it_may_answer():
    call = replace(asked(Budget(tokens_per_day=110)), request=b" " * 250)
    meter = Meter(price)
    meter.reserve(call, call.policy.chain[0])
    wide = replace(call, call_id="wide", policy=replace(call.policy, budget=Budget()))
    meter.reserve(wide, call.policy.chain[0])
    assert [meter.reserved(one).tokens for one in (call, wide)] == [110, 110]
    short = replace(call, policy=replace(call.policy, budget=Budget(tokens_per_day=109)))
    with pytest.raises(Refused, match="budget_exceeded"):
        Meter(price).reserve(short, call.policy.chain[0])


def test_a_call_that_used_nothing_costs_nothing():
    meter, budget = Meter(price), Budget(usd_per_day=Decimal(25))
    assert spend(meter, budget, at_ns=MIDNIGHT_NS, tokens=0).cost_pico == 0
    (spent,) = meter.take_unsaved().values()
    assert (spent.usd_pico, spent.tokens, spent.calls, spent.estimated) == (0, 0, 1, 0)


def test_the_budget_of_a_day_is_whole_again_on_the_next():
    meter, budget = Meter(price), Budget(tokens_per_day=15)
    for day in range(3):
        spend(meter, budget, at_ns=MIDNIGHT_NS + day * DAY_NS)
        with pytest.raises(Refused):
            spend(meter, budget, at_ns=MIDNIGHT_NS + day * DAY_NS + 1)


def test_a_stand_in_without_a_price_uses_up_what_was_reserved_for_the_pin():
    meter, budget = Meter(price), Budget(usd_per_day=Decimal(25))
    calls = [spend(meter, budget, at_ns=MIDNIGHT_NS, by="spare") for _ in range(2)]
    assert [one.cost_pico for one in calls] == [None, None], (
        "what it really cost is unknown, and is not made up"
    )
    with pytest.raises(Refused, match=r"20\.0000 of 25 USD"):
        spend(meter, budget, at_ns=MIDNIGHT_NS, by="spare")
    (spent,) = meter.take_unsaved().values()
    assert (spent.usd_pico, spent.calls, spent.estimated) == (20 * PICO, 2, 2)


def lost(meter, budget, *attempts):
    """Reserve for a call of which these attempts gave no answer: provider, tokens, whether they were counted."""
    call = asked(budget)
    meter.reserve(call, call.policy.chain[0])
    for by, tokens, is_counted in attempts:
        spent = TokenCount(output=tokens)
        call.attempts.append(Attempt(by, "m", MIDNIGHT_NS, failure="cut", spent=spent, is_counted=is_counted))
    return call


def answered(call, by="acme", tokens=10):
    call.attempts.append(Attempt(by, "m", MIDNIGHT_NS, status=200))
    call.usage, call.served_by, call.ending = TokenCount(output=tokens), by, Ending.DONE
    return call


def test_attempts_without_an_answer_count_each_at_its_own_price():
    meter, budget = Meter(price), Budget(usd_per_day=Decimal(100))
    call = answered(lost(meter, budget, ("acme", 7, True)))
    meter.settle(call)
    assert call.cost_pico == 17 * PICO
    call = answered(lost(meter, budget, ("acme", 5, False)))
    meter.settle(call)
    assert call.cost_pico is None, "an estimate is no cost"
    call = answered(lost(meter, budget, ("nobody-knows", 5, True)))
    meter.settle(call)
    assert call.cost_pico is None, "nor is a price that nobody has said"
    (spent,) = meter.take_unsaved().values()
    assert (spent.tokens, spent.calls, spent.estimated) == (17 + 15 + 15, 3, 2)
    assert spent.usd_pico == (17 + 15 + 10 + 10) * PICO, "where it has none, what was reserved for the call"
    with pytest.raises(Refused, match=r"52\.0000 of 60 USD"):
        lost(meter, Budget(usd_per_day=Decimal(60)))


def test_what_is_handed_over_stands_in_the_ledger_and_what_was_lost_before_does_not():
    meter, budget = Meter(price), Budget(usd_per_day=Decimal(100))
    call = answered(lost(meter, budget, ("acme", 7, True)))
    held = meter.reserved(call)
    assert (held.day, held.tokens, held.usd_pico) == (TUESDAY, 10, 10 * PICO)
    meter.hand_over(call)
    meter.settle(call)
    assert meter.reserved(call) is None
    unsaved = meter.take_unsaved()
    assert unsaved == {(TUESDAY, AGENT): Spent(usd_pico=7 * PICO, tokens=7)}
    charged = Spent(usd_pico=10 * PICO, tokens=10, calls=1, estimated=1)
    both = Spent(usd_pico=17 * PICO, tokens=17, calls=1, estimated=1)
    meter.learn(TUESDAY, {AGENT: both})
    with pytest.raises(Refused, match=r"17\.0000 of 20 USD"):
        lost(meter, Budget(usd_per_day=Decimal(20)))
    meter.learn(TUESDAY, {AGENT: replace(both, usd_pico=both.usd_pico + charged.usd_pico)})
    with pytest.raises(Refused, match=r"27\.0000 of 30 USD"):
        lost(meter, Budget(usd_per_day=Decimal(30)))


def test_a_call_that_cost_more_than_its_tokens_is_charged_at_least_with_what_was_reserved():
    budget = Budget(usd_per_day=Decimal(100))
    meter = Meter(price)
    for used, charged in ((2, 10), (25, 25)):
        call = asked(budget, at_ns=MIDNIGHT_NS, tokens=10)
        meter.reserve(call, call.policy.chain[0])
        call.attempts.append(Attempt("acme", "m", MIDNIGHT_NS, status=200))
        call.usage, call.served_by, call.ending, call.has_fees = (
            TokenCount(output=used),
            "acme",
            Ending.DONE,
            True,
        )
        meter.settle(call)
        assert call.cost_pico is None
        (saved,) = meter.take_unsaved().values()
        assert saved == Spent(usd_pico=charged * PICO, tokens=used, calls=1, estimated=1)


DATA = "QUJD" * 100_000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
        {"type": "input_image", "image_url": f"data:image/webp;base64,{DATA}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        {"type": "tool_result", "content": [{"type": "image", "source": {"type": "base64", "data": DATA}}]},
        {
            "type": "computer_call_output",
            "output": {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{DATA}"},
        },
    ],
)
def test_a_picture_is_not_reserved_by_its_letters(part):
    fits, over = Budget(tokens_per_run=2 * PICTURE_TOKENS_MAX), Budget(tokens_per_run=PICTURE_TOKENS_MAX // 2)
    for name in ("messages", "input"):
        call = replace_request(asked(fits), {name: [{"role": "user", "content": [part]}]})
        meter = Meter(price)
        meter.reserve(call, call.policy.chain[0])
        assert meter.reserved(call).tokens < PICTURE_TOKENS_MAX + 1_000
        with pytest.raises(Refused, match="budget_exceeded"):
            Meter(price).reserve(
                replace(call, policy=replace(call.policy, budget=over)), call.policy.chain[0]
            )


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": f"data:image/png;base64,{DATA}"},
        {"type": "input_file", "file_data": f"data:application/pdf;base64,{DATA}"},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}},
        {"type": "image_url", "image_url": {"url": f"data:text/plain;base64,{DATA}"}},
        {"type": "image", "source": {"type": "text", "data": DATA}},
        {"type": "image_url", "image_url": None},
        DATA,
    ],
)
def test_what_only_looks_like_a_picture_is_reserved_by_its_letters(part):
    call = replace_request(
        asked(Budget(tokens_per_run=2 * PICTURE_TOKENS_MAX)), {"messages": [{"content": [part, DATA]}]}
    )
    with pytest.raises(Refused, match="budget_exceeded"):
        Meter(price).reserve(call, call.policy.chain[0])
    unread = replace(call, request=b"[" + b"0" * 400_000)
    with pytest.raises(Refused, match="budget_exceeded"):
        Meter(price).reserve(unread, call.policy.chain[0])


def test_a_call_with_a_picture_that_is_called_off_is_not_charged_by_its_letters():
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}
    call = replace_request(asked(Budget()), {"messages": [{"role": "user", "content": [part]}]})
    meter = Meter(price)
    meter.reserve(call, call.policy.chain[0])
    call.attempts.append(Attempt("acme", "m", MIDNIGHT_NS, failure="client_gone"))
    call.ending = Ending.CANCELLED
    meter.settle(call)
    (saved,) = meter.take_unsaved().values()
    assert 1_600 <= saved.tokens < 2_000  # by its letters it was 100,000
    assert saved.estimated == 1


def replace_request(call, body):
    return replace(call, request=json.dumps(body).encode())
