# SPDX-License-Identifier: Apache-2.0
"""A silent sponsor, a lapsed signature, a leaver and a retired pin call somebody, once a week and not once an hour."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from control_rooms import AGENT, NOW, reach, run
from evidence_made import everything_holds

from pilothouse.app.control_room import alert_ticks
from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.readiness import decide
from pilothouse.errors import UsageError
from pilothouse.reports.ownership import OwnershipFacts, build_ownership
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.people.directory import (
    check_directory,
    look_at_directory,
    people_gone,
    read_directory,
)
from pilothouse.workflows.review.minutes import hold_review
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.watch.ownership_watch import look_at_ownership, watch_ownership

MINUTES = "Looked at the month: quality holds, the budget is kept, nothing is to be decided."


def titles(room):
    return [one.title for one in room.incidents.incidents(agent=AGENT)]


def warnings(room):
    return room.installation.ledger.decisions(AGENT, kind="alert.warning")


def export(folder, *active, name="people.csv"):
    path = folder / name
    everybody = ("dana", "lee", "kim", "vp", "sam")
    lines = [f"oidc:{who}@corp.example,{'yes' if who in active else 'left'}\n" for who in everybody]
    path.write_text("identity,active\n" + "".join(lines), encoding="utf-8")
    return path


def pass_game_day(room, clock):
    charter = charter_in_force(room.installation.ledger, AGENT)
    (passed,) = [one for one in everything_holds(charter, clock()) if one.kind == "drill.game-day"]
    room.installation.ledger.add_evidence([passed])


def test_a_sponsor_who_stays_silent_is_first_a_warning_and_then_an_incident_that_calls_people(
    room, clock, web
):
    pass_game_day(room, clock)
    ledger, charter = room.installation.ledger, charter_in_force(room.installation.ledger, AGENT)
    hold_review(ledger, charter, "sponsor", person="vp", minutes=MINUTES, now=clock())
    clock.move(days=44)
    assert watch_ownership(room, clock()) == 0
    assert not warnings(room)
    clock.move(days=2)
    assert watch_ownership(room, clock()) == 0
    (warning,) = warnings(room)
    assert (
        "has signed nothing and held no review since 18 Nov 2026; every 30 days are agreed."
        in warning.document
    )
    clock.move(days=15)
    reach(room, "sam", web.url)
    assert watch_ownership(room, clock()) == 1
    run(room)
    assert [one.partition("The sponsor ")[0] for one in web.titles] == [f"sev2 · {AGENT}: "]
    clock.move(hours=2)
    assert watch_ownership(room, clock()) == 0
    hold_review(ledger, charter, "sponsor", person="vp", minutes=MINUTES, now=clock())
    assert not list(look_at_ownership(ledger, ledger.charter(AGENT), clock()))


def change_the_charter(room, tmp_path, clock, old, new):
    file = tmp_path / "repository" / "ap-invoice-triage.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    accept_file(room.installation.ledger, file, clock(), actor="test")


def test_a_charter_that_is_changed_meanwhile_is_no_sign_of_life_of_its_sponsor(room, clock, tmp_path):
    for number in range(1200, 1204):
        clock.move(days=13)
        change_the_charter(room, tmp_path, clock, f"per_day: {number}", f"per_day: {number + 1}")
    assert watch_ownership(room, clock()) == 1
    assert (
        "V. Petrov has never signed or reviewed anything since 8 Nov 2026" in room.incidents.incident(1).title
    )
    ledger, before = room.installation.ledger, room.installation.ledger.charter(AGENT)
    text = before.text.replace("sponsor: {person: vp,", "sponsor: {person: dana,")
    ledger.accept_charter(agent=AGENT, digest="d", text=text, path=before.path, at=clock())
    silent = look_at_ownership(ledger, ledger.charter(AGENT), clock())
    assert not [one for one in silent if one.metric == "sponsor_silence"], "who is named today has time"


def test_a_charter_of_an_older_program_does_not_say_since_when_a_sponsor_is_named(room, clock, tmp_path):
    ledger, later = room.installation.ledger, clock() + timedelta(days=90)
    ledger.accept_charter(agent=AGENT, digest="d", text="agent: [", path="c.yaml", at=clock())
    clock.move(days=1)
    change_the_charter(room, tmp_path, clock, "per_day: 1200", "per_day: 1201")
    (silent,) = (
        one
        for one in look_at_ownership(ledger, ledger.charter(AGENT), later)
        if one.metric == "sponsor_silence"
    )
    assert "since 19 Nov 2026" in silent.sentence


def test_what_lasts_is_a_line_a_week(room, clock):
    pass_game_day(room, clock)
    clock.move(days=90)
    assert watch_ownership(room, clock()) == 1
    for _ in range(24 * 7 + 1):
        clock.move(hours=1)
        watch_ownership(room, clock())
    (incident,) = room.incidents.incidents(agent=AGENT)
    said = [one for one in room.incidents.events(incident.number) if "never signed or reviewed" in one.text]
    assert len(said) == 2


def test_a_warning_is_said_once_a_week_among_however_many_of_other_detectors(room, clock):
    clock.move(days=36)
    watch_ownership(room, clock())
    sponsor = [one for one in warnings(room) if "sponsor" in one.document]
    for number in range(60):
        clock.move(minutes=1)
        noise = Firing(agent=AGENT, metric="complaint", sentence=f"Complaints {number}.", layer="warning")
        raise_alert(room, noise, clock())
    watch_ownership(room, clock())
    found = room.installation.ledger.decisions(AGENT, kind="alert.warning", limit=1_000)
    assert len(sponsor) == sum("sponsor" in one.document for one in found) == 1


def test_a_signature_that_ran_out_is_an_incident_and_one_never_given_is_not(room, clock):
    ledger, charter = room.installation.ledger, charter_in_force(room.installation.ledger, AGENT)
    assert not list(look_at_ownership(ledger, ledger.charter(AGENT), clock()))
    ledger.add_evidence(list(everything_holds(charter, clock())))
    clock.move(days=91)
    hold_review(ledger, charter, "sponsor", person="vp", minutes=MINUTES, now=clock())
    assert watch_ownership(room, clock()) == 1
    (title,) = titles(room)
    assert title.startswith("Signatures have lapsed and were not given again: ")
    assert "OWN-1 by dana" in title
    assert "`pilothouse evidence attest " in title


def test_a_game_day_that_is_late_calls_somebody_until_one_is_passed(room, clock):
    """The charter's `game_day_by` was read by nobody."""
    clock.move(days=57)  # 14 January; it is due by the 15th
    assert not [one for one in titles(room) if "game day" in one]
    watch_ownership(room, clock())
    assert not [one for one in titles(room) if "game day" in one]
    clock.move(days=2)
    watch_ownership(room, clock())
    (late,) = [one for one in titles(room) if "game day" in one]
    assert "was due by 15 Jan 2027, and none was passed" in late
    pass_game_day(room, clock)
    record = room.installation.ledger.charter(AGENT)
    said = look_at_ownership(room.installation.ledger, record, clock())
    assert not [one for one in said if one.metric == "game_day"]


