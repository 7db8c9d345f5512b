# SPDX-License-Identifier: Apache-2.0
"""An open page is told that it changed, through the same door, for a bounded time and a bounded number of pages."""

from __future__ import annotations

import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import page_site
import pytest
from page_visitor import enter
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


def client_of(answer, *, is_live=True, state=None):
    door = Door(Frame(), None, streams=LiveStreams(state, every_s=0.001, life_s=0.004))
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


def test_many_that_ask_at_once_find_room_for_as_many_as_there_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "STREAMS_MAX", 2)
    made = threading.Event()

    def answer(_visit):
        made.wait(20)
        return PlainTextResponse("body", headers={"etag": "a"})

    client = client_of(answer)
    with ThreadPoolExecutor(5) as visitors:
        asked = [visitors.submit(client.get, "/page", headers=EVENTS) for _ in range(5)]
        turned_away = [one.result().status_code for one in itertools.islice(as_completed(asked, 15), 3)]
        made.set()
        assert turned_away == [503] * 3
        assert sorted(one.result().status_code for one in asked) == [200, 200, 503, 503, 503]
    assert client.get("/page", headers=EVENTS).status_code == 200, "what ended makes room"


def test_a_page_that_may_not_be_read_holds_no_place(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "STREAMS_MAX", 1)

    def answer(_visit):
        raise Denied("not you", remedy="Sign in.")

    client = client_of(answer)
    assert [client.get("/page", headers=EVENTS).status_code for _ in range(3)] == [403] * 3


def test_a_page_is_made_again_only_when_something_was_written():
    made = itertools.count(1)
    states = itertools.chain(["1", "1", "1", "2"], itertools.repeat("2"))
    client = client_of(
        lambda _visit: PlainTextResponse("body", headers={"etag": f"look{next(made)}"}),
        state=lambda: next(states),
    )
    text = client.get("/page", headers=EVENTS).text
    assert re.findall(r"event: page\ndata: (\w+)", text) == ["look1", "look2"]
    assert next(made) == 3, "five looks, two pages"


def test_what_is_written_while_the_page_is_made_is_seen_by_the_next_look():
    ledger = ["a"]

    def answer(_visit):
        shown = ledger[-1]
        if len(ledger) == 1:
            ledger.append("b")  # somebody writes after this page has read
        return PlainTextResponse("body", headers={"etag": shown})

    text = client_of(answer, state=lambda: len(ledger)).get("/page", headers=EVENTS).text
    assert re.findall(r"event: page\ndata: (\w+)", text) == ["a", "b"]


def test_the_review_queue_of_one_minute_is_one_page(tmp_path):
    with page_site.people_site(tmp_path) as site:
        lee = enter(site, "lee")
        first = lee.get("/review").headers["etag"]
        site.clock.move(seconds=20)
        assert lee.get("/review").headers["etag"] == first
        site.clock.move(seconds=60)
        assert lee.get("/review").headers["etag"] != first
