# SPDX-License-Identifier: Apache-2.0
"""The server answers to its own names only, so that no foreign page reads it through a browser."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from pilothouse.interfaces.http.otlp import otlp_app
from pilothouse.interfaces.http.server import compose
from pilothouse.settings import load_settings


async def fine(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


def status_of(host, *, path="/", further=()):
    app = compose(otlp=fine, pages=fine, metrics=str, health=dict, further_hosts=further)
    sent = []

    async def send(message):
        sent.append(message)

    headers = [] if host is None else [(b"host", host.encode())]
    asyncio.run(app({"type": "http", "path": path, "headers": headers}, None, send))
    return sent[0]["status"]


@pytest.mark.parametrize("host", ["127.0.0.1:4318", "localhost", "LOCALHOST:4318", "[::1]:4318", None])
def test_its_own_names_are_answered(host):
    assert status_of(host) == 200


@pytest.mark.parametrize("path", ["/", "/v1/traces", "/metrics", "/healthz"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4318", "127.0.0.1.evil.example", "", "[::2]:4318"]
)
def test_other_names_are_refused_on_every_road(host, path):
    assert status_of(host, path=path) == 403


def test_a_proxy_is_let_in_by_its_name():
    assert status_of("agents.corp.example", further=("Agents.corp.example",)) == 200


@pytest.mark.parametrize("header", [b"origin", b"sec-fetch-site"])
def test_a_page_of_somebody_else_makes_nobody_settle(header):
    asked, sent = [], []

    async def send(message):
        sent.append(message)

    app = otlp_app(SimpleNamespace(settle=lambda: asked.append("settle")))
    for headers in ([(header, b"https://evil.example")], []):
        asyncio.run(
            app({"type": "http", "path": "/v1/settle", "method": "POST", "headers": headers}, None, send)
        )
    assert [one["status"] for one in sent if "status" in one] == [403, 200]
    assert asked == ["settle"]


def test_with_a_proxy_that_names_people_nobody_reads_without_being_named():
    settings = load_settings({"PILOTHOUSE_PROXY_HEADER": "x-user", "PILOTHOUSE_PROXY_SECRET": "s" * 32})
    assert not settings.is_loopback
    assert load_settings({}).is_loopback