def test_an_export_that_is_replaced_is_read_again_and_a_leaver_is_an_incident(room, clock, tmp_path):
    path = export(tmp_path, "dana", "lee", "kim", "vp", "sam")
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    check_directory(room.installation, read_directory(path), clock(), actor="test", export=path)
    clock.move(hours=3)
    assert watch_ownership(room, clock()) == 0
    export(tmp_path, "lee", "kim", "vp", "sam")
    later = clock().timestamp()
    os.utime(path, (later, later))
    assert watch_ownership(room, clock()) == 1
    assert people_gone(room.installation.ledger, AGENT) == ("dana",)
    (title,) = titles(room)
    assert "is not in the directory any more and was its owner" in title
    assert "; L. Novak stands in." in title
    export(tmp_path, "kim", "vp", "sam")
    os.utime(path, (later + 30, later + 30))
    clock.move(minutes=1)
    watch_ownership(room, clock())
    said = [event.text for event in room.incidents.events(1)]
    assert any("was its owner" in one and "; nobody stands in." in one for one in said), "lee is gone too"
    path.write_text("not,what\n", encoding="utf-8")
    os.utime(path, (later + 60, later + 60))
    assert not look_at_directory(room.installation, clock())
    path.unlink()
    assert not look_at_directory(room.installation, clock())


