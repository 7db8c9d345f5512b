# SPDX-License-Identifier: Apache-2.0
"""An alert opens one incident, the right people are really called, and silence climbs the path."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from control_rooms import AGENT, NOW, reach, run
from sinks import mail_sink
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.core.action.incident import IncidentState
from pilothouse.core.evidence.evidence import INCIDENT, UNKNOWN
from pilothouse.core.verdict.requirement import Fact
from pilothouse.core.verdict.rules import assess
from pilothouse.errors import Denied, UnknownName, UsageError
from pilothouse.ledger import incidents
from pilothouse.reports.incidents import build_incidents
from pilothouse.workflows.incidents import alerts
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.incidents.incidents import REVIEW_FIELDS, hand_over, move, review, view
from pilothouse.workflows.incidents.paging import Called
from pilothouse.workflows.people.contacts import set_contact, try_contact
from pilothouse.workflows.people.directory import check_directory, read_directory

ANSWERS = dict.fromkeys(REVIEW_FIELDS, "because") | {"complaint": "none"}


def fire(room, metric="completion", sentence="Completion fell to 79 %.", **fields):
    return raise_alert(room, Firing(agent=AGENT, metric=metric, sentence=sentence, **fields), room.work.now())


def texts(room, number=1):
    return [event.text for event in view(room, number).events]


def loud(room, number=1):
    return [event.text for event in view(room, number).events if event.kind == "loud"]


def test_an_alert_opens_an_incident_by_its_rule_and_calls_the_first_level(room, web):
    reach(room, "sam", web.url)
    reach(room, "kim", web.url)
    answer = fire(room, traces=("a" * 32,))
    incident = answer.incident
    assert answer.opened
    assert (incident.rule, incident.severity, incident.runbook) == (
        "completion",
        "sev2",
        "runbooks/completion.md",
    )
    run(room)
    assert web.titles == [f"sev2 · {AGENT}: Completion fell to 79 %."] * 2
    assert sorted(web.keys) == ["INC-1/r0/L1/kim", "INC-1/r0/L1/sam"]
    assert "pilothouse incident acknowledge 1 --as" in web.received[0][1]["message"]
    assert "sam was reached by chat." in texts(room)
    assert any(
        text.startswith("Level 1 is called: sam, kim; to be acknowledged by 18 Nov 2026, 10:15")
        for text in texts(room)
    )
    run(room)
    assert len(web.keys) == 2, "nobody is called twice"


def test_a_warning_opens_nothing_and_is_on_record(room):
    assert fire(room, layer="warning").incident is None
    assert [one.kind for one in room.installation.ledger.decisions(AGENT, kind="alert.warning")] == [
        "alert.warning"
    ]


def test_the_same_alert_again_is_a_line_an_hour_and_another_one_joins_within_the_hour(room, clock):
    first = fire(room)
    assert not fire(room).opened
    before = len(texts(room))
    clock.move(minutes=30)
    joined = fire(room, metric="discrepancy", sentence="4 % of claims are contradicted.")
    assert (joined.opened, joined.incident.number, joined.incident.severity) == (
        False,
        first.incident.number,
        "sev1",
    )
    assert len(texts(room)) == before + 1
    clock.move(minutes=31)
    fire(room)
    assert len(texts(room)) == before + 2
    assert fire(room, metric="cost_per_task", sentence="A task costs 0.90 USD.").opened, (
        "an hour later it is another one"
    )


def test_what_no_rule_foresaw_goes_to_level_two(room):
    answer = fire(room, metric="DATA-1", sentence="Something new.")
    assert (answer.rule, answer.incident.level, answer.incident.severity) == (None, 2, "sev2")


def test_silence_climbs_the_path_and_an_acknowledgement_stops_it(room, clock, web):
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    fire(room)
    run(room)
    clock.move(minutes=15, seconds=1)
    run(room)
    assert "INC-1/r0/L2/dana" in web.keys
    assert "Level 1 did not answer in time." in loud(room)
    assert room.work.lateness()[0] == pytest.approx(1.0)
    move(room, 1, IncidentState.ACKNOWLEDGED, person="dana", text="looking", now=clock())
    clock.move(days=3)
    run(room)
    assert len(web.keys) == 3
    assert view(room, 1).incident.acknowledged_by == "dana"
    assert [text for text in loud(room) if "time to resolve" in text] == [
        "The time to resolve a sev2 has passed."
    ]


def test_a_path_that_stays_silent_is_called_three_times_and_then_says_so_loudly(room, clock, web):
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    fire(room)
    notes = []
    for _ in range(12):
        run(room, notes)
        clock.move(days=1)
    assert len(web.keys) == 3 * 4
    assert len(set(web.keys)) == 12
    assert any("Nobody is called any more" in text for text in loud(room))
    assert any("Nobody is called any more" in note for note in notes)
    incident = room.incidents.incident(1)
    assert incident.called == "nobody is called any more"
    (shown,) = build_incidents([incident], clock()).sections[0].rows
    assert shown.cells[-1].text == "nobody is called any more"
    home = ["--home", str(room.installation.settings.home)]
    wide = {"COLUMNS": "200"}
    listed = CliRunner().invoke(command_tree(), ["incident", "list", *home], env=wide).stdout
    assert "nobody is called any more" in listed
    assert (
        "nobody; nobody is called any more"
        in CliRunner().invoke(command_tree(), ["incident", "show", "1", *home]).stdout
    )


def test_mail_carries_the_first_sentence_and_the_key(room):
    with mail_sink() as mail:
        reach(room, "sam", mail.url, channel="mail")
        fire(room)
        run(room)
        (message,) = mail.messages
    assert message["Subject"] == f"sev2 · {AGENT}: Completion fell to 79 %."
    assert message["Idempotency-Key"] == "INC-1/r0/L1/sam"


def test_who_left_is_replaced_by_the_substitute(room, tmp_path, web):
    export = tmp_path / "people.csv"
    export.write_text(
        "identity,active\n"
        + "".join(f"oidc:{who}@corp.example,yes\n" for who in ("dana", "lee", "kim", "vp"))
        + "OIDC:sam@corp.example,left\n",
        encoding="utf-8",
    )
    found = check_directory(room.installation, read_directory(export), NOW, actor="test")
    assert found == {AGENT: ("sam",)}
    reach(room, "kim", web.url)
    fire(room)
    run(room)
    assert web.keys == ["INC-1/r0/L1/kim"]
    entry = next(one for one in room.installation.ledger.evidence(AGENT) if one.kind == "directory")
    assert (entry.passed, entry.binds.person) == (True, "dana")


def test_nothing_is_handed_over_to_who_left(room, clock):
    fire(room)
    move(room, 1, IncidentState.ACKNOWLEDGED, person="sam", text="", now=clock())
    active = {f"oidc:{who}@corp.example": True for who in ("dana", "lee", "vp", "sam")}
    check_directory(room.installation, active, clock(), actor="test")
    with pytest.raises(UsageError, match="kim is gone"):
        hand_over(room, 1, "kim", person="sam", now=clock())


def test_a_severity_that_asks_for_it_pauses_the_agent(room):
    fire(room, metric="discrepancy", sentence="4 % of claims are contradicted.")
    run(room)
    assert "INC-1: 4 % of claims are contradicted." in room.controls.read().refusal_of(AGENT)
    assert any("is paused; `pilothouse resume" in text for text in texts(room))


def test_an_incident_that_becomes_worse_pauses_the_agent_as_one_that_opens_so(room, clock):
    fire(room)
    run(room)
    assert room.controls.read().refusal_of(AGENT) is None
    clock.move(minutes=30)
    joined = fire(room, metric="discrepancy", sentence="4 % of claims are contradicted.")
    assert (joined.opened, joined.incident.severity) == (False, "sev1")
    assert any(one.text.endswith("and is sev1 now.") for one in room.incidents.events(joined.incident.number))
    run(room)
    assert "INC-1: 4 % of claims are contradicted." in room.controls.read().refusal_of(AGENT)


def test_an_alert_that_goes_on_while_somebody_ends_its_incident_opens_another(room, clock, monkeypatch):
    fire(room)
    clock.move(minutes=61)
    written = room.incidents.change

    def ended_first(change, lease=None):
        monkeypatch.setattr(room.incidents, "change", written)
        for step in (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED):
            move(room, 1, step, person="sam", text="", now=clock())
        return written(change, lease)

    monkeypatch.setattr(room.incidents, "change", ended_first)
    answer = fire(room)
    assert (answer.opened, answer.incident.number) == (True, 2)
    assert texts(room)[-1].startswith("sam")


def test_the_newest_lines_of_a_long_timeline_are_seen_and_the_same_alert_stays_a_line_an_hour(
    room, clock, monkeypatch
):
    monkeypatch.setattr(incidents, "EVENTS_MAX", 5)
    fire(room)
    for _ in range(4):
        clock.move(minutes=61)
        fire(room)
    before = texts(room)
    assert before[0].startswith("Opened as sev2")
    fire(room)
    assert texts(room) == before
    clock.move(minutes=1)
    fire(room, sentence="Completion fell to 70 %.")
    assert texts(room)[-1] == "Completion fell to 70 %."


def test_steps_are_bound_to_duties_and_illegal_ones_say_what_is_possible(room, clock):
    fire(room)
    with pytest.raises(Denied, match="mallory has no part"):
        move(room, 1, IncidentState.ACKNOWLEDGED, person="mallory", text="", now=clock())
    with pytest.raises(UsageError, match="is open and cannot become resolved") as caught:
        move(room, 1, IncidentState.RESOLVED, person="sam", text="", now=clock())
    assert "`pilothouse incident acknowledge 1`" in caught.value.remedy
    for state in (IncidentState.ACKNOWLEDGED, IncidentState.MITIGATED, IncidentState.RESOLVED):
        move(room, 1, state, person="sam", text="", now=clock())
    with pytest.raises(UsageError, match="needs cause, impact, action, complaint, case too"):
        review(room, 1, {}, person="sam", now=clock())
    with pytest.raises(UsageError, match="no moment of a first complaint"):
        review(room, 1, ANSWERS | {"complaint": "later"}, person="sam", now=clock())
    done = review(room, 1, ANSWERS, person="dana", now=clock())
    assert done.state is IncidentState.REVIEWED
    lead = lead_of(room)
    assert (lead.passed, lead.n) == (True, 1)
    with pytest.raises(UsageError, match="cannot become acknowledged"):
        move(room, 1, IncidentState.ACKNOWLEDGED, person="sam", text="", now=clock())
    assert [one.kind for one in room.installation.ledger.decisions(AGENT)][:2] == [
        "incident.reviewed",
        "incident.resolved",
    ]


def test_an_alert_after_the_first_complaint_does_not_lead(room, clock):
    fire(room)
    for state in (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED):
        move(room, 1, state, person="sam", text="", now=clock())
    review(
        room, 1, ANSWERS | {"complaint": (NOW - timedelta(hours=1)).isoformat()}, person="sam", now=clock()
    )
    lead = lead_of(room)
    assert lead.passed is False


def resolve(room, clock, number):
    fire(room, metric=f"metric-{number}", sentence=f"Alarm {number}.")
    for state in (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED):
        move(room, number, state, person="sam", text="", now=clock())
    clock.move(minutes=90)


def lead_of(room):
    *_, lead = (one for one in room.installation.ledger.evidence(AGENT) if one.kind == "alert.lead")
    return lead


def test_whoever_reviews_only_what_went_well_shows_no_lead(room, clock):
    """One review of four incidents, the one that went well, held MON-8."""
    for number in (1, 2, 3, 4):
        resolve(room, clock, number)
    review(room, 2, ANSWERS, person="dana", now=clock())
    lead = lead_of(room)
    assert (lead.passed, lead.n, lead.counts) == (None, 4, {UNKNOWN: 3, INCIDENT: 4})
    assert lead.detail.endswith("3 more are resolved and not reviewed, last INC-4")
    found = assess(Fact(), 0.0, lead)
    assert (found.proof, found.remedy) == ("open", "pilothouse incident review 4")
    for number in (1, 3):
        clock.move(minutes=1)
        review(room, number, ANSWERS, person="dana", now=clock())
    assert lead_of(room).passed is None
    clock.move(minutes=1)
    late = ANSWERS | {"complaint": (NOW - timedelta(hours=1)).isoformat()}
    review(room, 4, late, person="dana", now=clock())
    assert (lead_of(room).passed, lead_of(room).counts) == (False, {})


def test_an_incident_that_ends_is_asked_about_at_once(room, clock):
    """What was reviewed before it, or a drill, held MON-8 for three months while nobody reviewed what came after."""
    resolve(room, clock, 1)
    assert (lead_of(room).passed, lead_of(room).counts) == (None, {UNKNOWN: 1, INCIDENT: 1})
    review(room, 1, ANSWERS, person="dana", now=clock())
    assert lead_of(room).passed is True
    clock.move(minutes=1)
    resolve(room, clock, 2)
    assert (lead_of(room).passed, lead_of(room).counts) == (None, {UNKNOWN: 1, INCIDENT: 2})


def test_an_incident_of_long_ago_ends_without_a_word_on_alerts(room, clock):
    """Nothing of the last three months was over, and the least moment of nothing ended the command and the page."""
    fire(room)
    clock.move(days=91)
    for state in (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED):
        move(room, 1, state, person="sam", text="", now=clock())
    assert room.incidents.incident(1).state is IncidentState.RESOLVED
    review(room, 1, ANSWERS, person="dana", now=clock())
    assert all(one.kind != "alert.lead" for one in room.installation.ledger.evidence(AGENT))


def test_one_late_alert_of_few_is_a_breach_whatever_the_others_will_say(room, clock):
    for number in (1, 2):
        resolve(room, clock, number)
    late = ANSWERS | {"complaint": (NOW - timedelta(hours=1)).isoformat()}
    review(room, 1, late, person="dana", now=clock())
    assert lead_of(room).passed is False


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("2026-11-18T10:05", "in which time zone"),
        ("2026-11-18T23:59Z", "still to come"),
        ("noon", "no moment"),
    ],
)
def test_a_complaint_whose_moment_is_not_known_decides_nothing(room, clock, said, why):
    """Ten o'clock in Berlin is nine in UTC: the alert of half past nine came first, or it did not."""
    fire(room)
    for state in (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED):
        move(room, 1, state, person="sam", text="", now=clock())
    with pytest.raises(UsageError, match=why):
        review(room, 1, ANSWERS | {"complaint": said}, person="sam", now=clock())
    assert room.incidents.incident(1).state is IncidentState.RESOLVED


