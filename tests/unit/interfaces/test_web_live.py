# SPDX-License-Identifier: Apache-2.0
"""An open page is told that it changed, through the same door, for a bounded time and a bounded number of pages."""

from __future__ import annotations

import itertools
import re

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from pilothouse.core.charter.powers import Action
from pilothouse.errors import Denied
from pilothouse.interfaces.web import live
from pilothouse.interfaces.web.frame import Frame
from pilothouse.interfaces.web.live import LiveStreams
from pilothouse.interfaces.web.routing import Door, PageRoute

EVENTS = {"accept": "text/event-stream"}


def client_of(answer, *, is_live=True):
    door = Door(Frame(), None, streams=LiveStreams(every_s=0.001, life_s=0.004))
    route = door.route(PageRoute(path="/page", answer=answer, action=Action.READ, is_live=is_live))
    return TestClient(Starlette(routes=[route]))


def test_a_change_is_told_and_nothing_else():
    tags = itertools.chain(["a", "a", "a", "b"], itertools.repeat("b"))
    client = client_of(lambda _visit: PlainTextResponse("body", headers={"etag": next(tags)}))
    text = client.get("/page", headers=EVENTS).text
    assert re.findall(r"event: page\ndata: (\w+)", text) == ["a", "b"]
    assert "body" not in text


def test_a_page_that_is_not_live_answers_as_ever():
    client = client_of(lambda _visit: PlainTextResponse("body"), is_live=False)
    assert client.get("/page", headers=EVENTS).text == "body"


def test_who_may_not_read_it_any_more_is_told_to_look():
    looks = itertools.count()

    def answer(_visit):
        if next(looks) > 1:
            raise Denied("not any more", remedy="Sign in.")
        return PlainTextResponse("body", headers={"etag": "a"})

    text = client_of(answer).get("/page", headers=EVENTS).text
    assert re.findall(r"event: page\ndata: (\w+)", text) == ["a", "gone"]


def test_one_page_too_many_is_told_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "STREAMS_MAX", 0)
    client = client_of(lambda _visit: PlainTextResponse("body"))
    assert client.get("/page", headers=EVENTS).status_code == 503
    assert client.get("/page").text == "body"
