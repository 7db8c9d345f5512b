# SPDX-License-Identifier: Apache-2.0
"""Who is called on which level, who may act, and how an incident joins and moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from source_tree import ROOT

from pilothouse.core.action.escalation import Call, next_level, plan_level, start_level
from pilothouse.core.action.incident import (
    ROUNDS_MAX,
    STEPS,
    Incident,
    IncidentState,
    check_step,
    joins,
    worse,
)
from pilothouse.core.charter.powers import Action, incident_handlers, may_act
from pilothouse.errors import UsageError
from pilothouse.workflows.ground.check import check_text

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FILE = ROOT / "tests" / "golden" / "charters" / "ap-invoice-triage.yaml"


@pytest.fixture(scope="module")
def charter():
    return check_text(
        FILE.read_text(encoding="utf-8"), file=str(FILE), today=date(2026, 11, 20), folder=FILE.parent
    ).charter


def changed(charter, **fields):
    return charter.model_copy(update=fields)


def level_of(charter, number, **fields):
    return tuple(one.model_copy(update=fields) if one.level == number else one for one in charter.escalation)


def test_a_level_calls_its_people_by_its_channels(charter):
    plan = plan_level(charter, 1)
    assert plan.calls == (Call(person="sam"), Call(person="kim"))
    assert (plan.via, plan.acknowledge) == (("chat", "mail"), timedelta(minutes=15))
    assert plan_level(charter, 9) is None


def test_who_left_is_replaced_and_nobody_is_called_twice(charter):
    assert plan_level(charter, 1, gone=("sam",)).calls == (Call(person="kim", stands_for="sam"),)
    assert plan_level(charter, 1, gone=("kim",)).calls == (Call(person="sam"), Call(person="kim"))
    assert plan_level(charter, 2, gone=("dana",)).calls == (Call(person="lee", stands_for="dana"),)
    assert plan_level(charter, 2, gone=("dana", "lee")).calls == (Call(person="dana"),)


def test_open_questions_call_nobody(charter):
    assert plan_level(changed(charter, escalation="?"), 1) is None
    assert plan_level(changed(charter, escalation=level_of(charter, 1, acknowledge="?")), 1) is None
    assert plan_level(changed(charter, escalation=level_of(charter, 1, to=("?", "kim"))), 1).calls == (
        Call(person="kim"),
    )
    assert plan_level(
        changed(charter, escalation=level_of(charter, 1, to=("ghost",))), 1, gone=("ghost",)
    ).calls == (Call(person="ghost"),)


def test_the_path_ends_after_its_last_level(charter):
    assert [next_level(charter, number) for number in (1, 2, 3)] == [2, 3, None]
    open_two = changed(charter, escalation=level_of(charter, 2, acknowledge="?"))
    assert [next_level(open_two, number) for number in (1, 2, 3)] == [3, 3, None]
    open_one = changed(charter, escalation=level_of(charter, 1, to="?"))
    assert start_level(open_one, "sev2", foreseen=True) == 2


def test_what_no_rule_foresaw_goes_past_level_one(charter):
    assert start_level(charter, "sev2", foreseen=True) == 1
    assert start_level(charter, "sev2", foreseen=False) == 2
    alone = changed(charter, escalation=level_of(charter, 1)[:1])
    assert start_level(alone, "sev2", foreseen=False) == 1
    assert start_level(changed(charter, escalation="?"), "sev2", foreseen=True) == 1
    assert start_level(changed(charter, severities="?"), "sev2", foreseen=True) == 1
    third = {**charter.severities, "sev2": charter.severities["sev2"].model_copy(update={"start_level": 3})}
    assert start_level(changed(charter, severities=third), "sev2", foreseen=False) == 3


def test_who_may_act_is_said_with_the_reason(charter):
    allowed = incident_handlers(charter)
    assert allowed["dana"] == "owner"
    assert allowed["sam"] == "accountable for incident_response"
    assert allowed["vp"] == "escalation level 3"
    assert allowed["lee"] == "substitute of D. Ruiz"
    nobody = changed(
        charter,
        escalation="?",
        operations=charter.operations.model_copy(update={"team": ("?",)}),
        owner=charter.owner.model_copy(update={"person": "?"}),
    )
    assert set(incident_handlers(nobody)) == {"sam", "kim"}


def test_whoever_is_called_may_handle_an_incident_and_nothing_else_for_it(charter):
    assert may_act(charter, "vp", Action.HANDLE)
    assert not may_act(charter, "vp", Action.OPERATE)
    assert not may_act(charter, "mallory", Action.HANDLE)


def incident(**fields):
    base = Incident(
        number=3,
        agent="a-gent",
        group="completion|all",
        rule="completion",
        task_type=None,
        severity="sev2",
        state=IncidentState.OPEN,
        title="It fell.",
        opened_at=NOW,
        level=1,
    )
    return replace(base, **fields)


def test_every_pair_of_states_is_possible_or_refused_with_what_is(charter):
    for state in IncidentState:
        for to in IncidentState:
            if to in STEPS[state]:
                check_step(incident(state=state), to)
                continue
            with pytest.raises(UsageError) as caught:
                check_step(incident(state=state), to)
            assert "pilothouse incident" in caught.value.remedy


def test_it_says_which_level_is_called_and_that_nobody_is_any_more():
    assert incident(level=2, round=ROUNDS_MAX - 1).called == "level 2 is called"
    assert incident(level=3, round=ROUNDS_MAX).called == "nobody is called any more"


def test_an_alert_joins_the_same_one_or_another_one_of_the_first_hour():
    def joined(one, *, group="cost|all", drill="", agent="a-gent", minutes=30):
        return joins(one, agent=agent, group=group, drill=drill, at=NOW + timedelta(minutes=minutes))

    assert joined(incident())
    assert not joined(incident(), minutes=61)
    assert joined(incident(), group="completion|all", minutes=9_000)
    assert not joined(incident(), drill="page")
    assert not joined(incident(), agent="other")
    assert not joined(incident(state=IncidentState.RESOLVED))


def test_names_and_severities():
    assert incident().name == "INC-3"
    assert incident().is_active
    assert not incident(state=IncidentState.REVIEWED).is_active
    assert worse("sev2", "sev3") == "sev2"


def test_a_turn_ends_given_up_and_another_one_begins_after_it():
    over = incident(round=1).given_up()
    assert (over.round, over.is_given_up, over.round_of_turn) == (ROUNDS_MAX, True, ROUNDS_MAX)
    anew = incident(round=over.round + 1)
    assert (anew.is_given_up, anew.round_of_turn) == (False, 0)
    assert anew.given_up().round == 2 * ROUNDS_MAX + 1
    assert not replace(over, state=IncidentState.ACKNOWLEDGED).is_given_up