@pytest.mark.parametrize(
    "text", ["identity,active\n", "identity,active\noidc:dana@corp.example,yes\noidc:le"]
)
def test_an_export_that_is_read_while_it_is_written_makes_nobody_a_leaver(room, clock, tmp_path, text):
    path = export(tmp_path, "dana", "lee", "kim", "vp", "sam")
    check_directory(room.installation, read_directory(path), clock(), actor="test", export=path)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (clock().timestamp() + 60,) * 2)
    assert not look_at_directory(room.installation, clock())
    assert people_gone(room.installation.ledger, AGENT) == ()
    with pytest.raises(UsageError, match=r"lists nobody|is cut: line 3"):
        read_directory(path)


def test_a_pin_that_retires_and_a_term_that_ends_warn_before_and_call_after(room, clock, tmp_path):
    pass_game_day(room, clock)
    clock.moment = NOW.replace(year=2032, month=5, day=10)
    file = tmp_path / "repository" / "ap-invoice-triage.yaml"
    accept_file(room.installation.ledger, file, clock() - timedelta(days=1), actor="test")
    ledger = room.installation.ledger
    hold_review(ledger, charter_in_force(ledger, AGENT), "sponsor", person="vp", minutes=MINUTES, now=clock())
    assert watch_ownership(room, clock()) == 0
    said = " ".join(one.document for one in warnings(room))
    assert "acme-large-2026-04-12 retires on 30 Jun 2032" in said
    assert "term ends on 1 Dec 2032, less than 183 days away from 2 Jun 2032 on" in said
    assert watch_ownership(room, clock()) == 0
    assert len(warnings(room)) == 2
    for days, what in ((24, "less than 183 days away: extend"), (28, "was retired on 30 Jun 2032")):
        clock.move(days=days)
        hold_review(
            ledger, charter_in_force(ledger, AGENT), "sponsor", person="vp", minutes=MINUTES, now=clock()
        )
        assert watch_ownership(room, clock()) == 1
        assert what in titles(room)[0]


def test_a_server_looks_and_the_page_shows_what_was_noticed_first(room, clock):
    clock.move(days=90)
    ticks = {one.name: one for one in alert_ticks(room)}
    ticks["ownership"].run(clock())
    (title,) = titles(room)
    record = room.installation.ledger.charter(AGENT)
    charter = Charter.model_validate(read_charter_text(record.text, file=record.path).value)
    noticed = [
        (one.sentence, one.layer == "verdict")
        for one in look_at_ownership(room.installation.ledger, record, clock())
    ]
    facts = OwnershipFacts(asked=(), evidence=(), channels={}, noticed=noticed)
    page = build_ownership(charter, decide(charter, (), clock(), version=None), facts, clock())
    first = page.sections[0]
    assert (first.anchor, first.rows[0].cells[0].mark.word) == ("noticed", "Incident")
    assert first.rows[0].cells[1].text == title


def test_who_has_no_identity_in_the_charter_is_neither_there_nor_gone(room, clock, tmp_path):
    change_the_charter(room, tmp_path, clock, 'identity: "oidc:kim@corp.example"', 'identity: "?"')
    change_the_charter(room, tmp_path, clock, 'identity: "oidc:dana@corp.example"', 'identity: "?"')
    found = check_directory(
        room.installation,
        dict.fromkeys((f"oidc:{one}@corp.example" for one in ("lee", "vp")), True),
        clock(),
        actor="t",
    )
    assert found[AGENT] == ("sam",)
    assert not [one for one in room.installation.ledger.evidence(AGENT) if one.kind == "directory"]
