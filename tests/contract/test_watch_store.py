# SPDX-License-Identifier: Apache-2.0
"""What `ports.WatchStore` promises: a day is counted once, and what follows from it is not forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from fresh_ledger import ledger_url

from pilothouse.errors import Conflict
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.watch import SqlWatch
from pilothouse.ports.watch import WatchReading, WatchState, WatchStep, WatchStore

AGENT, DAY = "ap-invoice-triage", date(2026, 11, 18)
NOW = datetime(2026, 11, 19, 1, 5, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        yield SqlWatch(ledger.database)


def reading(day=DAY, layer="quiet", detector="completion"):
    return WatchReading(
        agent=AGENT,
        task_type="po_invoice",
        detector=detector,
        day=day,
        at=NOW,
        layer=layer,
        settled=layer == "quiet",
        document="{}",
    )


def step(before=0, document='{"last":"2026-11-18"}', readings=()):
    return WatchStep(task_type="", detector="traffic", before=before, document=document, readings=readings)


def test_a_step_stores_state_and_readings_together(store):
    assert isinstance(store, WatchStore)
    assert store.states(AGENT) == {}
    store.advance(AGENT, [step(readings=(reading(),))])
    assert store.states(AGENT) == {("", "traffic"): WatchState(version=1, document='{"last":"2026-11-18"}')}
    assert store.readings(AGENT, since=DAY) == (reading(),)
    store.advance(AGENT, [step(before=1, document='{"last":"2026-11-19"}')])
    assert store.states(AGENT)["", "traffic"].version == 2
    assert store.states("another") == {}
    assert store.whole() == {AGENT: {"traffic": WatchState(version=2, document='{"last":"2026-11-19"}')}}


def test_a_step_leaves_the_other_agents_task_types_and_detectors_as_they_were(store):
    places = [
        (agent, replace(step(), task_type=task_type, detector=detector))
        for agent in (AGENT, "another")
        for task_type in ("a", "b")
        for detector in ("traffic", "drop")
    ]
    for agent, one in places:
        store.advance(agent, [one])
    store.advance(AGENT, [replace(step(before=1, document="{}"), task_type="a")])
    changed = [
        (agent, *place)
        for agent in (AGENT, "another")
        for place, state in store.states(agent).items()
        if state != WatchState(version=1, document='{"last":"2026-11-18"}')
    ]
    assert changed == [(AGENT, "a", "traffic")]
    assert store.states(AGENT)["a", "traffic"] == WatchState(version=2, document="{}")


def test_the_second_of_two_processes_stores_nothing(store):
    store.advance(AGENT, [step(readings=(reading(),))])
    with pytest.raises(Conflict, match="counted a day"):
        store.advance(AGENT, [step(readings=(reading(DAY.replace(day=19)),))])
    assert len(store.readings(AGENT, since=DAY)) == 1


def test_an_alarm_waits_until_it_is_settled(store):
    loud = reading(layer="verdict")
    store.advance(AGENT, [step(readings=(loud, reading(detector="escalation")))])
    assert store.unsettled() == (loud,)
    store.settle(loud)
    assert store.unsettled() == ()
    assert [one.layer for one in store.readings(AGENT, since=DAY, detector="completion")] == ["verdict"]


def test_readings_are_bounded_and_the_newest_stay(store):
    days = [date(2026, 11, number) for number in range(1, 6)]
    store.advance(AGENT, [step(readings=tuple(reading(day) for day in days))])
    assert [one.day for one in store.readings(AGENT, since=days[1], limit=2)] == days[-2:]


def test_what_cannot_be_settled_at_one_agent_stands_before_nothing_of_another(store, monkeypatch):
    monkeypatch.setattr("pilothouse.ledger.watch.UNSETTLED_MAX", 2)
    days = [date(2026, 11, number) for number in range(1, 6)]
    store.advance(AGENT, [step(readings=tuple(reading(day, layer="verdict") for day in days))])
    other = replace(reading(days[-1], layer="verdict"), agent="other-agent")
    store.advance("other-agent", [step(readings=(other,))])
    assert [(one.agent, one.day) for one in store.unsettled()] == [
        (AGENT, days[0]),
        (AGENT, days[1]),
        ("other-agent", days[-1]),
    ]