def test_contacts_refuse_what_is_none_and_never_show_the_secret(room, web):
    with pytest.raises(UnknownName, match="no person 'samm'") as unknown:
        reach(room, "samm", web.url)
    assert "put yours into force: `pilothouse verdict --charter" in unknown.value.remedy
    with pytest.raises(UsageError, match="no address of a service"):
        reach(room, "sam", "carrier-pigeon://roof")
    for zone in ("Mars/Base", "Europe", "", "x" * 300):
        with pytest.raises(UsageError, match="no time zone"):
            reach(room, "sam", web.url, zone=zone)
    done = set_contact(
        room, "sam", "mailto://pilot:hunter2@corp.example", channel="", zone="UTC", actor="t", now=NOW
    )
    assert done.channel == "mail"
    assert "hunter2" not in room.notifier.masked(done.url)
    hook = room.notifier.masked("jsons://hooks.corp.example:8443/services/T0/hunter2?x=y")
    assert hook == "jsons://hooks.corp.example:8443/…"
    assert "hunter2" not in "".join(one.document for one in room.installation.ledger.decisions(AGENT))
    reach(room, "kim", web.url)
    assert try_contact(room, "kim", actor="sam", now=NOW) == {"chat": ""}
    tried = room.installation.ledger.decisions(AGENT, kind="contact.tried")
    assert [(one.actor, json.loads(one.document)["taken"]) for one in tried] == [("sam", True)]
    with pytest.raises(UsageError, match="lee has no address"):
        try_contact(room, "lee", actor="sam", now=NOW)


