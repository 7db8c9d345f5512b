# SPDX-License-Identifier: Apache-2.0
"""The sponsor waives on a page: asked twice with agent and version named, on record, and never for what no signature lets pass."""

from __future__ import annotations

import html
import json
import re

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

from pilothouse.core.verdict.framework import NOT_WAIVABLE

SAME = {"sec-fetch-site": "same-origin", "origin": "http://localhost"}
PAGE = f"/agents/{world.AGENT}/waivers"
ITEM = "MON-7"
WHY = f"the vendor mends it {world.HOSTILE}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture
def client(site):
    with TestClient(site.app, base_url="http://localhost", follow_redirects=False) as opened:
        yield opened


def enter(client, site, who):
    client.post("/sign-in", data={"link": site.link(who).removeprefix("/sign-in/")}, headers=SAME)
    return re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/sign-in").text)[1]


def test_the_page_says_what_may_be_waived_and_offers_it_to_the_sponsor_alone(client, site):
    names = [one["cells"][1]["small"] for one in client.get(f"{PAGE}.json").json()["sections"][1]["rows"]]
    assert ITEM in names
    assert not NOT_WAIVABLE & set(names)
    assert f"?item={ITEM}" not in client.get(PAGE).text
    enter(client, site, "dana")
    assert f"{PAGE}?item={ITEM}" not in client.get(f"{PAGE}?item={ITEM}").text
    assert f"Waive {ITEM} for" not in client.get(f"{PAGE}?item={ITEM}").text


def test_only_the_sponsor_waives_for_the_days_and_the_reason_of_the_form(client, site):
    form = {"item": ITEM, "days": "7", "reason": WHY, "do": "waive"}
    assert client.post(PAGE, data=form, headers=SAME).status_code == 403
    owner = enter(client, site, "dana")
    assert client.post(PAGE, data={**form, "form_token": owner}, headers=SAME).status_code == 403
    token = enter(client, site, "vp")
    asked = html.unescape(client.get(f"{PAGE}?item={ITEM}").text)
    warning = re.search(r'class="warning">([^<]+)<', asked)[1]
    assert world.AGENT in warning
    assert world.VERSION[:7] in warning
    assert f"Waive {ITEM} for {world.AGENT}</button>" in asked
    form["seen"] = re.search(r'name="seen" value="([0-9a-f]{64})"', asked)[1]
    for wrong in (
        {"days": "31"},
        {"reason": " "},
        {"item": "EVAL-3"},
        {"item": "NO-1"},
        {"form_token": "0" * 64},
    ):
        answer = client.post(PAGE, data={**form, "form_token": token, **wrong}, headers=SAME)
        assert answer.status_code in {403, 404, 422}, wrong
    unseen = client.post(PAGE, data={**form, "form_token": token, "seen": ""}, headers=SAME)
    assert unseen.status_code == 409
    assert html.escape(WHY.splitlines()[0][:20]) in unseen.text
    assert not site.ledger.decisions(world.AGENT, kind="waiver.signed", limit=9)
    done = client.post(PAGE, data={**form, "form_token": token}, headers=SAME)
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    # The button pressed twice, or the form sent again from a page that was gone back to: no renewal is used up.
    assert client.post(PAGE, data={**form, "form_token": token}, headers=SAME).status_code == 409
    (record,) = site.ledger.decisions(world.AGENT, kind="waiver.signed", limit=9)
    assert (record.actor, json.loads(record.document)["signer"]) == ("oidc:vp@corp.example", "vp")
    page = client.get(PAGE).text
    assert "1 requirement is waived" in page
    assert "<script>alert" not in page
    assert "⟨U+202E⟩" in page
    assert "Waived until" in client.get(f"/agents/{world.AGENT}/readiness").text
