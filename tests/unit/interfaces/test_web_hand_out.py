# SPDX-License-Identifier: Apache-2.0
"""Handing out reviews: a slice or one item, to one person or everybody; who may, what is told, what goes on record."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

from pilothouse.core.evidence.review import ReviewItem, ReviewSource

SAME = {"sec-fetch-site": "same-origin"}
PATH = f"/agents/{world.AGENT}/reviews"
LEE = "oidc:lee@corp.example"


def ident(n):
    return f"{n:02x}" * 16


def item(n, **fields):
    base = {
        "item_id": ident(n),
        "agent": world.AGENT,
        "task_type": "po_invoice",
        "trace_id": ident(n),
        "source": ReviewSource.SAMPLED,
        "why": "drawn because the moon was full",
        "input": f"secret input {n}",
        "proposal": f"team-{n}",
        "call_digest": f"{n:064x}",
        "error_cost": 400.0,
        "created_at": world.NOW,
        "due_at": world.NOW + timedelta(hours=n - 1),
    }
    return ReviewItem(**base | fields)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as opened:
        opened.queue.add([item(n) for n in range(1, 31)])
        opened.queue.add([item(31, task_type="expense", error_cost=None)])
        opened.queue.add([item(40, source=ReviewSource.CANARY, only_for=LEE, call_digest="canary")])
        yield opened


def client_of(site, who):
    client = TestClient(site.app, base_url="http://localhost")
    if who:
        link = site.link(who).removeprefix("/sign-in/")
        client.post("/sign-in", data={"link": link}, headers=SAME)
    return client


def post(client, **fields):
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/sign-in").text)
    given = {"form_token": token[1] if token else "", **fields}
    return client.post(PATH, data=given, headers=SAME)


def mine(site, reviewer):
    found = site.queue.items(world.AGENT)
    return {one.item.item_id for one in found if one.item.only_for == reviewer}


def records(site):
    return site.ledger.decisions(world.AGENT, kind="review.assigned", limit=100)


def test_a_slice_goes_to_one_person_the_earliest_due_first_and_each_is_on_record(site):
    before = len(records(site))
    answer = post(client_of(site, "dana"), task_type="po_invoice", given_to="everybody", count="10", to="lee")
    assert answer.status_code == 200
    assert "10 items given; each is on record." in answer.text
    assert mine(site, LEE) - {ident(40)} == {ident(n) for n in range(1, 11)}
    written = records(site)
    assert len(written) == before + 10
    assert {one.actor for one in written[:10]} == {"oidc:dana@corp.example"}
    assert {json.loads(one.document)["to"] for one in written[:10]} == {LEE}


def test_one_item_goes_back_to_everybody_and_who_has_it_open_is_named_before(site):
    held = site.queue.claim(ident(20), LEE, world.NOW)
    dana = client_of(site, "dana")
    page = dana.get(f"{PATH}?item={held.item.item_id}")
    assert "has it open and loses it" in page.text
    assert "/static/review." not in page.text, "the script of the review form is not for this page"
    post(dana, item=held.item.item_id, to="dana")
    assert held.item.item_id not in mine(site, None)
    post(dana, item=held.item.item_id, to="everybody")
    assert held.item.item_id in mine(site, None)


def test_a_slice_leaves_alone_what_somebody_has_open(site):
    held = site.queue.claim(ident(25), LEE, world.NOW)
    post(client_of(site, "dana"), task_type="po_invoice", given_to="everybody", count="200", to="dana")
    assert site.queue.record(held.item.item_id).holder == LEE
    assert site.queue.record(held.item.item_id).item.only_for is None


def test_the_page_says_what_waits_and_tells_neither_texts_nor_reasons_nor_repetitions(site):
    text = client_of(site, None).get(PATH).text
    assert "31 items wait" in text
    assert "items arrive a day" in text
    assert "Stands in when away" in text
    for hidden in ("secret input", "moon", ident(40)[:12], "canary", "<form"):
        assert hidden not in text.partition("<main")[2]


def test_only_who_answers_for_the_agent_hands_out(site):
    before = len(records(site))
    nobody = post(client_of(site, None), task_type="", given_to="", count="10", to="lee")
    assert nobody.status_code == 403
    dana = client_of(site, "dana")
    forged = dana.post(PATH, data={"form_token": "0" * 64, "to": "lee"}, headers=SAME)
    assert forged.status_code == 403
    foreign = dana.post(PATH, data={"to": "lee"}, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert len(records(site)) == before


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"count": "11", "to": "lee"}, 422),
        ({"count": "10", "to": "nobody"}, 404),
        ({"item": "f" * 32, "to": "lee"}, 404),
        ({"task_type": "unheard-of", "to": "lee"}, 404),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(site, fields, status):
    before = len(records(site))
    assert post(client_of(site, "dana"), **fields).status_code == status
    assert len(records(site)) == before


def test_the_queue_leads_there_only_who_may(site):
    assert f'href="{PATH}"' in client_of(site, "dana").get("/review").text
    document = client_of(site, None).get(f"{PATH}.json").json()
    assert document["name"] == "reviews"
