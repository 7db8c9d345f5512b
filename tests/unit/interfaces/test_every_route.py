# SPDX-License-Identifier: Apache-2.0
"""Every address of the pages, asked by everybody: who is let in, and that nobody else is.

The table is written by hand. A route that is not in it fails the first test, so that somebody says who may use it.
"""

from __future__ import annotations

import re
from dataclasses import replace

import page_site
import page_world as world
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from pilothouse.core.charter.powers import Action
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.routing import Door

SAME = {"sec-fetch-site": "same-origin"}
AGENT = "/agents/{agent}"
ANY_AGENT = "/agents/{agent:path}"

ANYBODY = {("GET", "/sign-in"), ("GET", "/sign-in/{link}"), ("POST", "/sign-in"), ("POST", "/sign-out")} | {
    ("GET", "/static/{name}")
}
"""What needs nobody: the way in and out, and what every browser loads."""

READ = {
    *("/", "/fleet.json", "/health", "/health.json", "/audit", "/audit.json", "/settings", "/settings.json"),
    *("/tour", "/tour.json", "/incidents", "/incidents.json"),
    *(f"/incidents/{{number}}{ending}" for ending in ("", ".json", ".pdf")),
    AGENT,
    *(
        f"{AGENT}/{page}{ending}"
        for page in (
            "sign", "reviews", "rollout", "sprint", "value", "executive", "compliance", "controls", "waivers",
            "runs/{run}", "evals", "integrations", "ownership", "runs", "watch",
        )
        for ending in ("", ".json")
    ),
    *(f"{AGENT}/{page}.pdf" for page in ("sprint", "value", "executive")),
    *(f"{ANY_AGENT}/{page}{ending}" for page in ("agent", "readiness", "tasks", "tasks/{trace_id}") for ending in ("", ".json")),
    f"{ANY_AGENT}/readiness.pdf",
    f"{ANY_AGENT}/tasks/{{trace_id}}/{{span_id}}/{{field}}.txt",
}  # fmt: skip

DONE_BY = {
    Action.READ: {("GET", path) for path in READ},
    Action.REVIEW: {
        ("GET", "/review"),
        ("GET", "/review/{item}"),
        ("POST", "/review/next"),
        ("POST", "/review/undo"),
        ("POST", "/review/{item}"),
        ("POST", "/review/{item}/draft"),
    },
    Action.SIGN: {("POST", f"{AGENT}/sign"), ("POST", f"{AGENT}/waivers")},
    Action.ASSIGN: {("POST", f"{AGENT}/reviews")},
    Action.OPERATE: {
        ("POST", f"{AGENT}/rollout/request"),
        ("POST", f"{AGENT}/rollout/back"),
        ("POST", f"{AGENT}/controls"),
        ("POST", f"{AGENT}/runs/{{run}}/replay"),
        ("POST", "/settings"),
    },
    Action.APPROVE: {("POST", f"{AGENT}/rollout/approve"), ("POST", f"{AGENT}/controls/answer")},
    Action.HANDLE: {("POST", f"{AGENT}/incidents/{{number}}")},
    Action.CURATE: {("POST", f"{AGENT}/runs/{{run}}")},
}

MAY = {
    "ada": {Action.READ},
    "rea": {Action.READ, Action.REVIEW},
    "ops": {Action.READ, Action.SIGN, Action.OPERATE, Action.HANDLE},
    "vp": {
        *(Action.READ, Action.REVIEW, Action.SIGN, Action.APPROVE),
        *(Action.HANDLE, Action.ASSIGN, Action.CURATE),
    },
    "dana": set(Action),
    "eve": set(),
}
"""Auditor, reviewer, operator, sponsor, owner, and the owner of another agent."""

