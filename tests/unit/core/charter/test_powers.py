# SPDX-License-Identifier: Apache-2.0
"""Duties make roles and roles make powers; a role in the charter only limits."""

from __future__ import annotations

import page_world as world
import pytest

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.powers import Action, Role, may_act, people_who_may, roles_of


def charter(**people):
    tree = read_charter_text(world.charter_text(), file="charter.yaml").value
    tree["people"] |= {
        person: {"name": person, "identity": f"oidc:{person}@corp.example", "unit": "finance"} | terms
        for person, terms in people.items()
    }
    return Charter.model_validate(tree)


@pytest.mark.parametrize(
    ("person", "roles"),
    [
        ("dana", {Role.OWNER, Role.APPROVER}),
        ("lee", {Role.OWNER, Role.APPROVER, Role.OPERATOR, Role.REVIEWER}),  # stands in for dana
        ("sam", {Role.APPROVER, Role.OPERATOR}),
        ("kim", {Role.APPROVER, Role.OPERATOR}),  # stands in for sam
        ("vp", {Role.APPROVER}),
        ("nobody", set()),
    ],
)
def test_roles_follow_from_duties_and_from_whom_one_stands_in_for(person, roles):
    assert roles_of(charter(), person) == roles


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("reviewer", {Action.READ, Action.REVIEW}),
        ("auditor", {Action.READ}),
        ("operator", {Action.READ}),
        (None, {Action.READ}),
    ],
)
def test_a_person_without_a_duty_is_what_the_charter_says_or_only_reads(role, may):
    found = charter(ann={} if role is None else {"role": role})
    assert {action for action in Action if may_act(found, "ann", action)} == may


def test_the_pool_of_reviewers_may_be_a_person():
    assert roles_of(charter(**{"ap-reviewers": {}}), "ap-reviewers") == {Role.REVIEWER}


def test_whoever_is_of_the_team_operates():
    tree = read_charter_text(world.charter_text(), file="charter.yaml").value
    tree["people"]["tom"] = {"name": "Tom", "identity": "oidc:tom@corp.example", "unit": "finance"}
    assert roles_of(Charter.model_validate(tree), "tom") == set()
    tree["operations"]["team"] = (*tree["operations"]["team"], "tom")
    assert roles_of(Charter.model_validate(tree), "tom") == {Role.OPERATOR}


def test_a_role_limits_what_a_duty_gives():
    tree = read_charter_text(world.charter_text(), file="charter.yaml").value
    tree["people"]["sam"]["role"] = "auditor"
    found = Charter.model_validate(tree)
    assert not may_act(found, "sam", Action.OPERATE)
    assert Role.OPERATOR in roles_of(found, "kim"), "by a duty of kim's own"
    assert not may_act(found, "mallory", Action.READ)


def test_who_may_is_listed_in_the_charters_order():
    assert people_who_may(charter(), Action.ERASE) == ("dana", "lee")


def test_who_a_person_is_may_be_left_open_or_not_be_in_the_charter_at_all():
    found = charter(ann={"name": "?", "identity": "?", "substitute": "?"}, bo={"substitute": "ann"})
    assert [found.name_of(one) for one in ("ann", "bo", "nobody")] == ["ann", "bo", "nobody"]
    assert [found.identity_of(one) for one in ("ann", "bo", "nobody")] == [
        None,
        "oidc:bo@corp.example",
        None,
    ]
    assert [found.substitute_of(one) for one in ("ann", "bo", "nobody")] == [None, "ann", None]
