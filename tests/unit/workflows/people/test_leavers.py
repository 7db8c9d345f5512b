# SPDX-License-Identifier: Apache-2.0
"""Whoever has left, as the directory says, is nobody: not by a session, not by a link, not by a proxy."""

from __future__ import annotations

import pytest
from control_rooms import AGENT, NOW, control_room_at

from pilothouse.core.charter.powers import Action
from pilothouse.errors import Denied
from pilothouse.ledger.sessions import SqlSessions
from pilothouse.workflows.people import people
from pilothouse.workflows.people.directory import check_directory
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.people.sign_in import Proxy, SignIn

EVERYBODY = ("dana", "lee", "kim", "vp", "sam")


@pytest.fixture
def door(tmp_path, monkeypatch):
    """Sign-in over a ledger with a charter in force, and a way to let somebody leave."""
    monkeypatch.setattr(people, "GONE_KEPT_S", 0.0)
    with control_room_at(tmp_path) as room:
        ledger = room.installation.ledger
        proxy = Proxy(header="x-user", secret="s" * 32)
        sign_in = SignIn(
            SqlSessions(ledger.database), Directory(ledger), ledger, room.installation.clock, proxy=proxy
        )

        def leave(*gone):
            active = {f"oidc:{who}@corp.example": who not in gone for who in EVERYBODY}
            check_directory(room.installation, active, NOW, actor="test")

        yield sign_in, leave


def test_a_session_of_somebody_who_left_signs_nobody_in_and_may_nothing(door):
    sign_in, leave = door
    visitor, link = sign_in.issue_link("dana", actor="test")
    session = sign_in.enter(link)
    assert sign_in.visitor(session) == visitor
    assert sign_in.directory.may(visitor, AGENT, Action.OPERATE)
    leave("dana")
    assert sign_in.visitor(session) is None
    assert not sign_in.directory.may(visitor, AGENT, Action.OPERATE)
    leave()
    assert sign_in.visitor(session) == visitor


def test_nobody_who_left_gets_a_link_and_an_old_one_shows_nobody(door):
    sign_in, leave = door
    _, link = sign_in.issue_link("dana", actor="test")
    leave("dana")
    assert sign_in.expected(link) is None
    with pytest.raises(Denied, match="dana has left, as the directory says"):
        sign_in.issue_link("dana", actor="test")
    assert sign_in.issue_link("lee", actor="test")[0].persons == {AGENT: "lee"}


def test_a_proxy_that_does_not_know_yet_vouches_for_nobody_who_left(door):
    sign_in, leave = door
    vouched = ("dana@corp.example", "s" * 32)
    assert sign_in.visitor(None, vouched).name
    leave("dana")
    assert sign_in.visitor(None, vouched) is None
