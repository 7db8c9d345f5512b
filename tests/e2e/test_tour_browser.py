# SPDX-License-Identifier: Apache-2.0
"""The tour as a newcomer walks it: every step is opened from its link, and the page says what the tour promised."""

from __future__ import annotations

import re

import page_world as world
import pytest
from source_tree import ROOT
from tour_walk import STEPS, WHO, sentence_of, steady, take_step

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("tour")]

SHOTS = ROOT / "artifacts" / "tour"


@pytest.fixture(scope="module")
def walkers(browser, filled_site):
    """One browser window for each person, signed in where the journey asks for it."""
    site, address = filled_site
    opened = {}

    def walker(who):
        if who not in opened:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.set_default_timeout(20_000)
            page.base, page.troubles = address, []
            page.on("pageerror", lambda error: page.troubles.append(str(error)))
            page.on("console", lambda said: page.troubles.append(said.text) if said.type == "error" else None)
            if who:
                page.goto(address + site.link(who))
                page.get_by_role("button", name="Sign in as").click()
                page.wait_for_url(f"{address}/")
            opened[who] = page
        return opened[who]

    yield walker
    for page in opened.values():
        page.context.close()


@pytest.mark.parametrize(("number", "step"), STEPS)
def test_each_step_of_each_journey_opens_and_says_what_the_tour_promised(walkers, number, step):
    page = walkers(WHO[number - 1])
    name, promised = take_step(page, page.base, number, step)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{number}-{step + 1}-{name}.png", full_page=True)
    assert page.locator("h1").count() == 1
    assert page.locator("h1").inner_text()
    if promised:
        assert steady(sentence_of(page)) == steady(promised)
    assert page.troubles == []


def test_every_journey_ends_with_what_its_person_can_do(walkers):
    owner, reviewer, executive = (walkers(who) for who in ("dana", "lee", "vp"))
    owner.goto(f"{owner.base}/agents/{world.AGENT}/controls")
    assert owner.get_by_role("button", name=re.compile(rf"^Pause {world.AGENT}")).first.is_visible()
    reviewer.goto(f"{reviewer.base}/review")
    assert re.search(r"wait(s)? for you", sentence_of(reviewer))
    executive.goto(f"{executive.base}/agents/{world.AGENT}/sign")
    assert executive.get_by_role("button", name=re.compile("^Sign ")).first.is_visible()
