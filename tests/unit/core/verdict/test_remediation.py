# SPDX-License-Identifier: Apache-2.0
"""What to do next: one step for each command, in an order that does not depend on luck."""

from __future__ import annotations

from datetime import UTC, datetime

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.remediation import rank_steps
from pilothouse.core.verdict.verdict import (
    AgentVerdict,
    GateVerdict,
    ItemVerdict,
    Reason,
    RequirementVerdict,
    Status,
)


def item(requirement, status, remedy, *, reason=None, part=None, who=("dana",)):
    return ItemVerdict(
        requirement=requirement,
        scope=Scope(part=part),
        status=status,
        reason=reason,
        rule="a rule",
        sentence=f"{requirement} says {status.value}.",
        remedy=remedy,
        who=who,
    )


def requirement(*items, gates=("1",)):
    return RequirementVerdict(
        requirement=items[0].requirement,
        domain="MON",
        statement="s",
        gates=gates,
        status=items[0].status,
        reason=items[0].reason,
        deciding=items[0],
        items=items,
    )


def verdict(*requirements, gate=True):
    ids = {
        status: tuple(one.requirement for one in requirements if one.status is status and "1" in one.gates)
        for status in Status
    }
    first = GateVerdict(
        gate="1",
        status=Status.BREACHED,
        reason=None,
        worst="MON-1",
        breached=ids[Status.BREACHED],
        no_evidence=ids[Status.NO_EVIDENCE],
        at_risk=ids[Status.AT_RISK],
        holds=ids[Status.HOLDS],
    )
    return AgentVerdict(
        agent="a",
        version=None,
        phase="pilot",
        as_of=datetime(2026, 11, 20, tzinfo=UTC),
        charter_digest="d",
        status=Status.BREACHED,
        reason=None,
        deciding="MON-1",
        sentence="s",
        next_gate="1",
        word="NO-GO",
        next_lapse_at=None,
        domains=(),
        gates=(first,) if gate else (),
        requirements=requirements,
    )


MISSING = {"status": Status.NO_EVIDENCE, "reason": Reason.MISSING}


def test_the_order_is_gate_then_harm_then_severity_then_how_much_one_command_settles():
    steps = rank_steps(
        verdict(
            requirement(item("DATA-1", Status.BREACHED, "later"), gates=("3",)),
            requirement(item("INT-1", **MISSING, remedy="b one")),
            requirement(
                item("INT-2", **MISSING, remedy="two"), item("INT-2", **MISSING, remedy="two", part="x")
            ),
            requirement(item("INT-3", **MISSING, remedy="a one")),
            requirement(item("MON-3", Status.NO_EVIDENCE, "few", reason=Reason.INSUFFICIENT)),
            requirement(item("MON-4", Status.NO_EVIDENCE, "old", reason=Reason.STALE)),
            requirement(item("MON-5", Status.AT_RISK, "soon")),
            requirement(item("MON-1", Status.BREACHED, "breach")),
            requirement(item("MON-7", Status.BREACHED, "lie")),
        )
    )
    assert [step.command for step in steps] == [
        "lie",
        "breach",
        "two",
        "a one",
        "b one",
        "old",
        "few",
        "soon",
        "later",
    ]
    assert [step.needed for step in steps] == [True] * 8 + [False]


def test_one_command_for_several_items_is_one_step_with_the_worst_sentence_and_everybody_in_it():
    (step,) = rank_steps(
        verdict(
            requirement(item("MON-1", **MISSING, remedy="go", who=("sam",))),
            requirement(item("MON-2", Status.BREACHED, "go", who=("dana", "sam"))),
        )
    )
    assert step.requirements == ("MON-1", "MON-2")
    assert (step.items, step.status, step.why) == (2, Status.BREACHED, "MON-2 says breached.")
    assert step.who == ("sam", "dana")


def test_an_item_repeated_by_a_composed_requirement_counts_once():
    one = item("MON-1", **MISSING, remedy="go")
    composed = requirement(one).model_copy(update={"requirement": "Q-1"})
    (step,) = rank_steps(verdict(requirement(one), composed))
    assert step.items == 1


def test_what_holds_what_has_no_remedy_and_what_no_gate_asks_for_gives_no_step():
    assert (
        rank_steps(
            verdict(
                requirement(item("MON-1", Status.HOLDS, "x")),
                requirement(item("MON-2", Status.BREACHED, "")),
                requirement(item("MON-3", Status.BREACHED, "y"), gates=()),
            )
        )
        == ()
    )


def test_without_a_gate_nothing_is_needed_now():
    (step,) = rank_steps(verdict(requirement(item("MON-1", Status.BREACHED, "go")), gate=False))
    assert not step.needed
