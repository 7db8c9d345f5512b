# SPDX-License-Identifier: Apache-2.0
"""Empty states: each page of a fresh home, and of an agent without data, says what is missing and what fills it."""

from __future__ import annotations

import html
import re

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

from pilothouse.core.verdict.verdict import Status

OTHER_WAYS = {"/sign-in", "/agents/{agent}"}
"""A page of which a command is the whole content anyway, and a way to one that is here."""

SAME = {"sec-fetch-site": "same-origin"}


def paths_of(app):
    """Return every address that shows a page and needs nothing but the agent's name."""
    found = set()
    for route in app.routes:
        path = route.path.replace("{agent:path}", "{agent}")
        if route.declared.writes or path.endswith((".json", ".pdf", ".txt")) or path.startswith("/static"):
            continue
        if set(re.findall(r"{(\w+)", path)) <= {"agent"} and path not in OTHER_WAYS:
            found.add(path)
    return found


def routes():
    """Name the addresses without opening a ledger; a test below holds the list to the routes."""
    house = ("/", "/audit", "/health", "/incidents", "/review", "/settings", "/tour")
    agent = (
        "agent", "compliance", "controls", "evals", "executive", "integrations", "ownership", "readiness", "reviews",
        "rollout", "runs", "sign", "sprint", "tasks", "value", "waivers", "watch",
    )  # fmt: skip
    return house, tuple(f"/agents/{{agent}}/{name}" for name in agent)


HOUSE, OF_AGENT = routes()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("fresh"), has_charter=False, has_tasks=False) as site:
        yield TestClient(site.app, base_url="http://localhost")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("bare"), has_tasks=False) as site:
        client = TestClient(site.app, base_url="http://localhost")
        link = site.link("dana").removeprefix("/sign-in/")
        client.post("/sign-in", data={"link": link}, headers=SAME)
        yield client


def content_of(answer):
    return answer.text.partition("<main")[2].partition("</main>")[0]


def commands_in(main):
    return [html.unescape(one) for one in re.findall(r"<code>([^<]*)</code>", main) if "pilothouse" in one]


def test_the_list_is_that_of_the_routes(bare):
    assert paths_of(bare.app) == {*HOUSE, *OF_AGENT}


@pytest.mark.parametrize("path", [one for one in HOUSE if one != "/review"])
def test_a_page_of_a_fresh_home_shows_what_to_type(fresh, path):
    answer = fresh.get(path)
    main = content_of(answer)
    assert answer.status_code == 200 or path == "/tour"
    assert commands_in(main), html.unescape(re.sub(r"<[^>]+>", " ", main))


@pytest.mark.parametrize("path", OF_AGENT)
def test_a_page_of_an_agent_that_nobody_knows_says_so_and_what_to_type(fresh, path):
    answer = fresh.get(path.format(agent="nobody"))
    assert answer.status_code in {200, 404}
    assert commands_in(content_of(answer))


@pytest.mark.parametrize("path", [*HOUSE, *OF_AGENT])
def test_a_page_of_an_agent_without_data_has_one_sentence_and_a_way_on(bare, path):
    answer = bare.get(path.format(agent=world.AGENT))
    main = content_of(answer)
    assert answer.status_code == 200
    assert main.count('class="sentence"') == 1
    way_on = commands_in(main) or re.findall(r'class="panel do"', main)
    assert way_on, html.unescape(re.sub(r"<[^>]+>", " ", main))


@pytest.mark.parametrize(
    "path", ["/agents/{agent}/agent", "/agents/{agent}/readiness", "/agents/{agent}/value"]
)
def test_nothing_measured_is_never_shown_as_holding(bare, path):
    page = bare.get(f"{path.format(agent=world.AGENT)}.json").json()
    assert page["mark"]["status"] != Status.HOLDS