def test_there_is_no_such_incident(room):
    with pytest.raises(UnknownName, match="no incident 7"):
        view(room, 7)


def give_up(room, clock, days=12):
    """Let the whole path stay silent until nobody is called any more."""
    for _ in range(days):
        run(room)
        clock.move(days=1)
    assert room.incidents.incident(1).is_given_up


def test_a_new_alert_of_an_incident_that_was_given_up_calls_the_path_anew(room, clock, web):
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    fire(room)
    give_up(room, clock)
    assert len(web.keys) == 12
    assert not fire(room, sentence="Completion fell to 60 %.", once=True).opened
    run(room)
    assert sorted(web.keys[12:]) == ["INC-1/r4/L1/kim", "INC-1/r4/L1/sam"]
    assert room.incidents.incident(1).called == "level 1 is called"
    give_up(room, clock)
    assert len(set(web.keys)) == 24, "the turn after it climbs the whole path three times as well"
    assert sum("Nobody is called any more" in text for text in loud(room)) == 2


def test_what_only_lasts_calls_the_path_of_a_given_up_incident_once_a_day(room, clock, web):
    # Nobody has an address, so the path is given up within minutes.
    fire(room)
    for _ in range(40):
        run(room)
        clock.move(minutes=1)
    assert room.incidents.incident(1).is_given_up
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    clock.move(hours=2)
    fire(room, sentence="Completion is 78 %.")
    run(room)
    assert web.keys == []
    clock.move(hours=23)
    fire(room, sentence="Completion is 77 %.")
    run(room)
    assert sorted(web.keys) == ["INC-1/r4/L1/kim", "INC-1/r4/L1/sam"]
    clock.move(minutes=5)
    fire(room, sentence="Completion is 76 %.", once=True)
    run(room)
    assert len(web.keys) == 2, "whoever is called now need not be called again"


