# SPDX-License-Identifier: Apache-2.0
"""The budget of a run holds over several gateways of one ledger, also after a restart, and costs nothing where no run comes near it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from fresh_ledger import ledger_url
from postgres_server import fresh_postgres_url, postgres_server
from tests.unit.runtime.gateway.test_meter import (
    AGENT,
    MIDNIGHT_NS,
    answered_and_settled,
    asked,
    price,
    spend,
)

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.run_spending import SqlRunSpending
from pilothouse.ports.gateway import RunSpending, Spent
from pilothouse.runtime.gateway import meter as meter_module
from pilothouse.runtime.gateway.meter import Meter
from pilothouse.runtime.gateway.policy import PICO, Budget
from pilothouse.runtime.gateway.refusal import Refused
from pilothouse.workflows.gateway.run_budgets import RunBudgets

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 17, tzinfo=UTC)
RUN = (AGENT, "r" * 32)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request, tmp_path):
    url = fresh_postgres_url(request) if request.param == "postgres" else ledger_url(tmp_path)
    with open_ledger(url) as ledger:
        yield SqlRunSpending(ledger.database)


def gateway(store):
    meter = Meter(price)
    return meter, RunBudgets(store, meter.shared, NOW)


@pytest.mark.parametrize(
    "budget",
    [Budget(tokens_per_run=40), Budget(usd_per_run=Decimal(40)), Budget(calls_per_run=4)],
    ids=["tokens", "money", "calls"],
)
def test_two_gateways_and_one_that_starts_again_share_the_budget_of_a_run(budget, store):
    """Each had all of it: with two gateways a run spent twice its budget, and after a restart once more."""
    assert isinstance(store, RunSpending)
    one, other = gateway(store), gateway(store)
    for meter, budgets in (one, other, one, other):
        spend(meter, budget, at_ns=MIDNIGHT_NS)
        budgets.save(NOW)
    one[1].save(NOW)
    again = gateway(store)
    again[1].save(NOW + timedelta(hours=1))
    for meter, _ in (one, other, again):
        with pytest.raises(Refused, match=r"budget_exceeded|loop_limit"):
            spend(meter, budget, at_ns=MIDNIGHT_NS)
    assert store.since(NOW)[RUN] == Spent(usd_pico=40 * PICO, tokens=40, calls=4)
    store.add({(AGENT, "s" * 32): Spent(calls=1)}, NOW + timedelta(days=2))
    assert list(store.since(NOW)) == [(AGENT, "s" * 32)], "forgotten after a day"


def test_of_a_run_far_from_its_limits_nothing_is_written(store):
    meter, budgets = gateway(store)
    spend(meter, Budget(tokens_per_run=41, usd_per_run=Decimal(41), calls_per_run=5), at_ns=MIDNIGHT_NS)
    budgets.save(NOW)
    assert store.since(NOW) == {}


def test_what_could_not_be_told_is_told_once_later(store):
    class Full(SqlRunSpending):
        is_full = True

        def add(self, spent, at):
            if self.is_full:
                raise StorageUnavailable("the disk is full", remedy="Make room.")
            super().add(spent, at)

    full = Full(store.database)
    meter, budgets = gateway(full)
    budget = Budget(calls_per_run=4)
    for _ in range(2):
        spend(meter, budget, at_ns=MIDNIGHT_NS)
        with pytest.raises(StorageUnavailable):
            budgets.save(NOW)
    full.is_full = False
    spend(meter, budget, at_ns=MIDNIGHT_NS)
    for _ in range(2):
        budgets.save(NOW)
    assert store.since(NOW)[RUN].calls == 3
    spend(meter, budget, at_ns=MIDNIGHT_NS)


def test_a_run_whose_count_was_forgotten_here_keeps_what_was_told_of_it(store, monkeypatch):
    monkeypatch.setattr(meter_module, "RUNS_MAX", 2)
    meter, budgets = gateway(store)
    budget = Budget(calls_per_run=4)
    for _ in range(3):
        spend(meter, budget, at_ns=MIDNIGHT_NS)
    budgets.save(NOW)
    for other in "ab":
        call = replace(asked(budget), run=other * 32)
        meter.reserve(call, call.policy.chain[0])
        answered_and_settled(meter, call)
    spend(meter, budget, at_ns=MIDNIGHT_NS)
    budgets.save(NOW)
    assert store.since(NOW)[RUN].calls == 4
    with pytest.raises(Refused, match="loop_limit"):
        spend(meter, budget, at_ns=MIDNIGHT_NS)


def test_a_run_that_goes_on_after_its_row_was_forgotten_gets_no_more_than_its_budget(store):
    meter, budgets = gateway(store)
    budget = Budget(calls_per_run=4)
    for _ in range(3):
        spend(meter, budget, at_ns=MIDNIGHT_NS)
    budgets.save(NOW)
    spend(meter, budget, at_ns=MIDNIGHT_NS)
    budgets.save(NOW + timedelta(days=2))
    with pytest.raises(Refused, match="loop_limit"):
        spend(meter, budget, at_ns=MIDNIGHT_NS)


def test_gateways_that_tell_of_the_same_runs_at_once_lose_nothing(store):
    runs = [(AGENT, f"{number:032x}") for number in range(40)]

    def tell(seed):
        order = random.Random(seed).sample(runs, len(runs))
        for _ in range(5):
            store.add({run: Spent(usd_pico=1, tokens=1, calls=1) for run in order}, NOW)

    with ThreadPoolExecutor(4) as gateways:
        list(gateways.map(tell, range(4)))
    assert store.since(NOW) == dict.fromkeys(runs, Spent(usd_pico=20, tokens=20, calls=20))
