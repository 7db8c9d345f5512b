# SPDX-License-Identifier: Apache-2.0
"""The Incidents pages: what needs somebody first, the same first sentence as the message, buttons bound to duties."""

from __future__ import annotations

import dataclasses
import json
import re

import page_site
import page_world as world
import pytest
from control_rooms import room_over
from sqlalchemy import insert
from starlette.testclient import TestClient

from pilothouse.core.action.incident import IncidentState
from pilothouse.interfaces.web.incidents import LIST_MAX, IncidentRoom
from pilothouse.interfaces.web.pages import web_app
from pilothouse.ledger.incidents import _columns, incidents
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.reports.show import Shows

SAME = {"sec-fetch-site": "same-origin", "origin": "http://localhost"}
TAKE = {"to": "acknowledged", "seen": "open"}
SENTENCE = "Completion fell to 79 % <script>."


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def room(site):
    return room_over(site.installation, site.ledger.database, site.clock.now)


@pytest.fixture
def client(site, room):
    app = web_app(Shows(site.installation), sign_in=site.sign_in, rooms=(IncidentRoom(room),))
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


def fire(room):
    return raise_alert(
        room,
        Firing(agent=world.AGENT, metric="completion", sentence=SENTENCE, traces=("a" * 32,)),
        room.work.now(),
    ).incident


def jobs(room):
    return room.work.jobs(room.incidents.incident(1).name)


def enter(client, site, who):
    client.post("/sign-in", data={"link": site.link(who).removeprefix("/sign-in/")}, headers=SAME)
    return re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/sign-in").text)[1]


def test_an_empty_page_says_what_opens_an_incident(client):
    page = client.get("/incidents").text
    assert "No incident is open." in page
    assert "a breach or a drill opens one" in page


def test_the_list_and_the_page_show_the_sentence_of_the_message_escaped(client, room):
    fire(room)
    listed = client.get("/incidents").text
    assert "1 incident open, 1 of them in nobody&#39;s hands." in listed
    assert "Completion fell to 79 % &lt;script&gt;." in listed
    page = client.get("/incidents/1")
    assert page.status_code == 200
    assert "pilothouse incident acknowledge 1 --as PERSON" in page.text
    assert "Level 1 is called: S. Ortega, K. Adeyemi" in page.text
    assert "I have it in hand" not in page.text, "nobody is signed in"
    assert client.get("/incidents/1.json").json()["sentence"]["plain"] == SENTENCE
    for other in ("9", "9" * 30, "9" * 5_000, "-1", "٣", "x"):
        assert client.get(f"/incidents/{other}").status_code == 404, other


def test_an_executive_of_the_last_level_takes_it_too(client, room, site):
    fire(room)
    token = enter(client, site, "vp")
    assert "I have it in hand" in client.get("/incidents/1").text
    address = f"/agents/{world.AGENT}/incidents/1"
    done = client.post(address, data={**TAKE, "form_token": token}, headers=SAME)
    assert done.status_code == 303
    assert room.incidents.incident(1).acknowledged_by == "vp"


def test_who_has_the_duty_takes_it_with_a_button(client, room, site):
    fire(room)
    token = enter(client, site, "sam")
    assert "I have it in hand" in client.get("/incidents/1").text
    address = f"/agents/{world.AGENT}/incidents/1"
    assert client.post(address, data=TAKE, headers=SAME).status_code == 403
    done = client.post(address, data={**TAKE, "form_token": token}, headers=SAME)
    assert (done.status_code, done.headers["location"]) == (303, "/incidents/1")
    assert room.incidents.incident(1).acknowledged_by == "sam"
    assert "S.\u00a0Ortega" in client.get("/incidents").text, "people are called by name"
    for wrong in ("reviewed", "nonsense"):
        answer = client.post(address, data={"to": wrong, "form_token": token}, headers=SAME)
        assert answer.status_code == 422
    assert "The harm has stopped" in client.get("/incidents/1").text


