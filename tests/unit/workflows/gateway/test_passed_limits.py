# SPDX-License-Identifier: Apache-2.0
"""A day that reaches its lower limit calls the owner once, runs call once an hour, and a limit that is blind says so."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from control_rooms import AGENT

from pilothouse.errors import Conflict
from pilothouse.runtime.gateway.passed_limits import PassedLimit
from pilothouse.runtime.gateway.policy import PICO
from pilothouse.workflows.gateway.passed_limits import PASSED_KIND, note_passed
from pilothouse.workflows.watch.provider_watch import watch_providers


def passed(limit="usd_per_day", of="2026-11-17", spent=30_120 * PICO, most=30_000 * PICO):
    return PassedLimit(agent=AGENT, limit=limit, of=of, spent=spent, most=most)


def lines(room):
    events = [
        event for one in room.incidents.incidents(agent=AGENT) for event in room.incidents.events(one.number)
    ]
    return [event.text for event in events if "model.limits.alert" in event.text]


@pytest.fixture
def ledger(room):
    return room.installation.ledger


def test_a_day_is_told_once_whichever_gateway_saw_it(room, clock, ledger):
    assert note_passed(ledger, passed(), clock())
    assert not note_passed(ledger, passed(spent=30_500 * PICO), clock())
    assert [watch_providers(room, clock()) for _ in range(2)] == [1, 0]
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert incident.title == (
        f"{AGENT} has spent 30,120 USD on 2026-11-17, and `model.limits.alert.usd_per_day` is 30,000 USD: its calls go on."
    )
    assert note_passed(ledger, passed(of="2026-11-18"), clock())
    assert note_passed(ledger, passed(most=40_000 * PICO), clock())


def test_runs_are_told_once_an_hour_for_each_limit(room, clock, ledger):
    told = []
    for place in range(5):
        run = str(place) * 32
        told.append(note_passed(ledger, passed("tokens_per_run", run, 105, 100), clock()))
        clock.move(minutes=20)
    assert told == [True, False, False, True, False]
    assert note_passed(ledger, passed("usd_per_run", "9" * 32), clock())
    watch_providers(room, clock())
    assert any(text.count("A run of") and "00000000, has spent 105 tokens" in text for text in lines(room))


def test_a_limit_that_is_blind_says_how_to_mend_it(room, clock, ledger):
    assert note_passed(ledger, passed(spent=None), clock())
    assert note_passed(ledger, passed(), clock()), "what is reached later is told too"
    watch_providers(room, clock())
    assert any("whose price nobody has said" in text and "`pilothouse price`" in text for text in lines(room))


def test_what_lies_long_back_calls_nobody(room, clock, ledger):
    note_passed(ledger, passed(), clock())
    clock.move(hours=3)
    assert watch_providers(room, clock()) == 0


def test_two_gateways_that_write_at_one_moment_write_one_record(clock, ledger, monkeypatch):
    whole = ledger.decisions

    def read_before(*args, **kwargs):
        found = whole(*args, **kwargs)
        monkeypatch.undo()
        note_passed(ledger, passed(), clock() - timedelta(seconds=1))
        return found

    monkeypatch.setattr(ledger, "decisions", read_before)
    with pytest.raises(Conflict):
        note_passed(ledger, passed(), clock())
    (one,) = ledger.decisions(AGENT, kind=PASSED_KIND)
    assert json.loads(one.document)["of"] == "2026-11-17"