def test_a_worse_alert_calls_the_path_of_a_given_up_incident_by_its_severity(room, clock, web):
    fire(room)
    for _ in range(40):
        run(room)
        clock.move(minutes=1)
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    answer = fire(room, metric="discrepancy", sentence="4 % of claims are contradicted.", once=True)
    assert (answer.opened, answer.incident.severity) == (False, "sev1")
    run(room)
    assert web.keys
    assert all(key.startswith("INC-1/r4/") for key in web.keys)


def test_an_incident_that_called_nobody_calls_once_the_charter_names_somebody(room, clock, web, monkeypatch):
    monkeypatch.setattr(alerts, "call_level", lambda *_args, **_more: Called())
    fire(room)
    assert room.incidents.incident(1).is_given_up
    monkeypatch.undo()
    for person in ("sam", "kim"):
        reach(room, person, web.url)
    clock.move(hours=2)
    fire(room, sentence="Completion fell to 60 %.", once=True)
    run(room)
    assert sorted(web.keys) == ["INC-1/r4/L1/kim", "INC-1/r4/L1/sam"]


def test_the_ledger_is_not_held_while_the_lake_is_asked_about_an_incident(room, monkeypatch):
    held, asked = [], []
    opens, triage = room.incidents.open, alerts.triage_lines

    def open_one(find, build):
        held.append(True)
        try:
            return opens(find, build)
        finally:
            held.clear()

    monkeypatch.setattr(room.incidents, "open", open_one)
    monkeypatch.setattr(alerts, "triage_lines", lambda *told: asked.append(bool(held)) or triage(*told))
    assert fire(room, traces=("a" * 32,)).opened
    assert asked == [False]
    assert not fire(room, sentence="Completion fell to 60 %.", traces=("a" * 32,)).opened
    assert asked == [False], "of an incident that is there nothing is looked up"


def test_an_alert_of_an_incident_whose_holder_has_left_calls_the_path_anew(room, clock, web):
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    fire(room)
    move(room, 1, IncidentState.ACKNOWLEDGED, person="sam", text="", now=clock())
    clock.move(days=2)
    fire(room, sentence="Completion fell to 70 %.", once=True)
    run(room)
    assert web.keys == [], "sam has it in hand"
    active = {f"oidc:{who}@corp.example": True for who in ("dana", "lee", "kim", "vp")}
    check_directory(room.installation, active, clock(), actor="test")
    clock.move(hours=2)
    incident = fire(room, sentence="Completion fell to 60 %.", once=True).incident
    assert (incident.state, incident.acknowledged_by) == (IncidentState.OPEN, None)
    run(room)
    assert web.keys == ["INC-1/r4/L1/kim"], "kim stands in for sam, and is on that level too"
