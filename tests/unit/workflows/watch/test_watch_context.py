# SPDX-License-Identifier: Apache-2.0
"""Runs of the gateway are read once, a cut input breaches its requirement and calls somebody, and the page says how soon."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from control_rooms import AGENT, Hands, control_room_at
from recorded_runs import ROUTE, conversation

from pilothouse.core.charter.models import Context, ContextEdits
from pilothouse.core.charter.models_published import MODEL_WINDOWS
from pilothouse.core.evidence.run_log import Denied, ModelRequest, ModelResponse, RunOpened
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.watch import WatchStep
from pilothouse.runtime.context.counting import ContextCounter
from pilothouse.runtime.gateway.refusal import RefusalCode
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.gateway.context_reading import ContextCount, windows_of
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.watch import context as watch_context
from pilothouse.workflows.watch.context import CONTEXT, ContextDays, ContextWatch
from pilothouse.workflows.watch.status import watch_status

VERSION = "v1"
HEADERS = {"content-type": "application/json"}


@pytest.fixture
def clock():
    return Hands(datetime.now(UTC) + timedelta(hours=2))


@pytest.fixture
def room(tmp_path, clock):
    with control_room_at(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def log(tmp_path):
    with Recorder(tmp_path / "runs") as opened:
        yield opened


def record(log, number, read, at):
    """Write one conversation of as many calls as sizes that the provider reports (None: it reports none)."""
    run = f"{number:032x}"
    log.append(run, RunOpened(agent=AGENT, version=VERSION), at_ns=unix_ns(at))
    for place, (pair, tokens) in enumerate(zip(conversation(len(read), f"{number}"), read, strict=True)):
        asked, answered = pair
        usage = None if tokens is None else {"input": tokens}
        log.append(run, ModelRequest(route=ROUTE, body=json.dumps(asked).encode()), call=f"{number}.{place}")
        response = ModelResponse(status=200, body=answered, headers=HEADERS, usage=usage)
        log.append(run, response, call=f"{number}.{place}")
    log.flush()


def looked(room, log, clock):
    return ContextWatch(room.watch, room.installation.ledger, log).look(clock())


def row(room, clock):
    charter = charter_in_force(room.installation.ledger, AGENT)
    found = watch_status(room.watch, charter, clock().date()).detectors
    return next(one for one in found if one.metric == "truncation")


def days_of(room):
    return ContextDays.read(room.watch.states(AGENT)["", CONTEXT].document)


def test_sound_inputs_are_counted_once_and_the_page_says_how_soon_a_cut_one_would_be_seen(room, log, clock):
    assert "passed the gateway" in row(room, clock).note
    for number in range(3):
        record(log, number, (100, 160, 220), clock() - timedelta(hours=2))
    assert (looked(room, log, clock), looked(room, log, clock)) == (3, 0)
    found = row(room, clock)
    assert (found.state, found.n, found.value, found.false_alarms_per_year) == ("quiet", 9, 0.0, 0.0)
    assert found.delay_days == pytest.approx(70 / 1440)
    (kept,) = [one for one in room.installation.ledger.evidence(AGENT) if one.kind == "truncation"]
    assert (kept.n, kept.good, kept.binds.version) == (9, 9, VERSION)


def test_a_conversation_that_shrinks_was_cut_breaches_its_requirement_and_names_the_run(room, log, clock):
    record(log, 7, (100, 160, 150), clock() - timedelta(hours=2))
    looked(room, log, clock)
    (kept,) = [one for one in room.installation.ledger.evidence(AGENT) if one.kind == "truncation"]
    assert (kept.n, kept.good, kept.items) == (3, 2, (f"{7:032x}",))
    assert row(room, clock).state == "warning"
    charter = charter_in_force(room.installation.ledger, AGENT)
    verdict = decide(charter, [kept], clock(), version=VERSION)
    items = next(one for one in verdict.requirements if one.requirement == "MON-11").items
    assert [one.status for one in items if one.kind == "truncation"] == [Status.BREACHED]


def test_what_goes_on_is_left_for_later_and_what_nobody_reported_is_no_sound_input(room, log, clock):
    record(log, 1, (100, 160), clock() - timedelta(minutes=10))
    assert looked(room, log, clock) == 0
    record(log, 2, (None, None), clock() - timedelta(hours=2))
    assert looked(room, log, clock) == 1
    assert (row(room, clock).state, days_of(room).count().unknown) == ("blind", 2)
    assert not [one for one in room.installation.ledger.evidence(AGENT) if one.kind == "truncation"]
    clock.move(hours=1)
    assert looked(room, log, clock) == 1
    assert days_of(room).count().inputs == 2


def test_of_very_many_runs_an_even_sample_is_opened_and_the_others_are_said(room, log, clock, monkeypatch):
    monkeypatch.setattr(watch_context, "RUNS_AT_ONCE", 4)
    for number in range(10):
        record(log, number, (100,), clock() - timedelta(hours=2))
    assert looked(room, log, clock) == 4
    (kept,) = [one for one in room.installation.ledger.evidence(AGENT) if one.kind == "truncation"]
    assert kept.n == 4
    assert kept.detail.endswith("6 runs were not opened.")


def test_more_runs_than_one_answer_of_the_log_holds_are_looked_at_in_parts(room, log, clock, monkeypatch):
    monkeypatch.setattr(watch_context, "RUNS_PAGE_MAX", 4)
    for number in range(10):
        record(log, number, (100,), clock() - timedelta(hours=2, minutes=number))
    assert sum(looked(room, log, clock) for _ in range(20)) == 10
    assert (days_of(room).count().inputs, days_of(room).skipped) == (10, {})


def test_a_look_that_is_killed_before_its_state_is_kept_is_made_again(room, log, clock, monkeypatch):
    record(log, 7, (100, 160, 150), clock() - timedelta(hours=2))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as worn:
        worn.setattr(type(room.watch), "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            looked(room, log, clock)
    assert looked(room, log, clock) == 1
    assert {one.good for one in room.installation.ledger.evidence(AGENT) if one.kind == "truncation"} == {2}


def test_days_past_the_window_are_forgotten_and_cuts_are_told_at_once(room, log, clock):
    record(log, 1, (100, 160), clock() - timedelta(hours=2))
    looked(room, log, clock)
    clock.move(days=31)
    record(log, 2, (100, 90), clock() - timedelta(hours=2))
    looked(room, log, clock)
    assert days_of(room).count().inputs == 2
    kept = [one for one in room.installation.ledger.evidence(AGENT) if one.kind == "truncation"]
    newest = max(kept, key=lambda one: one.recorded_at)
    assert (len(kept), newest.n, newest.good) == (2, 2, 1)


def test_an_input_that_nests_too_deep_to_be_counted_stops_nothing(room, log, clock, monkeypatch):
    record(log, 1, (100,), clock() - timedelta(hours=2))
    record(log, 2, (100,), clock() - timedelta(hours=2))
    estimate, asked = ContextCounter.estimate, []

    def deep(counter, model, request):
        asked.append(model)
        if len(asked) == 1:
            raise RecursionError
        return estimate(counter, model, request)

    monkeypatch.setattr(ContextCounter, "estimate", deep)
    assert looked(room, log, clock) == 2
    assert (days_of(room).count().inputs, days_of(room).count().unknown) == (1, 1)


def test_inputs_that_were_sent_under_another_policy_say_nothing_of_this_one(room, log, clock, tmp_path):
    record(log, 1, (100, 160, 220), clock() - timedelta(hours=3))
    looked(room, log, clock)
    file = tmp_path / "repository" / "ap-invoice-triage.yaml"
    text = file.read_text(encoding="utf-8")
    edits = (
        ("min: 200,", "min: 201,"),  # changes nothing that inputs were counted under
        ("context: {policy: refuse,", "context: {policy: shorten_visibly, edits: {duplicates: true},"),
    )
    counted = []
    for number, edit in enumerate(edits, start=2):
        text = text.replace(*edit, 1)
        file.write_text(text, encoding="utf-8")
        clock.move(days=1)
        accept_file(room.installation.ledger, file, clock() - timedelta(hours=2), actor="test")
        record(log, number, (100, 160), clock() - timedelta(minutes=90))
        looked(room, log, clock)
        counted.append(room.installation.ledger.evidence(AGENT, kinds=["truncation"])[-1])
    assert [one.n for one in counted] == [5, 2]
    charter = charter_in_force(room.installation.ledger, AGENT)
    verdict = decide(charter, counted, clock(), version=VERSION)
    items = next(one for one in verdict.requirements if one.requirement == "MON-11").items
    (inputs,) = [one for one in items if one.kind == "truncation"]
    assert (inputs.status, inputs.n) == (Status.NO_EVIDENCE, 2)


def test_how_full_the_window_gets_is_counted_by_what_providers_report(room, log, clock, monkeypatch):
    def window():
        charter = charter_in_force(room.installation.ledger, AGENT)
        found = watch_status(room.watch, charter, clock().date()).detectors
        return next(one for one in found if one.title == "Window in use")

    assert (window().state, window().n) == ("blind", 0)
    record(log, 1, (100, 160, 220), clock() - timedelta(hours=2))
    looked(room, log, clock)
    assert "known window" in window().note, "of a model whose window nobody has said nothing is known"
    monkeypatch.setattr(watch_context, "windows_of", lambda *_: lambda _model: 1_000)
    clock.move(hours=2)
    record(log, 2, (100, 700, 849), clock() - timedelta(minutes=90))
    log.append(f"{2:032x}", Denied(code=str(RefusalCode.CONTEXT_EXCEEDED), reason="too long"), call="2.3")
    record(log, 3, (950, 990, None), clock() - timedelta(minutes=90))
    assert looked(room, log, clock) == 2
    found = window()
    assert (found.state, found.n, found.value) == ("warning", 5, 0.8)
    assert found.note == (
        "of 5 calls 4 reached 70 %, 2 reached 85 %, 2 reached 95 %; highest 99.0 % of the window; "
        "1 more did not fit and were refused"
    )
    clock.move(days=31)
    record(log, 4, (100,), clock() - timedelta(hours=2))
    looked(room, log, clock)
    assert (window().state, window().n, window().value) == ("quiet", 1, 0.0)


def test_the_window_is_the_charters_for_its_pin_and_the_published_one_for_others(room, tmp_path):
    ledger = room.installation.ledger
    model = charter_in_force(ledger, AGENT).model.pin.model
    published, size = next(iter(MODEL_WINDOWS.items()))
    of = windows_of(ledger, AGENT)
    assert (of(model), of(published), windows_of(ledger, "nobody")(published)) == (None, size, size)


def test_an_edit_that_took_nothing_out_in_thirty_days_is_said(room, log, clock):
    """A limit that nothing ever reaches looks like a policy and is none."""
    context = Context(
        policy="shorten_visibly", probes="planted", edits=ContextEdits(large=9_000, keep_last=4)
    )
    charter = charter_in_force(room.installation.ledger, AGENT).model_copy(update={"context": context})
    days = ContextDays(
        to_us=unix_ns(clock()) // 1_000, since=(clock().date() - timedelta(days=30)).isoformat()
    )
    days.days = {clock().date().isoformat(): {VERSION: [5, 0, 0, 2]}}
    assert days.idle(charter) == ("context.large", "context.keep_last")
    summary = record(log, 9, (100, 160), clock()) or log.runs(agent=AGENT, limit=1)[0]
    days.add(summary, ContextCount(inputs=2, edited=1, opaque=3, fired=frozenset({"context.keep_last"})))
    assert (days.count().inputs, days.count().opaque, days.idle(charter)) == (7, 3, ("context.large",))
    assert ContextDays.read(days.document()) == days
    room.watch.advance(AGENT, [WatchStep(task_type="", detector=CONTEXT, before=0, document=days.document())])
    found = watch_status(room.watch, charter, clock().date()).detectors
    note = next(one for one in found if one.metric == "truncation").note
    assert "3 that their provider may have shortened; context.large took nothing out in 30 days" in note
    days.since = (clock().date() - timedelta(days=29)).isoformat()
    assert days.idle(charter) == ()
