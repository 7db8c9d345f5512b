# SPDX-License-Identifier: Apache-2.0
"""The three findings that a newcomer reads first are the worst, and not three views of one defect."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, RequirementVerdict, Status
from pilothouse.demo.findings import worst_findings

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def item(requirement, status, *, value=None, bound=None):
    return ItemVerdict(
        requirement=requirement,
        scope=Scope(),
        status=status,
        rule="r",
        sentence=f"{requirement} {value}",
        value=value,
        bound=bound,
    )


def verdict(*items, repeated=()):
    def requirement(one, shown):
        return RequirementVerdict(
            requirement=shown,
            domain=shown.split("-")[0],
            statement="s",
            gates=("1",),
            status=one.status,
            reason=None,
            deciding=one,
            items=(one,),
        )

    return AgentVerdict(
        agent="a",
        version=None,
        phase="pilot",
        as_of=NOW,
        charter_digest="d",
        status=Status.BREACHED,
        reason=None,
        deciding=items[0].requirement if items else "",
        sentence="s",
        next_gate="1",
        word="NO-GO",
        next_lapse_at=None,
        domains=(),
        gates=(),
        requirements=(
            *(requirement(one, one.requirement) for one in items),
            *(requirement(one, "Q-1") for one in repeated),
        ),
    )


def names(found):
    return [one.requirement for one in found]


def test_what_missed_its_bound_most_comes_first():
    near = item("MON-2", Status.BREACHED, value=0.94, bound=0.95)
    far = item("INT-3", Status.BREACHED, value=0.5, bound=0.02)
    assert names(worst_findings(verdict(near, far))) == ["INT-3", "MON-2"]


def test_each_domain_has_its_turn_before_any_comes_again():
    first = item("MON-7", Status.BREACHED, value=0.5, bound=0.02)
    second = item("MON-2", Status.BREACHED, value=0.4, bound=0.9)
    other = item("INT-1", Status.BREACHED, value=0.91, bound=0.9)
    assert names(worst_findings(verdict(first, second, other))) == ["MON-7", "INT-1", "MON-2"]


@pytest.mark.parametrize("status", [Status.NO_EVIDENCE, Status.AT_RISK])
def test_a_breach_comes_before_anything_else(status):
    breached = item("OWN-1", Status.BREACHED)
    assert names(worst_findings(verdict(item("INT-1", status), breached)))[0] == "OWN-1"


def test_what_holds_is_no_finding():
    assert worst_findings(verdict(item("INT-1", Status.HOLDS))) == ()


def test_a_question_that_repeats_a_requirement_is_not_a_second_finding():
    one = item("INT-1", Status.BREACHED)
    assert names(worst_findings(verdict(one, repeated=(one,)))) == ["INT-1"]


def test_there_are_at_most_three():
    many = [item(f"{domain}-1", Status.BREACHED) for domain in ("INT", "EVAL", "MON", "OWN", "DATA")]
    assert len(worst_findings(verdict(*many))) == 3