def test_who_has_it_in_hand_gives_it_to_another_who_is_paged(client, room, site):
    fire(room)
    token = enter(client, site, "sam")
    address = f"/agents/{world.AGENT}/incidents/1"
    give = {"to": "hand-over", "person": "kim", "form_token": token}
    assert client.post(address, data=give, headers=SAME).status_code == 422, "nobody has it in hand"
    assert "Give it to" not in client.get("/incidents/1").text
    client.post(address, data={**TAKE, "form_token": token}, headers=SAME)
    form = client.get("/incidents/1").text
    assert re.search(r'<option value="kim">K\.\sAdeyemi, [a-z]', form)
    assert '<option value="sam">' not in form
    assert client.post(address, data={**give, "person": "lee-of-elsewhere"}, headers=SAME).status_code == 403
    assert client.post(address, data={**give, "form_token": "0" * 64}, headers=SAME).status_code == 403
    before = {job.key for job in jobs(room)}
    assert client.post(address, data=give, headers=SAME).headers["location"] == "/incidents/1"
    assert room.incidents.incident(1).acknowledged_by == "kim"
    (page,) = (job for job in jobs(room) if job.key not in before)
    assert (page.action, json.loads(page.document)["person"]) == ("page", "kim")
    assert "hands it to K. Adeyemi" in json.loads(page.document)["body"]
    assert re.search(r"hands it to K\.\sAdeyemi", client.get("/incidents/1").text)
    count = len(jobs(room))
    assert client.post(address, data=give, headers=SAME).status_code == 303, "kim has it already"
    assert len(jobs(room)) == count, "and is not called again"


def step(client, token, to, seen):
    form = {"to": to, "seen": seen, "form_token": token}
    return client.post(f"/agents/{world.AGENT}/incidents/1", data=form, headers=SAME)


def test_a_button_that_is_pressed_twice_takes_its_step_once(client, room, site):
    fire(room)
    token = enter(client, site, "sam")
    for to, seen in (("acknowledged", "open"), ("resolved", "acknowledged")):
        taken = [step(client, token, to, seen).headers["location"] for _ in range(2)]
        assert taken == ["/incidents/1"] * 2
    assert room.incidents.incident(1).state is IncidentState.RESOLVED
    assert [one.actor for one in room.incidents.events(1)].count("sam") == 2


def test_a_page_from_before_the_end_does_not_open_an_incident_again(client, room, site):
    fire(room)
    token = enter(client, site, "sam")
    assert '<input type="hidden" name="seen" value="open">' in client.get("/incidents/1").text
    step(client, token, "acknowledged", "open")
    step(client, token, "resolved", "acknowledged")
    late = step(client, token, "acknowledged", "open")
    assert late.status_code == 409
    assert "INC-1 is resolved by now; it was open when this was chosen." in late.text
    assert '<a href="/incidents/1">' in late.text
    assert room.incidents.incident(1).state is IncidentState.RESOLVED
    assert step(client, token, "acknowledged", "").status_code == 422, "a form says what it was shown with"
    assert step(client, token, "acknowledged", "resolved").status_code == 303, "it came back"
    assert room.incidents.incident(1).state is IncidentState.ACKNOWLEDGED


def test_an_open_incident_says_above_everything_who_is_called_until_when_and_where_to_sign_in(
    client, room, site
):
    fire(room)
    (clock,) = client.get("/incidents/1.json").json()["notices"]
    assert clock.startswith(
        "Level 1 is called: S. Ortega, K. Adeyemi; to be acknowledged by 23 Nov 2026, 09:15 UTC"
    )
    page = client.get("/incidents/1").text
    assert page.index("S. Ortega, K. Adeyemi; to be acknowledged") < page.index("At the command line")
    assert (
        'Whoever may act has buttons here after <a href="/sign-in?next=/incidents/1">signing in</a>.' in page
    )
    token = enter(client, site, "sam")
    assert "signing in</a>" not in client.get("/incidents/1").text
    form = {"form_token": token, **TAKE}
    client.post(f"/agents/{world.AGENT}/incidents/1", data=form, headers=SAME)
    assert client.get("/incidents/1.json").json()["notices"] == [], "nobody waits for an answer any more"


def test_an_open_incident_is_listed_however_many_came_after_it(client, room):
    first = fire(room)
    database = room.incidents._database
    with database.write() as connection:
        for number in range(2, LIST_MAX + 2):
            over = dataclasses.replace(first, number=number, state=IncidentState.RESOLVED, group=f"g{number}")
            connection.execute(insert(incidents).values(number=number, **_columns(over)))
    listed = client.get("/incidents").text
    assert "1 incident open, 1 of them in nobody&#39;s hands." in listed
    assert "Every open incident is here, and the newest of the others" in listed
    assert client.get("/incidents.json").json()["sections"][0]["rows"][0]["cells"][1]["text"] == "INC-1"


def test_an_incident_is_read_also_where_this_program_cannot_read_the_charter(client, room, site):
    fire(room)
    site.ledger.accept_charter(
        agent=world.AGENT, digest="0" * 64, text="schema: 99\n", path="charter.yaml", at=site.clock.now()
    )
    page = client.get("/incidents/1")
    assert page.status_code == 200
    assert "nobody: this program cannot read the charter in force" in page.text
    assert client.get("/incidents").status_code == 200
