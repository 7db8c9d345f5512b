# SPDX-License-Identifier: Apache-2.0
"""A call that waits for a yes or no stands on Fleet, and leads to where it is said."""

from __future__ import annotations

import desk_world
import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def row(site):
    page = TestClient(site.app, base_url="http://localhost").get("/fleet.json").json()
    return next(one for one in page["rows"] if one["agent"]["text"] == world.AGENT), page


def test_without_a_call_none_waits(site):
    assert row(site)[0]["calls"]["text"] == "none"


def test_a_call_that_waits_is_counted_with_its_end_and_leads_to_its_page(site):
    desk_world.ask(site)
    desk_world.ask(site, ident="beef" * 16)
    found, page = row(site)
    assert found["calls"]["text"] == "2, first lapses in 14 min"
    assert found["calls"]["href"] == f"/agents/{world.AGENT}/controls"
    assert "2 calls wait for a yes or no" in page["sentence"]["plain"]


def test_a_call_that_has_lapsed_waits_no_more(site):
    desk_world.ask(site)
    site.clock.move(minutes=14)
    assert row(site)[0]["calls"]["text"] == "none"
