# SPDX-License-Identifier: Apache-2.0
"""Addresses that people type and links that stand on every page lead somewhere, with one agent and with several."""

import re

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

OTHER = "another-agent"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as site:
        first = site.ledger.charter(world.AGENT)
        text = first.text.replace(f"agent: {world.AGENT}", f"agent: {OTHER}", 1)
        site.ledger.accept_charter(
            agent=OTHER, digest="d" * 64, text=text, path=first.path, at=first.accepted_at
        )
        yield TestClient(site.app, base_url="http://localhost", follow_redirects=False)


def test_the_name_of_an_agent_alone_is_its_first_page(reader):
    answer = reader.get(f"/agents/{world.AGENT}")
    assert (answer.status_code, answer.headers["location"]) == (307, f"/agents/{world.AGENT}/agent")


@pytest.mark.parametrize("agent", [world.AGENT, OTHER])
def test_the_tour_from_an_agents_page_is_of_that_agent(reader, agent):
    link = re.search(r'href="(/tour[^"]*)"', reader.get(f"/agents/{agent}/agent").text)[1]
    assert agent in reader.get(f"{link}&format=json").text


def test_the_tour_from_a_page_of_no_agent_is_no_error(reader):
    link = re.search(r'href="(/tour[^"]*)"', reader.get("/").text)[1]
    assert (link, reader.get(link).status_code) == ("/tour", 200)
