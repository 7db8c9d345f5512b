# SPDX-License-Identifier: Apache-2.0
"""The forms that move an agent: who may, what they change, and what is asked before a step back."""

from __future__ import annotations

import re

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

from pilothouse.interfaces.web.pages import web_app
from pilothouse.interfaces.web.rollout import RolloutRoom
from pilothouse.workflows.phase_log import phase_at
from pilothouse.workflows.show import Shows

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
    answer = send(enter(site, "sam"), "back", reason="<b>wrong</b> queue", confirm=world.AGENT)
    assert answer.status_code == 303
    text = enter(site, "sam").get(PAGE).text
    assert "&lt;b&gt;wrong&lt;/b&gt; queue" in text
    assert "rolled back by S. Ortega" in text


def test_pages_are_the_same_as_json(site):
    client = enter(site, "sam")
    for name in ("rollout", "value"):
        page = client.get(f"/agents/{world.AGENT}/{name}")
        record = client.get(f"/agents/{world.AGENT}/{name}.json").json()
        assert record["sentence"]["plain"] in page.text
        assert record["digest"][:12] in page.text
    assert client.get("/agents/nobody/rollout").status_code == 404
