# SPDX-License-Identifier: Apache-2.0
"""One agent is judged from charter, telemetry and ledger, and the verdict is frozen."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from source_tree import ROOT

from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Basis, Evidence, Scope, Source
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.verdict.verdict import Reason, Status
from pilothouse.errors import CharterInvalid, LimitExceeded, UsageError
from pilothouse.ports.lake import TaskFilter
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations.verify import verify_due
from pilothouse.workflows.traces.reconcile import GAP_KIND, INSTALLATION
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

NOW = EXAMPLE_NOW
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
AGENT = "ap-invoice-triage"


@pytest.fixture
def file(tmp_path):
    target = tmp_path / "repository"
    shutil.copytree(ROOT / "tests" / "golden" / "charters", target)
    (target / "verifiers").mkdir()
    (target / "verifiers" / "erp.py").write_text(
        "def routing_matches(task):\n    return True\n", encoding="utf-8"
    )
    return target / "ap-invoice-triage.yaml"


@pytest.fixture
def installation(tmp_path, file):
    ledger = MemoryLedger()
    accept_file(ledger, file, NOW - 10 * DAY, actor="test")
    return Installation(
        settings=load_settings({}, home=tmp_path / "home"),
        clock=FixedClock(),
        lake=MemoryLake(),
        ledger=ledger,
    )


def ns(moment):
    return int(moment.timestamp()) * 1_000_000_000


def add_tasks(installation, count, *, first=0, at=NOW - HOUR, status=OutcomeStatus.VERIFIED, **fields):
    fields = {"version_digest": "v1", **fields}
    tasks = [
        example_task(
            trace_id=f"{first + number:032x}",
            start_ns=ns(at) + number,
            end_ns=ns(at) + number + 10**9,
            **fields,
        )
        for number in range(count)
    ]
    installation.lake.add(tasks)
    if status is not None:
        installation.ledger.save_outcomes(
            [
                Outcome(
                    trace_id=task.trace_id,
                    agent=task.agent,
                    task_type=task.task_type,
                    version_digest=task.version_digest,
                    task_start_ns=task.start_ns,
                    claim=task.claim,
                    status=status,
                    found="",
                    critical=None,
                    verifier="v",
                    verified_at=at,
                )
                for task in tasks
            ]
        )


def item(found, requirement, *, task_type=None, part=""):
    (wanted,) = [one for one in found.verdict.requirements if one.requirement == requirement]
    return next(
        one
        for one in wanted.items
        if one.scope.task_type == task_type and (not part or one.scope.part == part)
    )


def test_claims_against_the_system_of_record_decide_and_are_counted(installation):
    add_tasks(installation, 930)
    add_tasks(installation, 41, first=1000, status=OutcomeStatus.CONTRADICTED)
    add_tasks(installation, 20, first=2000, status=OutcomeStatus.UNVERIFIABLE)
    add_tasks(installation, 9, first=3000, status=None)
    found = assess(installation, AGENT, NOW)
    assert found.truth[0].line == (
        "said done 1,000 · system of record agrees 930 · contradicts 41 · cannot tell 29"
    )
    lying = item(found, "MON-7", task_type="po_invoice", part="contradicted")
    assert lying.status is Status.BREACHED
    assert (lying.n, lying.bound) == (971, 0.02)
    assert found.verdict.status is Status.BREACHED
    assert found.verdict.version == "v1"


def test_an_honest_agent_is_still_not_enough_evidence_for_production(installation):
    add_tasks(installation, 1000)
    found = assess(installation, AGENT, NOW)
    assert item(found, "MON-7", task_type="po_invoice", part="contradicted").status is Status.HOLDS
    assert found.verdict.status is Status.NO_EVIDENCE
    assert found.verdict.word == "NOT ENOUGH EVIDENCE"


def test_without_a_single_task_nothing_holds_and_the_note_says_how_to_begin(installation):
    found = assess(installation, AGENT, NOW)
    assert item(found, "MON-1", task_type="po_invoice", part="rate").reason is Reason.MISSING
    assert any("pilothouse run" in note for note in found.verdict.notes)
    assert [count.said_done for count in found.truth] == [0, 0, 0]


def test_telemetry_under_another_name_is_pointed_out(installation):
    add_tasks(installation, 3, agent="invoice-triage", status=None)
    found = assess(installation, AGENT, NOW)
    assert any("'invoice-triage'" in note and "gen_ai.agent.name" in note for note in found.verdict.notes)


def test_a_task_type_that_vanished_from_traffic_is_stale_and_not_missing(installation):
    add_tasks(installation, 500)
    add_tasks(installation, 500, first=1000, task_type="credit_note", at=NOW - 40 * DAY)
    found = assess(installation, AGENT, NOW)
    vanished = item(found, "MON-1", task_type="credit_note", part="rate")
    assert (vanished.status, vanished.reason) == (Status.NO_EVIDENCE, Reason.STALE)
    assert round(vanished.age_days) == 40
    assert item(found, "MON-1", task_type="non_po_invoice", part="rate").reason is Reason.MISSING


def test_when_everything_is_old_the_note_says_since_when(installation):
    add_tasks(installation, 5, at=NOW - 40 * DAY)
    found = assess(installation, AGENT, NOW)
    assert any(
        note.startswith("No task arrived since 11 Oct 2026, 12:00 UTC") for note in found.verdict.notes
    )


def test_the_latest_serving_version_is_judged_and_the_older_one_does_not_count_for_it(installation):
    add_tasks(installation, 500, at=NOW - 2 * DAY)
    add_tasks(installation, 20, first=1000, version_digest="v2")
    found = assess(installation, AGENT, NOW)
    assert found.verdict.version == "v2"
    assert item(found, "MON-1", task_type="po_invoice", part="rate").n == 20
    assert found.truth[0].said_done == 20


def test_easy_tasks_of_a_test_bench_do_not_cover_what_production_does(installation):
    """2,000 good ones beside 100 of which a third fails proved a floor of 95 %, and a record that agrees with all of them."""
    add_tasks(installation, 2_000, environment="staging")
    add_tasks(installation, 67, first=5_000, environment="production")
    add_tasks(installation, 33, first=6_000, environment="production", result=TaskResult.FAILED, status=None)
    add_tasks(installation, 30, first=7_000, environment="staging", status=OutcomeStatus.CONTRADICTED)
    found = assess(installation, AGENT, NOW, freeze=False)
    rate = item(found, "MON-1", task_type="po_invoice", part="rate")
    assert (rate.status, rate.n) == (Status.BREACHED, 100)
    contradicted = item(found, "MON-7", task_type="po_invoice", part="contradicted")
    assert (contradicted.n, contradicted.value) == (67, 0.0)
    assert any("'staging' (2,030)" in note for note in found.verdict.notes)


def test_a_candidate_that_is_tried_in_staging_is_not_the_version_in_force(installation):
    """It was judged instead of the one that serves, and its tasks breached EVAL-3 because no gate had seen it yet."""
    gate = Evidence(
        kind="release.verdict",
        agent=AGENT,
        binds={"version": "v1"},
        window_from=NOW - DAY,
        window_to=NOW - DAY,
        n=1,
        passed=True,
        source=Source(command="pilothouse gate"),
        recorded_at=NOW - DAY,
    )
    installation.ledger.add_evidence([gate])
    add_tasks(installation, 60, environment="production")
    add_tasks(
        installation, 3, first=900, at=NOW - HOUR / 2, environment="staging", version_digest="v2", status=None
    )
    found = assess(installation, AGENT, NOW, freeze=False)
    assert found.verdict.version == "v1"
    assert item(found, "EVAL-3", part="traffic").status is Status.HOLDS


@pytest.mark.parametrize("named", ["v1", "v2"])
def test_tasks_that_a_stand_in_answered_prove_nothing_of_the_pin_and_are_counted(installation, named):
    """Its own 20 tasks prove nothing yet, and 2,000 of another model made them hold; named by their version, they took its place."""
    add_tasks(installation, 20)
    before = assess(installation, AGENT, NOW, freeze=False)
    late = {"at": NOW - HOUR / 2, "version_digest": named, "models": ("acme-medium-2026-02-01",)}
    add_tasks(installation, 2_000, first=5_000, **late)
    found = assess(installation, AGENT, NOW, freeze=False)
    assert found.verdict.version == "v1"
    for requirement, part in (("MON-1", "rate"), ("MON-7", "contradicted")):
        rows = [item(one, requirement, task_type="po_invoice", part=part) for one in (before, found)]
        assert rows[0] == rows[1]
        assert rows[1].n == 20
    assert found.truth == before.truth
    assert any(
        note.startswith(
            "Stand-ins of the model pin answered in 2,000 of 2,020 tasks: acme-medium-2026-02-01 (2,000)."
        )
        for note in found.verdict.notes
    )
    assert not any("side by side" in note for note in found.verdict.notes)


def test_what_was_the_pin_of_the_version_before_is_no_stand_in_of_this_one(installation):
    old = {"models": ("acme-medium-2026-02-01",), "version_digest": "v0", "at": NOW - 2 * HOUR}
    add_tasks(installation, 30, first=9_000, **old)
    add_tasks(installation, 20)
    found = assess(installation, AGENT, NOW, freeze=False)
    assert found.verdict.version == "v1"
    assert not any("Stand-ins" in note for note in found.verdict.notes)


def test_where_only_stand_ins_answered_the_pinned_version_is_judged_and_has_no_evidence(installation):
    add_tasks(installation, 2_000, models=("acme-medium-2026-02-01",))
    found = assess(installation, AGENT, NOW, freeze=False)
    assert found.verdict.version == "v1"
    rate = item(found, "MON-1", task_type="po_invoice", part="rate")
    assert (rate.status, rate.reason) == (Status.NO_EVIDENCE, Reason.MISSING)


def test_an_agent_of_more_than_a_million_tasks_in_four_weeks_has_a_verdict(installation, monkeypatch):
    """40,000 tasks a day are within the plans of the sources; only the volume looks back four weeks, and it is counted."""
    add_tasks(installation, 200, environment="production")
    add_tasks(installation, 50, first=3_000, at=NOW - 20 * DAY, environment="production")
    add_tasks(
        installation, 9, first=4_000, at=NOW - 20 * DAY, environment="production", result=TaskResult.FAILED
    )
    add_tasks(installation, 9, first=5_000, at=NOW - 20 * DAY, environment="staging")
    whole = assess(installation, AGENT, NOW, freeze=False)
    window = installation.lake.window

    def weeks(wanted):
        if wanted.to_ns - wanted.from_ns > 7 * 86_400 * 10**9:
            raise LimitExceeded(
                "the window holds more than 1000000 tasks", remedy="Ask for a shorter window."
            )
        return window(wanted)

    monkeypatch.setattr(installation.lake, "window", weeks)
    counted = assess(installation, AGENT, NOW, freeze=False)
    assert counted.verdict == whole.verdict
    assert item(counted, "PROD-1", part="volume").n == 250


def test_an_agent_of_millions_of_tasks_a_week_is_judged_by_the_newest_that_are_read_and_says_so(
    installation, monkeypatch
):
    add_tasks(installation, 400, at=NOW - 5 * DAY, result=TaskResult.FAILED, status=None)
    add_tasks(installation, 2_000, first=3_000, at=NOW - DAY)
    window = installation.lake.window

    def two_days(wanted):
        if wanted.to_ns - wanted.from_ns > 2 * 86_400 * 10**9:
            raise LimitExceeded(
                "the window holds more than 1000000 tasks", remedy="Ask for a shorter window."
            )
        return window(wanted)

    monkeypatch.setattr(installation.lake, "window", two_days)
    found = assess(installation, AGENT, NOW, freeze=False)
    rate = item(found, "MON-1", task_type="po_invoice", part="rate")
    assert (rate.n, rate.window_to - rate.window_from) == (2_000, timedelta(hours=42))
    (note,) = [one for one in found.verdict.notes if "read at once" in one]
    assert "of the last 42 hours, 2,000 tasks; critical mistakes count for all of the 7 days" in note
    assert item(found, "MON-2", task_type="po_invoice", part="critical").status is Status.HOLDS

    (failed, *_) = installation.lake.tasks(TaskFilter(result="failed"), limit=1).tasks
    mistake = Outcome(
        trace_id=failed.trace_id,
        agent=failed.agent,
        task_type=failed.task_type,
        version_digest=failed.version_digest,
        task_start_ns=failed.start_ns,
        claim=None,
        status=OutcomeStatus.CONTRADICTED,
        found="paid twice",
        critical="paid_twice",
        verifier="v",
        verified_at=NOW - 4 * DAY,
    )
    installation.ledger.save_outcomes([mistake])
    found = assess(installation, AGENT, NOW, freeze=False)
    assert item(found, "MON-2", task_type="po_invoice", part="critical").status is Status.BREACHED


def test_a_window_of_a_year_does_not_drown_the_month_that_failed(installation, file):
    """Whoever lengthens the window after a bad month had a floor proved by the good ones before it."""
    text = file.read_text(encoding="utf-8").replace("window: 7d}", "window: 365d}")
    file.write_text(text, encoding="utf-8")
    accept_file(installation.ledger, file, NOW - HOUR, actor="test")
    add_tasks(installation, 2_000, at=NOW - 60 * DAY)
    add_tasks(installation, 60, first=5_000, at=NOW - 2 * DAY)
    add_tasks(installation, 40, first=6_000, at=NOW - DAY, result=TaskResult.FAILED, status=None)
    found = assess(installation, AGENT, NOW, freeze=False)
    rate = item(found, "MON-1", task_type="po_invoice", part="rate")
    assert (rate.status, rate.n) == (Status.BREACHED, 100)
    assert any("longer than 28 days" in note for note in found.verdict.notes)


def test_a_version_that_does_most_of_the_work_beside_the_judged_one_is_named(installation):
    """A tenth of good tasks, the last among them, is judged; nine tenths of which half fail were in no word of it."""
    add_tasks(installation, 100, at=NOW - 2 * HOUR, version_digest="a" * 64)
    add_tasks(installation, 450, first=1_000, version_digest="b" * 64)
    add_tasks(installation, 450, first=2_000, version_digest="b" * 64, result=TaskResult.FAILED, status=None)
    add_tasks(installation, 20, first=5_000, at=NOW - HOUR / 2, version_digest="a" * 64)
    found = assess(installation, AGENT, NOW, freeze=False)
    assert found.verdict.version == "a" * 64
    assert [note for note in found.verdict.notes if "side by side" in note] == [
        "Versions serve side by side: this verdict speaks of aaaaaaa (120 tasks of the last day) and not of bbbbbbb (900)."
    ]


def test_a_version_that_was_replaced_serves_beside_none(installation):
    add_tasks(installation, 100, at=NOW - 2 * HOUR, version_digest="a" * 64)
    add_tasks(installation, 10, first=1_000, version_digest="b" * 64)
    add_tasks(installation, 5, first=2_000, at=NOW - 3 * DAY, version_digest="b" * 64)
    found = assess(installation, AGENT, NOW, freeze=False)
    assert not any("side by side" in note for note in found.verdict.notes)


def test_tasks_of_other_environments_alone_are_no_tasks_and_it_is_said_why(installation):
    add_tasks(installation, 60, environment="prod")
    found = assess(installation, AGENT, NOW, freeze=False)
    assert {one.status for one in found.verdict.requirements} <= {Status.NO_EVIDENCE, Status.BREACHED}
    assert any("'prod' (60)" in note and "--environment" in note for note in found.verdict.notes)


def test_a_rejected_charter_is_noted_and_the_one_in_force_judges(installation, file):
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("agent: ", "onwer: dana\nagent: ", 1), encoding="utf-8")
    with pytest.raises(CharterInvalid):
        accept_file(installation.ledger, file, NOW - HOUR, actor="test")
    found = assess(installation, AGENT, NOW)
    assert found.in_force.number == 1
    assert any(note.startswith("Charter 2 rejected") for note in found.verdict.notes)


@pytest.mark.parametrize(
    ("states", "is_noted"),
    [
        ((("raised", timedelta(days=3)),), True),
        ((("raised", timedelta(days=3)), ("closed", timedelta(days=2))), True),
        ((("raised", timedelta(days=90)), ("closed", timedelta(days=89))), False),
        ((("raised", timedelta(days=90)),), True),
        ((("raised", -HOUR),), False),
    ],
)
def test_a_verdict_says_that_telemetry_of_its_window_did_not_add_up(installation, states, is_noted):
    add_tasks(installation, 40)
    for state, ago in states:
        document = json.dumps({"state": state, "gap": 7})
        installation.ledger.record(
            kind=GAP_KIND, agent=INSTALLATION, at=NOW - ago, actor="t", document=document
        )
    notes = assess(installation, AGENT, NOW).verdict.notes
    assert any("7 acknowledged items were in no table" in note for note in notes) is is_noted


def test_the_verdict_is_frozen_with_its_notes_and_equal_moments_give_equal_bytes(installation):
    add_tasks(installation, 100)
    found = assess(installation, AGENT, NOW, notes=["a note"])
    stored = installation.ledger.latest_verdict(AGENT)
    assert json.loads(stored)["notes"] == ["a note"]
    assert json.loads(stored)["word"] == found.verdict.word
    again = assess(installation, AGENT, NOW, notes=["a note"])
    assert again == found
    assert (
        hashlib.sha256(installation.ledger.latest_verdict(AGENT).encode()).digest()
        == hashlib.sha256(stored.encode()).digest()
    )


def test_a_past_moment_is_judged_by_the_tasks_until_then_and_leaves_no_verdict(installation):
    add_tasks(installation, 100, at=NOW - 3 * DAY)
    add_tasks(installation, 50, first=1000, at=NOW - HOUR)
    past = assess(installation, AGENT, NOW - DAY, freeze=False)
    assert past.truth[0].said_done == 100
    assert past.verdict.as_of == NOW - DAY
    assert installation.ledger.latest_verdict(AGENT) is None


def test_a_moment_before_the_first_charter_is_judged_by_the_first_one_and_says_so(installation):
    past = assess(installation, AGENT, NOW - 20 * DAY, freeze=False)
    assert any("No charter was in force at that moment" in note for note in past.verdict.notes)


def test_the_charter_of_the_moment_judges_not_a_later_one(installation, file):
    add_tasks(installation, 200, at=NOW - 3 * DAY)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("completion: {min: 0.95}", "completion: {min: 0.99}", 1), encoding="utf-8")
    accept_file(installation.ledger, file, NOW - HOUR, actor="test")
    bounds = [
        item(
            assess(installation, AGENT, at, freeze=False), "MON-1", task_type="po_invoice", part="rate"
        ).bound
        for at in (NOW - DAY, NOW)
    ]
    assert bounds == [0.95, 0.99]


def test_signed_and_imported_records_of_the_ledger_count_from_when_they_were_recorded(installation):
    record = Evidence(
        kind="attested.own-5",
        agent=AGENT,
        scope=Scope(part="thresholds by vp"),
        window_from=NOW - DAY,
        window_to=NOW - DAY,
        n=1,
        passed=True,
        source=Source(command="pilothouse evidence attest OWN-5"),
        basis=Basis.ATTESTED,
        signer="vp",
        recorded_at=NOW - DAY,
    )
    installation.ledger.add_evidence([record])

    def deciding(at):
        found = assess(installation, AGENT, at, freeze=False).verdict
        own = next(one for one in found.requirements if one.requirement == "OWN-5")
        return [one.evidence for one in own.items if one.scope.part == "thresholds by vp"]

    assert deciding(NOW) == [evidence_digest(record)]
    assert deciding(NOW - 2 * DAY) == [None]


def test_tasks_that_say_nothing_are_pointed_out(installation):
    add_tasks(installation, 4, result=TaskResult.UNKNOWN, claim=None, status=None)
    found = assess(installation, AGENT, NOW)
    assert any(note.startswith("4 of 4 tasks say neither") for note in found.verdict.notes)


def test_an_agent_without_a_charter_is_a_usage_error_with_the_command(installation):
    with pytest.raises(UsageError, match="no charter is in force for 'refunds'") as caught:
        assess(installation, "refunds", NOW)
    assert "pilothouse init" in caught.value.remedy


def test_a_verifier_that_cannot_be_loaded_is_noted_once_with_its_line(installation, file):
    (file.parent / "verifiers" / "erp.py").write_text("x = 1\ndef broken(:\n", encoding="utf-8")
    add_tasks(installation, 3, status=None)
    notes = [note for note in assess(installation, AGENT, NOW).verdict.notes if "SyntaxError" in note]
    assert len(notes) == 1
    assert "erp.py:2" in notes[0]


def test_a_verifier_that_fails_is_noted_with_how_often_and_why(installation, file):
    (file.parent / "verifiers" / "erp.py").write_text(
        "def routing_matches(task):\n    raise ConnectionError('erp is away')\n", encoding="utf-8"
    )
    add_tasks(installation, 3, status=None)
    verify_due(installation, NOW)
    notes = assess(installation, AGENT, NOW).verdict.notes
    assert any("failed on 3 claims" in note and "ConnectionError: erp is away" in note for note in notes)


def test_a_critical_mistake_that_the_charter_does_not_list_is_noted(installation):
    add_tasks(installation, 1, status=None)
    (task,) = installation.lake.tasks(TaskFilter(), limit=1).tasks
    installation.ledger.save_outcomes(
        [
            Outcome(
                trace_id=task.trace_id,
                agent=AGENT,
                task_type=task.task_type,
                version_digest="v1",
                task_start_ns=task.start_ns,
                claim=None,
                status=OutcomeStatus.CONTRADICTED,
                found="",
                critical="lost_mail",
                verifier="v",
                verified_at=NOW,
            )
        ]
    )
    assert any("'lost_mail'" in note for note in assess(installation, AGENT, NOW).verdict.notes)


def stricter(file):
    text = file.read_text(encoding="utf-8")
    assert "quality: {min: 0.95" in text
    file.write_text(text.replace("quality: {min: 0.95", "quality: {min: 0.97"), encoding="utf-8")


@pytest.mark.parametrize("ahead", [timedelta(seconds=30), HOUR])
def test_the_present_is_judged_by_the_charter_that_is_in_force_for_all(installation, file, ahead):
    """A page judges at the full minute, and whoever accepted the charter may have a clock that is ahead."""
    stricter(file)
    accept_file(installation.ledger, file, NOW + ahead, actor="test")
    minute = NOW - timedelta(seconds=40)
    found = assess(installation, AGENT, minute, freeze=False)
    assert found.in_force == installation.ledger.charter(AGENT)
    assert found.in_force.number == 2
    assert not any("No charter was in force" in note for note in found.verdict.notes)


def test_a_past_moment_is_judged_by_the_charter_of_that_time(installation, file):
    stricter(file)
    accept_file(installation.ledger, file, NOW - HOUR, actor="test")
    assert assess(installation, AGENT, NOW - 2 * HOUR, freeze=False).in_force.number == 1
    assert assess(installation, AGENT, NOW - HOUR, freeze=False).in_force.number == 2


def test_after_the_verifier_is_edited_what_the_old_one_confirmed_counts_no_more(installation, file):
    add_tasks(installation, 400)
    asked = [
        replace(one, verifier="verifiers.erp:routing_matches@sha256:" + "0" * 64)
        for one in installation.ledger.outcomes(AGENT, from_ns=0, to_ns=ns(NOW))
    ]
    installation.ledger._outcomes.update({one.trace_id: one for one in asked})
    before = assess(installation, AGENT, NOW, freeze=False)
    assert item(before, "MON-7", task_type="po_invoice", part="contradicted").status is Status.HOLDS
    text = file.read_text(encoding="utf-8").replace("verifiers.erp:routing_matches", "verifiers.erp:says_yes")
    file.write_text(text, encoding="utf-8")
    accept_file(installation.ledger, file, NOW, actor="test")
    after = assess(installation, AGENT, NOW, freeze=False)
    for requirement, part in (("MON-7", "contradicted"), ("MON-2", "rate"), ("MON-2", "critical")):
        found = item(after, requirement, task_type="po_invoice", part=part)
        assert found.status is Status.NO_EVIDENCE, (requirement, part)
    (truth, *_) = after.truth
    assert (truth.agrees, truth.not_asked) == (0, 400)
