# SPDX-License-Identifier: Apache-2.0
"""Every address that is no page, asked by everybody: what needs a key opens to no cookie, no foreign, ended or guessed key.

As for the pages (`test_every_route.py`) the table is written by hand, and an address that is not in it fails the first test.
"""

from __future__ import annotations

import ast
import http.client
import inspect
import json
import os
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta

import page_world as world
import pytest
from forked_process import run_command_line
from home_in_force import home_in_force
from started_server import started_server

from pilothouse.app import server_parts
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import WireProtocol
from pilothouse.runtime.gateway import routes
from pilothouse.workflows.gateway.keys import add_key
from pilothouse.workflows.traces.feedback import agent_token

pytestmark = pytest.mark.slow

RUN = "a" * 32

BY_KEY = {
    ("POST", "/gw/v1/chat/completions"),
    ("POST", "/gw/v1/responses"),
    ("POST", "/gw/v1/responses/compact"),
    ("POST", "/gw/v1/embeddings"),
    ("POST", "/gw/v1/messages"),
    ("POST", "/gw/v1/messages/count_tokens"),
    ("GET", "/gw/v1/models"),
    ("GET", "/gw/v1/responses/resp_1"),
    ("DELETE", "/gw/v1/responses/resp_1"),
    ("POST", "/gw/v1/responses/resp_1/cancel"),
    ("GET", "/gw/v1/responses/resp_1/input_items"),
    ("GET", "/gw/v1/recall/1"),
    ("POST", "/mcp"),
    ("POST", "/mcp/tasks"),
}
"""A virtual key of the gateway says which agent asks."""

BY_TOKEN = {
    ("POST", "/api/feedback"): {"task_id": RUN, "kind": "thumb", "value": 1, "token": "0" * 64},
    ("POST", "/api/few-shot"): {"agent": world.AGENT, "input": "asked"},
}
"""The feedback key, or the token of an agent or of one task; what is sent otherwise is in order."""

ANYBODY = {
    ("GET", "/api/feedback/widget.js"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
    ("POST", "/v1/traces"),
    ("POST", "/v1/logs"),
    ("POST", "/v1/metrics"),
}
"""The server listens on this machine alone; a proxy passes on to others only what they need."""


def test_every_address_of_the_gateway_and_every_mount_stands_in_the_table():
    usual = {(method, routes.PREFIX + path) for method, path in routes._ROUTES}
    rare = {
        (method, path)
        for method, path in BY_KEY
        if path.startswith("/gw") and routes._rare_route(method, path[3:], WireProtocol.OPENAI) is not None
    }
    recalled = {("GET", "/gw/v1/recall/1")}
    assert {one for one in BY_KEY if one[1].startswith("/gw")} == usual | rare | recalled
    (mounts,) = (
        one.value
        for one in ast.walk(ast.parse(inspect.getsource(server_parts)))
        if isinstance(one, ast.keyword) and one.arg == "mounts"
    )
    named = {one.value for one in ast.walk(mounts) if isinstance(one, ast.Constant) and one.value}
    assert named == {path.split("/")[1] for _, path in {*BY_KEY, *BY_TOKEN}}


class Door:
    """A running server, asked over its port."""

    def __init__(self, base):
        self.base = base
        self._port = int(base.rpartition(":")[2])

    def ask(self, method, path, body=None, **headers):
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            sent = None if body is None else json.dumps(body)
            said = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
            connection.request(
                method,
                path,
                sent,
                said | {name.replace("_", "-"): text for name, text in headers.items() if text},
            )
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def keys():
    return {}


@pytest.fixture(scope="module")
def door(tmp_path_factory, keys):
    home = home_in_force(tmp_path_factory.mktemp("doors") / "home").home
    now = datetime.now(UTC)
    with open_ledger(f"sqlite:///{home / 'ledger.sqlite'}") as ledger:
        store = SqlGatewayStore(ledger.database)

        def key(agent, at):
            return add_key(
                store,
                agent,
                environment=None,
                models=(),
                spans=False,
                life=timedelta(days=1),
                actor="test",
                now=at,
            ).key

        keys |= {
            "good": key(world.AGENT, now),
            "revoked": key(world.AGENT, now),
            "expired": key(world.AGENT, now - timedelta(days=2)),
        }
    env = {**os.environ, "PILOTHOUSE_HOME": str(home)}
    run_command_line("key", "revoke", keys["revoked"].split("_")[1], env=env)
    keys["guessed"] = keys["good"][:-4] + ("0000" if keys["good"][-4:] != "0000" else "1111")
    keys["a provider's"] = "sk-proj-" + "a" * 40
    keys["none"] = ""
    keys["feedback"] = run_command_line("feedback", "key", env=env).stdout.split()[-1]
    with started_server("--grpc-port", "0", "--home", str(home)) as base:
        opened = Door(base)
        told = run_command_line("sign-in", "dana", env=env)
        link = re.search(r"/sign-in/([\w.-]+)", told.stdout + told.stderr)[1]
        connection = http.client.HTTPConnection("127.0.0.1", int(base.rpartition(":")[2]), timeout=30)
        form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        connection.request("POST", "/sign-in", f"link={link}", form)
        answer = connection.getresponse()
        assert answer.status == 303
        opened.cookie = re.search(r"pilothouse_session=[^;]+", str(answer.getheaders()))[0]
        connection.close()
        yield opened


@pytest.mark.parametrize("whose", ["none", "guessed", "revoked", "expired", "a provider's", "feedback"])
def test_what_needs_a_key_opens_to_no_other_key_and_to_no_session(door, keys, whose):
    ours = door.ask("GET", "/review", cookie=door.cookie)
    assert (ours[0], door.ask("GET", "/review")[0]) == (200, 403), "the session is one"
    for method, path in sorted(BY_KEY):
        for way in ({"authorization": f"Bearer {keys[whose]}"}, {"x_api_key": keys[whose]}):
            status, text = door.ask(method, path, {} if method == "POST" else None, cookie=door.cookie, **way)
            assert status == 401, (method, path, text)


def test_a_good_key_is_known_everywhere(door, keys):
    for method, path in sorted(BY_KEY):
        status, text = door.ask(
            method, path, {} if method == "POST" else None, authorization=f"Bearer {keys['good']}"
        )
        assert status != 401, (method, path, text)


@pytest.mark.parametrize("whose", ["none", "guessed", "good", "a provider's"])
def test_what_needs_a_token_opens_to_no_key_of_the_gateway_and_to_no_session(door, keys, whose):
    foreign = agent_token(keys["feedback"], "another-agent")
    for bearer in (keys[whose], foreign):
        for (method, path), body in BY_TOKEN.items():
            status, text = door.ask(method, path, body, cookie=door.cookie, authorization=f"Bearer {bearer}")
            assert status == 403, (path, text)
            assert keys["feedback"] not in text
    for bearer in (keys["feedback"], agent_token(keys["feedback"], world.AGENT)):
        status, _ = door.ask(
            "POST", "/api/few-shot", BY_TOKEN["POST", "/api/few-shot"], authorization=f"Bearer {bearer}"
        )
        assert status == 200


def test_what_is_open_to_anybody_names_no_agent_and_shows_no_key(door, keys):
    for method, path in sorted(ANYBODY):
        _, text = door.ask(method, path, {} if method == "POST" else None)
        assert world.AGENT not in text, path
        assert not any(one and one in text for one in keys.values()), path