PEOPLE = """
  ada:   {name: A. Auditor,  identity: "oidc:ada@corp.example", unit: finance-operations, role: auditor}
  rea:   {name: R. Reviewer, identity: "oidc:rea@corp.example", unit: finance-operations, role: reviewer}
  ops:   {name: O. Operator, identity: "oidc:ops@corp.example", unit: finance-operations, role: operator}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("site"), open_reading=False) as opened:
        text = world.charter_text().replace("\n  dana:", f"{PEOPLE.rstrip()}\n  dana:", 1)
        text = text.replace("operations: {team: [sam, kim]", "operations: {team: [sam, kim, ops]", 1)
        assert "[sam, kim, ops]" in text
        other = text.replace(f"agent: {world.AGENT}", "agent: other-agent").replace(
            "corp.example", "other.example"
        )
        other = other.replace(
            "\n  dana:",
            '\n  eve: {name: E. Other, identity: "oidc:eve@corp.example", unit: finance-operations}\n  dana:',
        )
        other = other.replace("owner:   {person: dana", "owner:   {person: eve")
        assert "person: eve" in other
        for agent, charter in ((world.AGENT, text), ("other-agent", other)):
            opened.ledger.accept_charter(
                agent=agent, digest=agent, text=charter, path="charter.yaml", at=opened.clock.now()
            )
        yield opened


@pytest.fixture(scope="module")
def doors(site):
    """The same addresses with the same declarations, each with an answer that only says that somebody came in."""
    door = Door(Frame(signs_in=True), site.sign_in)
    declared = [
        route.declared
        for route in site.app.routes
        if route.declared.path != "/sign-in" or route.declared.writes
    ]
    entrance = [
        route.declared for route in site.app.routes if route.declared.path in {"/sign-in", "/sign-in/{link}"}
    ]
    came_in = [replace(one, answer=lambda _visit: PlainTextResponse("came in")) for one in declared]
    return Starlette(routes=[door.route(one) for one in (*entrance, *came_in)])


def client_of(app, **options):
    return TestClient(app, base_url="http://localhost", follow_redirects=False, **options)


def named(routes):
    return {(("POST" if route.declared.writes else "GET"), route.path) for route in routes}


def address(path):
    words = {"agent": world.AGENT, "number": "1", "run": "0" * 32, "item": "a", "link": "x", "name": "x"}
    return re.sub(r"\{(\w+)(?::path)?\}", lambda match: words.get(match[1], "0" * 16), path)


def ask(client, method, path, token="", headers=SAME):
    if method == "GET":
        return client.get(address(path))
    return client.post(address(path), data={"form_token": token}, headers=headers)


def entered(app, site, who):
    client = client_of(app)
    link = site.link(f"oidc:{who}@corp.example").removeprefix("/sign-in/")
    assert client.post("/sign-in", data={"link": link}, headers=SAME).status_code == 303
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/sign-in").text)[1]
    return client, token


def test_every_route_stands_in_the_table_with_what_it_needs(site):
    listed = ANYBODY.union(*DONE_BY.values())
    assert named(site.app.routes) == listed
    for route in site.app.routes:
        key = ("POST" if route.declared.writes else "GET", route.path)
        action = route.declared.action
        assert (key in ANYBODY) if action is None else (key in DONE_BY[action]), key


def guarded():
    return [(method, path) for keys in DONE_BY.values() for method, path in sorted(keys)]


def test_nobody_who_is_not_signed_in_gets_anything(site):
    client = client_of(site.app)
    for method, path in guarded():
        answer = ask(client, method, path)
        assert answer.status_code == 403, (method, path)
        assert world.AGENT not in answer.text.replace(address(path), ""), (method, path)


@pytest.mark.parametrize("cookie", ["", "x", "0" * 64, "A" * 5_000])
def test_a_cookie_that_nobody_gave_is_no_session(doors, cookie):
    client = client_of(doors, cookies={"pilothouse_session": cookie})
    for method, path in (("GET", "/"), ("GET", f"{AGENT}/sign"), ("POST", f"{AGENT}/sign")):
        assert ask(client, method, path).status_code == 403, (method, path)


@pytest.mark.parametrize("who", sorted(MAY))
def test_each_person_may_what_their_role_gives_and_nothing_else(site, doors, who):
    client, token = entered(doors, site, who)
    for action, keys in DONE_BY.items():
        for method, path in sorted(keys):
            answer = ask(client, method, path, token)
            # The owner of another agent is somebody on pages of the installation, and nobody on those of this agent.
            may = action in MAY[who] or (who == "eve" and "{agent" not in path)
            assert (answer.status_code, answer.text == "came in") == ((200, True) if may else (403, False)), (
                path,
                who,
            )


def test_a_form_is_taken_from_our_own_page_in_the_same_session_only(site, doors):
    client, token = entered(doors, site, "dana")
    _, of_another = entered(doors, site, "dana")
    for method, path in guarded():
        if method == "POST":
            assert ask(client, method, path, "").status_code == 403
            assert ask(client, method, path, of_another).status_code == 403
            for headers in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
                assert ask(client, method, path, token, headers).status_code == 403
            assert client.post(address(path), json={"form_token": token}, headers=SAME).status_code == 422


def test_a_session_that_is_over_opens_nothing(site, doors):
    client, token = entered(doors, site, "dana")
    kept = dict(client.cookies)
    assert client.post("/sign-out", data={"form_token": token}, headers=SAME).status_code in {200, 303}
    site.sign_in.leave(kept["pilothouse_session"])
    again = client_of(doors, cookies=kept)
    for method, path in guarded():
        assert ask(again, method, path, token).status_code == 403


@pytest.mark.parametrize("path", ["/sign-in/guessed", "/agents/x/y/z/nothing", "/no-such-page"])
def test_a_page_that_does_not_exist_tells_a_stranger_no_names(site, path):
    answer = client_of(site.app).get(path)
    assert answer.status_code in {403, 404}
    assert world.AGENT not in answer.text
    assert "other-agent" not in answer.text
    client, _ = entered(site.app, site, "vp")
    assert path == "/sign-in/guessed" or world.AGENT in client.get("/no-such-page").text
