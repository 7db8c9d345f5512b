# SPDX-License-Identifier: Apache-2.0
"""Calls that went on without a record call somebody: once a day for each agent, and not where nobody wanted one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from control_rooms import AGENT
from tests.stubs.gateway_site import taken_from

from pilothouse.errors import LimitExceeded
from pilothouse.ports.gateway import VirtualKey, WireProtocol
from pilothouse.ports.runlog import RecordMode
from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.policy import AgentPolicy
from pilothouse.runtime.gateway.routes import find_place
from pilothouse.runtime.runlog import lost_records
from pilothouse.runtime.runlog.call_sink import RunLogSink
from pilothouse.runtime.runlog.lost_records import LostRecord, LostRecords
from pilothouse.workflows.gateway.lost_records import note_lost_record
from pilothouse.workflows.watch.provider_watch import watch_providers

ROUTE = find_place("POST", "/gw/v1/chat/completions", says_anthropic=False).route
DAY_NS = 86_400 * 10**9


class FullLog:
    """A run log whose disk is full: it takes events and cannot write them, or has no room for more."""

    def __init__(self, *, has_room=True):
        self.has_room = has_room

    def append(self, run, *_, **__):
        if not self.has_room:
            raise LimitExceeded("5000 events wait", remedy="Look at the disk", subject=run)

    def trouble(self):
        return "the disk is full" if self.has_room else None


def over(*, asked=True, record=None):
    key = VirtualKey(
        prefix="p", digest="d", agent=AGENT, created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="t", record=record
    )  # fmt: skip
    call = Call(
        run="5e" * 16, route=ROUTE, key=key, policy=AgentPolicy(agent=AGENT), protocol=WireProtocol.OPENAI,
        identity="new", status=200, ending=Ending.DONE, began_ns=DAY_NS,
    )  # fmt: skip
    call.attempts = [Attempt("acme", "m", DAY_NS, status=200)] if asked else []
    return call


@pytest.mark.parametrize(
    ("has_room", "why"), [(True, "the disk is full"), (False, "5000 events wait")], ids=["disk", "queue"]
)
def test_a_call_that_went_on_unrecorded_is_noticed(has_room, why):
    sink = RunLogSink(FullLog(has_room=has_room))
    for call in (over(asked=False), over(record=RecordMode.OFF)):
        sink.keep(call)
    assert taken_from(sink.lost_records.untold) == [], (
        "a refused call lost nothing, and of the other nobody wanted a record"
    )
    for _ in range(2):
        sink.keep(over())
    (lost,) = taken_from(sink.lost_records.untold)
    assert (lost.agent, lost.run, lost.why) == (AGENT, "5e" * 16, why)


def lost_at(day, agent=AGENT):
    return LostRecord(agent=agent, run="5e" * 16, why="the disk is full", at_ns=day * DAY_NS)


def test_of_each_agent_the_first_of_a_day_is_noticed(monkeypatch):
    monkeypatch.setattr(lost_records, "TOLD_MAX", 2)
    seen = LostRecords()
    for lost in (lost_at(1), lost_at(1), lost_at(2), lost_at(2, "other"), lost_at(2, "third"), lost_at(2)):
        seen.note(lost)
    agents = [one.agent for one in taken_from(seen.untold)]
    assert agents == [AGENT, AGENT, "other", "third", AGENT], "forgotten, noticed anew"


def test_somebody_is_called_once_a_day(room, clock):
    ledger = room.installation.ledger
    lost = LostRecord(
        agent=AGENT, run="5e" * 16, why="the disk is full", at_ns=int(clock().timestamp()) * 10**9
    )
    assert [note_lost_record(ledger, lost, clock()) for _ in range(2)] == [True, False]
    assert [watch_providers(room, clock()) for _ in range(2)] == [1, 0]
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert incident.title.startswith(f"Model calls of {AGENT} went on unrecorded since ")
    assert "(the disk is full; first run 5e5e5e5e)" in incident.title
    clock.move(days=1)
    assert note_lost_record(ledger, lost, clock())
