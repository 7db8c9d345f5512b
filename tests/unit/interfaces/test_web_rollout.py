# SPDX-License-Identifier: Apache-2.0
"""The forms that move an agent: who may, what they change, and what is asked before a step back."""

from __future__ import annotations

import html
import re

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.addition import AdditionEvent, AdditionKind
from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove
from pilothouse.core.verdict.routing import AddedUsers
from pilothouse.interfaces.web.pages import web_app
from pilothouse.interfaces.web.rollout import RolloutRoom
from pilothouse.workflows.gateway.directory import DirectoryCache
from pilothouse.workflows.ground.phase_log import MOVED, phase_at
from pilothouse.workflows.phases.additions import write_move
from pilothouse.workflows.reports.show import Shows

SAME = {"sec-fetch-site": "same-origin"}
PAGE = f"/agents/{world.AGENT}/rollout"


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def enter(site, who):
    shows = Shows(site.installation)
    app = web_app(shows, sign_in=site.sign_in, rooms=(RolloutRoom(site.installation, shows),))
    client = TestClient(app, base_url="http://localhost", follow_redirects=False)
    link = site.link(who).removeprefix("/sign-in/")
    assert client.post("/sign-in", data={"link": link}, headers=SAME).status_code == 303
    return client


def send(client, step, **fields):
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/sign-in").text)[1]
    return client.post(f"{PAGE}/{step}", data={"form_token": token, **fields}, headers=SAME)


def phase_of(site):
    return phase_at(site.ledger, world.AGENT, site.clock.now()).phase


def test_the_page_shows_forms_to_who_is_signed_in_only(site):
    stranger = TestClient(enter(site, "sam").app, base_url="http://localhost")
    assert f'action="{PAGE}' not in stranger.get(PAGE).text
    assert f'action="{PAGE}/request"' in enter(site, "sam").get(PAGE).text


def test_a_request_spends_a_look_and_who_may_not_operate_is_refused(site):
    answer = send(enter(site, "sam"), "request", phase="1")
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    (row,) = site.ledger.decisions(world.AGENT, kind="phase.looked")
    assert row.actor == "sam"
    assert send(enter(site, "vp"), "request", phase="1").status_code == 403
    assert send(enter(site, "sam"), "request", phase="9").status_code == 404


def test_an_approval_without_a_request_says_so_and_moves_nothing(site):
    answer = send(enter(site, "dana"), "approve")
    assert answer.status_code == 409
    assert "waits for an approval" in answer.text
    assert phase_of(site) == "pilot"


@pytest.mark.parametrize(
    "fields", [{}, {"reason": "wrong queue"}, {"confirm": world.AGENT}, {"reason": "x", "confirm": "other"}]
)
def test_a_step_back_asks_for_a_reason_and_the_name(site, fields):
    answer = send(enter(site, "sam"), "back", **fields)
    assert answer.status_code == 422
    assert world.AGENT in answer.text


def test_a_step_back_is_recorded_with_person_and_reason_as_text(site):
    answer = send(enter(site, "sam"), "back", reason="<b>wrong</b> queue", confirm=world.AGENT, seen="pilot")
    assert answer.status_code == 303
    text = enter(site, "sam").get(PAGE).text
    assert "&lt;b&gt;wrong&lt;/b&gt; queue" in text
    assert "rolled back by S. Ortega" in text


def test_a_step_back_that_is_sent_twice_goes_back_one_phase(site):
    entered = PhaseEvent(move=PhaseMove.ENTERED, phase="2", at=site.clock.now(), by=("dana",), reason="held")
    site.ledger.record(
        kind=MOVED, agent=world.AGENT, at=entered.at, actor="dana", document=entered.model_dump_json()
    )
    client = enter(site, "sam")
    seen = re.search(r'rollout/back".*?name="seen" value="([^"]+)"', client.get(PAGE).text)[1]
    form = {"reason": "wrong queue", "confirm": world.AGENT, "seen": seen}
    assert send(client, "back", **form).status_code == 303
    twice = send(client, "back", **form)
    assert twice.status_code == 409
    assert "wrong queue" in twice.text
    assert phase_of(site) == "1"


def test_pages_are_the_same_as_json(site):
    client = enter(site, "sam")
    for name in ("rollout", "value"):
        page = client.get(f"/agents/{world.AGENT}/{name}")
        record = client.get(f"/agents/{world.AGENT}/{name}.json").json()
        assert record["sentence"]["plain"] in page.text
        assert record["digest"][:12] in page.text
    assert client.get("/agents/nobody/rollout").status_code == 404


def test_what_came_into_the_scope_has_forms_of_its_own_and_says_the_same_in_json(site):
    begun = PhaseEvent(move=PhaseMove.ENTERED, phase="pilot", at=world.NOW, by=("dana",), reason="held")
    notes = AdditionEvent(what=AdditionKind.TASK_TYPE, name="credit_note", move=begun)
    write_move(site.ledger, world.AGENT, notes)
    client = enter(site, "sam")
    page = client.get(PAGE).text
    (row,) = client.get(f"{PAGE}.json").json()["additions"]
    assert (row["label"], row["phase"], row["may_request"]) == (
        "task type credit_note",
        "out of service",
        "1",
    )
    for said in (row["label"], row["sentence"], row["looks"], row["command"]):
        assert said in html.unescape(page)
    assert '<input type="hidden" name="name" value="credit_note">' in page
    gone = send(client, "request", phase="1", what="task type", name="credit_note")
    assert gone.status_code == 303
    assert send(client, "request", phase="1", what="mood", name="credit_note").status_code == 404
    assert send(client, "request", phase="1", what="tool", name="credit_note").status_code == 404
    assert send(enter(site, "dana"), "approve", what="task type", name="credit_note").status_code == 409
    assert phase_of(site) == "pilot"


def test_the_gateway_serves_users_that_came_in_by_the_share_of_their_phase(site):
    text = world.charter_text().replace("users: [all]", "users: [ap-dept]")
    charter = Charter.model_validate(read_charter_text(text, file="charter.yaml").value)
    now = site.clock.now()
    site.ledger.accept_charter(
        agent=world.AGENT, digest=charter.digest, text=text, path="charter.yaml", at=now
    )
    held = PhaseEvent(move=PhaseMove.ENTERED, phase="3", at=now, by=("dana",), reason="held")
    site.ledger.record(kind=MOVED, agent=world.AGENT, at=now, actor="dana", document=held.model_dump_json())
    begun = held.model_copy(update={"phase": "1"})
    guests = AdditionEvent(what=AdditionKind.USERS, name="guests", move=begun)
    write_move(site.ledger, world.AGENT, guests)
    cache = DirectoryCache(site.ledger, site.desk.gateway, now=site.clock.now)
    cache.refresh()
    assert cache.trouble == ""
    reach = cache.directory().policies[world.AGENT].reach
    assert reach.groups == {"ap-dept"}
    assert reach.added == (AddedUsers(name="guests", phase="1", share=0.1),)
