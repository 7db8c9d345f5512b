# SPDX-License-Identifier: Apache-2.0
"""The tour over a site of people, without a browser: every step opens from its link and says what the tour promised.

In a browser it is walked over the demo's data (`tests/e2e/test_tour_live.py`), where nothing waits that is not the demo's;
here something of everything does.
"""

from __future__ import annotations

import html
import re

import desk_world
import page_site
import page_world as world
import pytest
from page_visitor import enter
from starlette.testclient import TestClient
from tour_walk import STEPS, WHO, steady

CELL = r"<t[dh][^>]*>{}</t[dh]>"
ROW = re.compile(
    r'<tr class="row"[^>]*>'
    + "".join(map(CELL.format, (r"\d+", r'<a href="([^"]+)"[^>]*>.*?', "(.*?)")))
    + "</tr>",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as opened:
        desk_world.fill(opened)
        desk_world.fire(opened)
        yield opened


@pytest.fixture(scope="module")
def walkers(site):
    """One client for each person, signed in where the journey asks for it."""
    nobody = TestClient(site.app, base_url="http://localhost", follow_redirects=False)
    return {who: enter(site, who) if who else nobody for who in WHO}


def read(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.text


def plain(markup):
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).removesuffix("Proof").strip()


def sentence_of(page):
    return plain(re.search(r'<p class="sentence">(.*?)</p>', page, re.DOTALL)[1])


@pytest.mark.parametrize(("number", "step"), STEPS)
def test_each_step_of_each_journey_opens_and_says_what_the_tour_promised(walkers, number, step):
    client = walkers[WHO[number - 1]]
    assert 'href="/tour">Tour</a>' in read(client, "/")
    journey = re.search(rf'<section id="journey-{number}">.*?</section>', read(client, "/tour"), re.DOTALL)[0]
    address, promised = ROW.findall(journey)[step]
    page = read(client, html.unescape(address))
    assert [plain(one) != "" for one in re.findall(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)] == [True]
    assert not promised or steady(sentence_of(page)) == steady(plain(promised))


def test_every_journey_ends_with_what_its_person_can_do(walkers):
    controls = read(walkers["dana"], f"/agents/{world.AGENT}/controls")
    assert re.search(rf"<button[^>]*>Pause {world.AGENT}", controls)
    assert re.search(r"wait(s)? for you", sentence_of(read(walkers["lee"], "/review")))
    assert re.search(r"<button[^>]*>Sign ", read(walkers["vp"], f"/agents/{world.AGENT}/sign"))
