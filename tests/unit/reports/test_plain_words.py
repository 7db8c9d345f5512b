# SPDX-License-Identifier: Apache-2.0
"""What a person reads: days as days, people by name, no empty field, no number of months that nobody can picture."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import page_world as world
import pytest

from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState, Named
from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.value import Money, ThreeNumbers
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.audit import AuditRecord
from pilothouse.reports.audit import AuditFacts, build_audit
from pilothouse.reports.fleet import Governed, build_fleet
from pilothouse.reports.incidents import build_incident, build_incidents
from pilothouse.reports.ownership import _minutes
from pilothouse.reports.value import SealShown, build_value

DIGEST = "0e7d4830" * 8


def says(document) -> str:
    record = AuditRecord(
        position=0, kind="verdict.acted", agent="a", at=world.NOW, text=json.dumps({"document": document})
    )
    facts = AuditFacts(size=1, checkpoints=(), anchors=(), verified=None, key="", records=(record,))
    return build_audit(facts, world.NOW).sections[0].rows[0].cells[-1].text


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"due_at": "2026-12-06T08:57:04.822897Z", "incident": ""}, "due at 6 Dec 2026, 08:57 UTC"),
        ({"digest": DIGEST, "status": "no_evidence"}, "digest 0e7d483; status no_evidence"),
        ({"day": "2026-11-28", "share": 1}, "day 28 Nov 2026; share 1"),
        ({"day": "2026-02-31"}, "day 2026-02-31"),
        ({"digests": [DIGEST, DIGEST]}, "2 records"),
        ({"rule": "entitled", "day": "2026-11-28"}, "rule entitled"),
        ([], ""),
    ],
)
def test_an_auditor_reads_moments_and_digests_as_on_every_page(document, shown):
    assert says(document) == shown


def test_the_next_step_says_what_it_is_about_and_not_its_number_alone():
    verdict = world.make_verdict().model_copy(
        update={"agent": "a", "status": Status.BREACHED, "reason": None}
    )
    page = build_fleet([Governed(agent="a", charter=world.charter(), verdict=verdict)], (), world.NOW)
    statement = next(one.statement for one in verdict.requirements if one.requirement == verdict.deciding)
    assert page.action.label.casefold().count(statement.casefold()) == 1


def incident(state: IncidentState, number: int = 1) -> Incident:
    return Incident(
        number=number, agent="a", group="g", rule="r", task_type=None, severity="sev1", state=state,
        title="Quality fell", opened_at=world.NOW, level=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        ((), "No incident is open."),
        ((IncidentState.ACKNOWLEDGED,), "1 incident open, each in somebody's hands."),
        ((IncidentState.OPEN, IncidentState.ACKNOWLEDGED), "2 incidents open, 1 of them in nobody's hands."),
    ],
)
def test_the_list_of_incidents_says_whether_somebody_has_them(states, sentence):
    incidents = [incident(state, number) for number, state in enumerate(states, 1)]
    assert build_incidents(incidents, world.NOW).sentence.plain == sentence


@pytest.mark.parametrize(
    ("state", "label"),
    [
        (IncidentState.RESOLVED, "Write down what was learnt; that closes it."),
        (IncidentState.REVIEWED, None),
    ],
)
def test_an_incident_that_is_reviewed_asks_for_no_review(state, label):
    """It said so, and gave the command of a replay for it; one that is resolved was to be taken in hand."""
    done = replace(incident(state), traces=("a" * 32,))
    page = build_incident(done, (), {"sam": "owner"}, world.NOW, person="sam")
    assert (page.action and page.action.label) == label
    assert page.action is None or page.action.command.startswith("pilothouse incident review 1 ")
    assert f"pilothouse trace {'a' * 32}" in page.commands
    assert [one.label for one in page.steps] == (["It has come back, and I have it in hand"] if label else [])


def test_a_drill_that_is_over_offers_no_step_that_is_refused():
    page = build_incident(
        replace(incident(IncidentState.RESOLVED), drill=True), (), {"sam": "owner"}, world.NOW, person="sam"
    )
    assert (page.action, page.steps, page.commands) == (None, (), ())


@pytest.mark.parametrize(
    ("months", "words"),
    [
        ((1.2, 5.0), "after 1 month at best, after 5 months at worst"),
        ((2.0, 962.0), "after 2 months at best, after 80 years at worst"),
        ((2.0, None), "after 2 months at best, never at worst"),
    ],
)
def test_a_long_time_is_told_in_years(months, words):
    money = Money(low=1.0, high=2.0)
    numbers = ThreeNumbers(
        staying=money,
        investment=money,
        back=money,
        ratio=(0.1, 0.2),
        break_even_months=months,
        assumptions=(),
    )
    page = build_value(world.charter(), world.make_verdict(), numbers, None, world.NOW)
    assert words in page.ratio
    assert page.sentence.plain == "By these estimates it returns USD 1 to 2 a year at the present volume."


def test_a_seal_names_its_day_and_its_person():
    money = Money(low=1.0, high=2.0)
    numbers = ThreeNumbers(
        staying=money, investment=money, back=money, ratio=None, break_even_months=None, assumptions=()
    )
    person, entry = next(iter(world.charter().people.items()))
    seal = SealShown(at=world.NOW, by=person, in_time=True, is_current=True)
    page = build_value(world.charter(), world.make_verdict(), numbers, seal, world.NOW)
    assert f"by {entry.name}, before the first task" in page.seal
    assert calendar_day(world.NOW.date()) in page.seal
    unknown = build_value(world.charter(), world.make_verdict(), numbers, replace(seal, by="zed"), world.NOW)
    assert "by zed," in unknown.seal


def test_a_day_is_written_as_a_day():
    assert calendar_day(date(2032, 12, 1)) == "1 Dec 2032"


def test_minutes_are_read_under_the_name_of_who_wrote_them():
    names = {"dana": "D. Ruiz"}
    assert _minutes("dana: Nobody asked for a change.", names) == "D. Ruiz: Nobody asked for a change."
    assert _minutes("Note: it was short.", names) == "Note: it was short."


@pytest.mark.parametrize(
    ("parts", "read"),
    [
        ((Named("sam"), " was reached by mail."), "S. Ortega was reached by mail."),
        ((Named("vp"), " is called for ", Named("sam"), "."), "V. Petrov is called for S. Ortega."),
        ((Named("is"), " is called for ", Named("sam"), "."), "I. Sand is called for S. Ortega."),
        ((Named("kim"), " was reached by chat."), "kim was reached by chat."),
        ((Named("sam"), " ended it: was for vp, sam says"), "S. Ortega ended it: was for vp, sam says"),
        (
            (f"a is rolled back to {DIGEST} because of MON-7.",),
            "a is rolled back to 0e7d483 because of MON-7.",
        ),
    ],
)
def test_the_timeline_of_an_incident_names_whom_the_record_names_and_shortens_digests(parts, read):
    """The page looked for ids in the sentence: it replaced words that a person had typed, too."""
    names = {"dana": "D. Ruiz", "sam": "S. Ortega", "vp": "V. Petrov", "is": "I. Sand"}
    event = IncidentEvent.telling(*parts, at=world.NOW, kind="note", actor="system")
    page = build_incident(incident(IncidentState.OPEN), (event,), {}, world.NOW, names=names)
    assert [one.text for one in page.events] == [read]
