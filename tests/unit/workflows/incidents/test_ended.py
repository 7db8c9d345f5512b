# SPDX-License-Identifier: Apache-2.0
"""A breach that lasts after its incident was resolved calls nobody again for the same tasks, and everybody for a new one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from control_rooms import AGENT, run

from pilothouse.core.action.incident import IncidentState
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.evidence.measurement import ITEMS_KEPT_MAX
from pilothouse.core.verdict.verdict import ItemVerdict, Status
from pilothouse.testing import example_task
from pilothouse.workflows.incidents import alerts
from pilothouse.workflows.incidents.alerts import alert_on_verdicts
from pilothouse.workflows.incidents.incidents import move


def trace(number):
    return f"{number:032x}"


def breach(bad, n, *, kind="discrepancy", unit="rate", items=None, value=...):
    return ItemVerdict(
        requirement="MON-7",
        scope=Scope(task_type="po_invoice"),
        status=Status.BREACHED,
        kind=kind,
        rule="contradicted",
        sentence=f"{bad} of {n} claims are contradicted.",
        value=bad / n if value is ... else value,
        unit=unit,
        n=n,
        basis="measured",
        items=tuple(map(trace, range(bad)))[:ITEMS_KEPT_MAX] if items is None else items,
    )


@pytest.fixture
def look(room, clock, monkeypatch):
    """Judge by the given items, and say how many incidents that opens."""

    def judge(*items):
        verdict = SimpleNamespace(requirements=[SimpleNamespace(items=items)])
        monkeypatch.setattr(alerts, "newest_verdict", lambda _ledger, _agent: verdict)
        clock.move(minutes=5)
        return alert_on_verdicts(room, clock())

    return judge


def end(room, clock, number):
    move(room, number, IncidentState.ACKNOWLEDGED, person="sam", text="", now=clock())
    clock.move(minutes=5)
    move(room, number, IncidentState.RESOLVED, person="sam", text="the prompt of before", now=clock())


def paused(room):
    return room.controls.read().refusal_of(AGENT)


def test_the_tasks_of_a_resolved_incident_open_no_other_one_and_pause_nobody(room, clock, look):
    both = breach(4, 100), breach(96, 100, kind="quality", value=0.96, items=breach(4, 100).items)
    assert look(*both) == 1
    end(room, clock, 1)
    run(room)
    later = breach(4, 130), breach(126, 130, kind="quality", value=126 / 130, items=breach(4, 100).items)
    assert (look(*both), look(*later)) == (0, 0), "good tasks since are no reason either"
    run(room)
    assert paused(room) is None
    assert look(breach(5, 131)) == 1, "one bad task since is"
    run(room)
    assert "INC-2" in paused(room)


def test_what_was_never_on_an_incident_opens_one_even_if_it_is_older(room, clock, look):
    look(breach(4, 100))
    end(room, clock, 1)
    assert look(breach(4, 100, items=tuple(map(trace, (0, 1, 2, 9))))) == 1


def test_an_incident_that_is_only_mitigated_goes_on(room, clock, look):
    look(breach(4, 100))
    move(room, 1, IncidentState.ACKNOWLEDGED, person="sam", text="", now=clock())
    move(room, 1, IncidentState.MITIGATED, person="sam", text="", now=clock())
    assert look(breach(4, 100)) == 0
    assert len(room.incidents.incidents(agent=AGENT)) == 1


@pytest.mark.parametrize(
    "item",
    [
        breach(4, 100, unit="usd"),
        breach(4, 100, items=()),
        breach(4, 100, value=None),
    ],
)
def test_what_names_no_task_one_by_one_opens_another_one(room, clock, look, item):
    look(item)
    end(room, clock, 1)
    assert look(item) == 1


@pytest.mark.parametrize("item", [breach(60, 200), breach(9, 100, items=tuple(map(trace, range(4))))])
def test_where_not_every_bad_task_is_named_the_next_task_opens_another_one(room, clock, look, item):
    lake = room.installation.lake
    look(item)
    end(room, clock, 1)
    assert look(item) == 0, "nothing was done since"
    at = int(clock().timestamp() * 1e9)
    lake.add([example_task(agent=AGENT, trace_id=trace(999), start_ns=at, end_ns=at + 1)])
    assert look(item) == 1
