# SPDX-License-Identifier: Apache-2.0
"""Whom an agent serves in a phase: the same subject gets the same answer, and a promotion only adds subjects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from evidence_made import edited_charter, load_charter

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.addition import Addition, AdditionKind
from pilothouse.core.verdict.phases import PhaseState
from pilothouse.core.verdict.routing import Reach, reach_of

SUBJECTS = [f"supplier-{number}" for number in range(4_000)]


def charter_with(*edits):
    return Charter.model_validate(read_charter_text(edited_charter(*edits), file="charter.yaml").value)


def served(share, phase="1"):
    reach = Reach(agent="triage", phase=phase, share=share, groups=None)
    return {subject for subject in SUBJECTS if reach.refusal_of(subject) is None}


def test_a_share_is_met_and_a_larger_one_only_adds():
    small, large = served(0.05), served(0.5, "2")
    assert small < large < served(1.0, "3") == set(SUBJECTS)
    assert abs(len(small) / len(SUBJECTS) - 0.05) < 0.02
    assert served(0.0) == set()


def test_another_agent_mixes_anew():
    other = Reach(agent="refunds", phase="1", share=0.5, groups=None)
    assert served(0.5) != {subject for subject in SUBJECTS if other.refusal_of(subject) is None}


@pytest.mark.parametrize(
    ("phase", "share", "groups"),
    [("pilot", 0.05, {"ap-lab"}), ("1", 0.1, {"ap-team-a"}), ("2", 0.5, {"ap-dept"}), ("3", 1.0, None)],
)
def test_the_charter_says_whom(phase, share, groups):
    found = reach_of(load_charter(), phase)
    assert (found.share, found.groups) == (share, None if groups is None else frozenset(groups))


def test_what_the_charter_leaves_open_leaves_nobody_out():
    charter = charter_with(("share_pilot: 0.05", 'share_pilot: "?"'), ("users: [ap-lab]", 'users: "?"'))
    found = reach_of(charter, "pilot")
    assert (found.share, found.groups) == (None, None)
    assert found.refusal_of("anybody") is None
    one_open = charter_with(("users: [ap-lab]", 'users: [ap-lab, "?"]'))
    assert reach_of(one_open, "pilot").groups is None


def test_a_group_that_is_written_twice_is_no_open_question():
    charter = charter_with(("users: [ap-team-a]", "users: [ap-team-a, ap-team-a]"))
    found = reach_of(charter, "1")
    assert found.groups == frozenset({"ap-team-a"})
    assert found.refusal_of("anybody") == "ap-invoice-triage serves the users ap-team-a in phase 1"


def test_a_charter_without_that_phase_leaves_nobody_out():
    phases = {name: terms for name, terms in load_charter().phases.items() if name != "2"}
    found = reach_of(load_charter().model_copy(update={"phases": phases}), "2")
    assert (found.share, found.groups) == (None, None)


def test_users_that_came_into_the_scope_have_the_share_of_their_own_phase():
    charter = charter_with(("users: [all]", "users: [ap-dept, ap-team-b]"))
    names = [f"supplier-{number}" for number in range(400)]

    def served_of(phase, groups, joined_at=None, name="ap-team-b"):
        state = PhaseState(phase=phase, since=None)
        came = Addition(what=AdditionKind.USERS, name=name, state=state, joined_at=joined_at)
        other = Addition(what=AdditionKind.TASK_TYPE, name="refunds", state=state)
        reach = reach_of(charter, "3", [came, other])
        return {one for one in names if reach.refusal_of(one, groups) is None}, reach

    few, reach = served_of("1", ["ap-team-b"])
    half, _ = served_of("2", ["ap-team-b"])
    assert 0.04 < len(few) / 400 < 0.16
    assert few < half < set(names)
    left = next(one for one in names if one not in few)
    assert reach.refusal_of(left, ["ap-team-b"]) == (
        "ap-invoice-triage serves 10 % of the users ap-team-b in phase 1, and this is not one of them"
    )
    assert served_of("1", ["ap-dept"])[0] == set(names), "the old scope stays where it is"
    assert served_of("1", ["ap-dept", "ap-team-b"])[0] == set(names)
    out, gone = served_of("pilot", ["ap-team-b"])
    assert (out, gone.refusal_of(left, ["ap-team-b"])) == (set(), "ap-invoice-triage does not serve the users ap-team-b yet")  # fmt: skip
    assert served_of("1", ["guests"])[0] == set()
    assert served_of("3", ["ap-team-b"], joined_at=datetime(2026, 11, 20, tzinfo=UTC))[0] == set(names)
    assert served_of("1", ["guests"], name="all")[0] == few, "everybody is a group as well"


def test_who_is_in_none_of_the_groups_keeps_the_incumbent():
    reach = reach_of(load_charter(), "1")
    assert (
        reach.refusal_of("supplier-1", ["guests"])
        == "ap-invoice-triage serves the users ap-team-a in phase 1"
    )
