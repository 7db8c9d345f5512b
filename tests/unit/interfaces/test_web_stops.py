# SPDX-License-Identifier: Apache-2.0
"""Whoever reads about an agent that is paused or rolled back reads that too: on every page with its verdict, and in Fleet."""

from __future__ import annotations

import page_site
import page_visitor
import page_world as world
import pytest

from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.verdict.assess import assess

BASE = f"/agents/{world.AGENT}"
WHY = "the ERP posts everything twice"
NOTE = f"{world.AGENT} is paused since 21 Nov 2026, 09:12 UTC by sam: {WHY}."


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def stop(site, **fields):
    visitor = page_visitor.enter(site, "sam")
    assert page_visitor.send(visitor, f"{BASE}/controls", reason=WHY, **fields).status_code == 303
    return visitor


@pytest.mark.parametrize("page", ["agent", "readiness", "executive", "rollout"])
def test_a_page_with_a_verdict_says_at_once_that_the_agent_is_paused_and_again_that_it_is_not(site, page):
    visitor = page_visitor.enter(site, "sam")
    assert NOTE not in visitor.get(f"{BASE}/{page}.json").json()["notices"]
    stop(site, do="pause")
    assert NOTE in visitor.get(f"{BASE}/{page}.json").json()["notices"]
    assert WHY in visitor.get(f"{BASE}/{page}").text
    stop(site, do="resume", since=site.clock.now().isoformat())
    assert NOTE not in visitor.get(f"{BASE}/{page}.json").json()["notices"]


def test_fleet_and_the_portfolio_name_a_paused_agent(site):
    visitor = stop(site, do="pause")
    row = next(
        one for one in visitor.get("/fleet.json").json()["rows"] if one["agent"]["text"] == world.AGENT
    )
    assert row["phase"] == "Pilot, paused"
    portfolio = Shows(site.installation).portfolio()
    assert [one.stage for one in portfolio.rows] == ["Pilot, paused"]


def test_a_paused_tool_is_no_paused_agent(site):
    visitor = stop(site, do="pause", tool="erp.route@1")
    found = visitor.get(f"{BASE}/agent.json").json()["notices"]
    assert f"erp.route@1 of {NOTE}" in found
    row = next(
        one for one in visitor.get("/fleet.json").json()["rows"] if one["agent"]["text"] == world.AGENT
    )
    assert row["phase"] == "Pilot, a tool paused"


def test_a_verdict_about_the_past_says_nothing_of_a_pause_of_today(site):
    stop(site, do="pause")
    site.clock.move(days=2)
    past = site.clock.now().replace(second=0)
    site.clock.move(minutes=5)
    assert NOTE not in assess(site.installation, world.AGENT, past, freeze=False).verdict.notes
