# SPDX-License-Identifier: Apache-2.0
"""A revoked key and a changed backend reach the owner: once, again while it lasts, and not for what was there from the beginning."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from control_rooms import AGENT, reach, run

from pilothouse.app.control_room import alert_ticks
from pilothouse.core.dates import minute
from pilothouse.errors import Conflict
from pilothouse.runtime.gateway.signs import Refusing, SeenBackend
from pilothouse.workflows.gateway.provider_signs import (
    FINGERPRINT_KIND,
    NEW_MAX,
    REFUSED_KIND,
    SignBook,
)
from pilothouse.workflows.incidents.suspects import suspects
from pilothouse.workflows.watch.provider_watch import watch_providers


def refusing(since, **more):
    given = {"agent": AGENT, "provider": "acme", "model": "m-1", "why": "status 401"}
    return Refusing(**given | more, since_ns=int(since.timestamp()) * 10**9)


def backend(fingerprint, **more):
    usual = {"agent": AGENT, "provider": "acme", "model": "m-1", "is_refused": False}
    return SeenBackend(**usual | {"fingerprint": fingerprint} | more)


@pytest.fixture
def book(room):
    return SignBook(room.installation.ledger)


def titles(room):
    return [one.title for one in room.incidents.incidents(agent=AGENT)]


def said(room):
    events = [
        event for one in room.incidents.incidents(agent=AGENT) for event in room.incidents.events(one.number)
    ]
    return "\n".join(event.text for event in events if event.kind in {"alert", "state"})


def records(room, kind):
    return [json.loads(one.document) for one in room.installation.ledger.decisions(AGENT, kind=kind)]


def test_a_refused_credential_calls_the_owner_once_and_again_while_it_lasts(room, clock, web, book):
    reach(room, "sam", web.url)
    since = clock()
    assert book.note_refusing([refusing(since)], clock()) == 1
    clock.move(seconds=30)
    assert book.note_refusing([refusing(since)], clock()) == 0
    assert [watch_providers(room, clock()) for _ in range(3)] == [1, 0, 0]
    (title,) = titles(room)
    assert title == (
        f"acme refuses the calls of {AGENT} (status 401) since {minute(since)}, and has answered none since: "
        "look at its credential, `pilothouse provider list`."
    )
    run(room)
    assert len(web.titles) == 1
    (incident,) = room.incidents.incidents(agent=AGENT)
    lines = len(room.incidents.events(incident.number))
    for _ in range(10):
        clock.move(minutes=13)
        book.note_refusing([refusing(since)], clock())
        assert watch_providers(room, clock()) == 0
    assert len([one for one in room.incidents.events(incident.number) if one.kind == "alert"]) == 2
    assert len(room.incidents.events(incident.number)) >= lines + 2
    assert len(records(room, REFUSED_KIND)) == 3


def test_two_providers_and_two_spells_are_told_apart(room, clock, book):
    book.note_refusing([refusing(clock()), refusing(clock(), provider="other", why="status 403")], clock())
    watch_providers(room, clock())
    assert {one for one in ("acme", "other") if f"{one} refuses the calls" in said(room)} == {"acme", "other"}
    assert "status 403" in said(room)
    clock.move(hours=3)
    watch_providers(room, clock())
    before = said(room)
    book.note_refusing([refusing(clock())], clock())
    watch_providers(room, clock())
    assert said(room).count("acme refuses the calls") == before.count("acme refuses the calls") + 1


def test_a_clock_that_was_set_back_keeps_nothing_silent(room, clock, book):
    since = clock()
    book.note_refusing([refusing(since)], clock())
    clock.move(days=-1)
    assert book.note_refusing([refusing(since)], clock()) == 1


def test_backends_of_the_first_day_are_how_it_is_and_a_later_one_is_told_once(room, clock, book):
    for fingerprint in ("fp_1", "fp_2", "fp_1"):
        book.note_backend(backend(fingerprint), clock())
        clock.move(hours=2)
    assert [one["is_change"] for one in records(room, FINGERPRINT_KIND)] == [False, False]
    assert watch_providers(room, clock()) == 0
    clock.move(days=3)
    assert not book.note_backend(backend("fp_2"), clock())
    assert book.note_backend(backend("fp_3"), clock())
    assert not SignBook(room.installation.ledger).note_backend(backend("fp_3"), clock())
    assert [watch_providers(room, clock()) for _ in range(2)] == [1, 0]
    (title,) = titles(room)
    assert title == (
        "m-1 at acme answers from another backend, fp_3 and not fp_2: its pin is the same, and what it says may not be. "
        "Hold it against the cases: `pilothouse gate`."
    )
    assert any("fp_3 for the first time" in one for one in suspects(room.installation, AGENT, clock()))


def test_a_backend_that_is_refused_calls_somebody_on_its_first_day_and_although_it_was_seen_before(
    room, clock, book
):
    book.note_backend(backend("fp_1"), clock())
    assert book.note_backend(backend("fp_1", is_refused=True), clock())
    assert not book.note_backend(backend("fp_1", is_refused=True), clock())
    assert not book.note_backend(backend("fp_1"), clock())
    assert watch_providers(room, clock()) == 1
    (title,) = titles(room)
    assert "backend fp_1" in title
    assert "its answers are withheld" in title


def test_another_model_begins_anew(room, clock, book):
    book.note_backend(backend("fp_1"), clock())
    clock.move(days=3)
    book.note_backend(backend("fp_9", model="m-2"), clock())
    book.note_backend(backend("fp_9", provider="other"), clock())
    assert watch_providers(room, clock()) == 0


def test_a_fingerprint_of_each_answer_says_nothing(room, clock, book):
    for number in range(NEW_MAX + 5):
        book.note_backend(backend(f"fp_{number}"), clock())
    clock.move(days=2)
    assert not book.note_backend(backend("fp_of_today"), clock())
    assert len(records(room, FINGERPRINT_KIND)) == NEW_MAX
    clock.move(days=30)
    assert book.note_backend(backend("fp_of_next_month"), clock())


def test_hostile_names_are_one_line(room, clock, book):
    book.note_backend(backend("fp_1", provider="{model}"), clock())
    clock.move(days=3)
    book.note_backend(backend("fp\n{0}\ud800\x00" + "x" * 999, provider="{model}"), clock())
    assert watch_providers(room, clock()) == 1
    assert titles(room)[0].isprintable()
    suspects(room.installation, AGENT, clock())


def test_of_two_processes_one_tells_it(room, clock, book, monkeypatch):
    ledger = room.installation.ledger
    read = ledger.decisions

    def late(*args, **kwargs):
        found = read(*args, **kwargs)
        if kwargs.get("kind") == FINGERPRINT_KIND:
            monkeypatch.setattr(ledger, "decisions", read)
            book.note_backend(backend("fp_1"), clock())
        return found

    monkeypatch.setattr(ledger, "decisions", late)
    with pytest.raises(Conflict):
        book.note_backend(backend("fp_1"), clock())
    assert not book.note_backend(backend("fp_1"), clock() + timedelta(seconds=30))


def test_a_running_server_looks(room):
    assert "providers" in {tick.name for tick in alert_ticks(room)}
