# SPDX-License-Identifier: Apache-2.0
"""The demo, as a newcomer runs it: every shown number came out of the product's own path."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.app import open_installation
from pilothouse.app.control_room import open_control_room
from pilothouse.connectors.own_server import ask_health, read_server
from pilothouse.core.action.demotion import Act, ActState, Move
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.task import TaskResult, TaskState
from pilothouse.core.verdict.framework import NOT_WAIVABLE
from pilothouse.demo.furnish import INBOXES
from pilothouse.demo.traffic import (
    CHANGE_DAY,
    DAYS,
    FOREIGN_CURRENCY_FROM_DAY,
    INCIDENT_DAY,
    PHASE_DAY,
    PILOT_DAYS,
    PROMOTION_DAY,
    RECOVERED_DAY,
    REPAIR_DAY,
    SCOPED_DAY,
    STORY_DAYS,
    TODAY_MAILS,
)
from pilothouse.demo.triage_model import PINNED_MODEL, SWAPPED_MODEL
from pilothouse.ports.lake import TaskFilter
from pilothouse.runtime.runlog.recorder import open_recorder
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.act_log import ACTED, shown_acts
from pilothouse.workflows.ground.phase_log import phase_events
from pilothouse.workflows.people.signing import waivers_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]

AGENT = "ap-invoice-triage"
FOREVER_NS = 2**62

WAIVED_MAX = 13
"""Requirements that one gate of the story waives: what needs an outside system, the gateway or people's labels."""
PILOTHOUSE = [sys.executable, "-m", "pilothouse"]


def pilothouse(*arguments, timeout=1_500):
    return subprocess.run(
        [*PILOTHOUSE, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="module")
def home(demo_run):
    return demo_run[0]


@pytest.fixture(scope="module")
def demo(demo_run):
    return demo_run[1]


@pytest.fixture(scope="module")
def story(demo):
    return json.loads(demo.stdout)


@pytest.fixture(scope="module")
def began(home, demo):
    return datetime.fromisoformat(json.loads((home / "demo" / "demo.json").read_text())["began_at"])


@pytest.fixture(scope="module")
def mails(home, demo):
    return {
        mail["document"]: mail
        for name in INBOXES
        for mail in map(json.loads, (home / "demo" / f"inbox-{name}.jsonl").read_text().splitlines())
    }


@pytest.fixture(scope="module")
def tasks(home, demo):
    with open_installation(load_settings(home=home / "demo")) as installation:
        return installation.lake.window(TaskFilter(agent=AGENT, from_ns=0, to_ns=FOREVER_NS))


@pytest.fixture(scope="module")
def outcomes(home, demo):
    with open_installation(load_settings(home=home / "demo")) as installation:
        return {one.trace_id: one for one in installation.ledger.outcomes(AGENT, from_ns=0, to_ns=FOREVER_NS)}


@pytest.fixture(scope="module")
def erp(home, demo):
    connection = sqlite3.connect(f"file:{home / 'demo' / AGENT / 'erp.sqlite'}?mode=ro", uri=True)
    yield connection
    connection.close()


def day_of(task, began):
    return int((task.start_ns / 1e9 - began.timestamp()) // 86_400) + 1


def document_of(task):
    return json.loads(task.claim)["routed"]["document"]


def test_progress_is_told_day_by_day_on_stderr(demo):
    days = {*range(1, REPAIR_DAY + 1), *range(SCOPED_DAY, STORY_DAYS + 1)}
    assert all(f"day {day:2} " in demo.stderr for day in days)
    assert "Traceback" not in demo.stderr


def test_every_mail_became_one_complete_task_on_its_simulated_day(tasks, mails, began):
    assert all(task.state is TaskState.COMPLETE for task in tasks)
    assert Counter(day_of(task, began) for task in tasks) == Counter(mail["day"] for mail in mails.values())
    assert max(task.end_ns for task in tasks) <= datetime.now(UTC).timestamp() * 1e9


def test_every_task_has_model_tools_tokens_input_and_output(tasks):
    for task in tasks:
        assert set(task.models) <= {PINNED_MODEL, SWAPPED_MODEL}
        assert task.tools
        assert task.tokens.input > 0
        assert task.tokens.cache_read > 0
        assert task.tokens.reasoning > 0
        assert task.calls_without_usage == 0
        assert task.input_preview.startswith("Document: D-")
        assert '"document"' in task.output_preview


def test_the_pilot_looks_brilliant_and_still_proves_nothing(story, tasks, outcomes, began):
    pilot = [task for task in tasks if day_of(task, began) <= PILOT_DAYS]
    assert 40 <= len(pilot) <= 60
    assert {outcomes[task.trace_id].status for task in pilot} == {OutcomeStatus.VERIFIED}
    assert story["pilot"]["word"] == "NOT ENOUGH EVIDENCE"
    assert sum(row["contradicts"] for row in story["pilot"]["truth"]) == 0
    assert sum(row["agrees"] for row in story["pilot"]["truth"]) == len(pilot)


def test_the_model_changes_silently_on_its_day(tasks, began):
    served = {
        model: {day_of(task, began) for task in tasks if model in task.models}
        for model in (PINNED_MODEL, SWAPPED_MODEL)
    }
    assert served[PINNED_MODEL] == {*range(1, CHANGE_DAY), *range(SCOPED_DAY, STORY_DAYS + 1)}
    assert served[SWAPPED_MODEL] == set(range(CHANGE_DAY, DAYS + 1))


def test_the_story_has_three_versions_and_the_one_that_held_comes_back(tasks, began):
    served = {
        name: {task.version_digest for task in tasks if day_of(task, began) in days}
        for name, days in INBOXES.items()
    }
    assert all(len(versions) == 1 for versions in served.values())
    assert served["pilot"] == served["production"]
    assert served["scoped"] == served["phase-1"] == served["recovery"] == served["team"]
    assert len({task.version_digest for task in tasks}) == 3


def test_every_claim_was_checked_and_the_erp_says_the_same_when_asked_again(tasks, outcomes, erp):
    """Recomputed here with one query, independent of the charter's verifier."""
    claims = [task for task in tasks if task.result is TaskResult.COMPLETED]
    assert {task.trace_id for task in claims} == set(outcomes)
    rows = erp.execute(
        "SELECT r.document, r.queue, r.po_number, b.queue, b.po_number, b.document FROM routings r"
        " LEFT JOIN bookings b USING (document)"
    )
    truth = {row[0]: row[1:] for row in rows}
    for task in claims:
        routed = truth.get(document_of(task))
        if routed is None:
            expected = OutcomeStatus.CONTRADICTED
        elif routed[4] is None:
            expected = OutcomeStatus.UNVERIFIABLE
        else:
            expected = OutcomeStatus.VERIFIED if routed[:2] == routed[2:4] else OutcomeStatus.CONTRADICTED
        assert outcomes[task.trace_id].status is expected, task


def test_the_agent_lies_only_after_a_tool_failed(tasks, outcomes, began):
    lies = [
        task
        for task in tasks
        if task.trace_id in outcomes and "the ERP has no routing" in outcomes[task.trace_id].found
    ]
    assert len(lies) >= 5
    assert all(task.tool_errors > 0 for task in lies)
    assert all(CHANGE_DAY <= day_of(task, began) <= DAYS for task in lies)


def test_messy_traffic_is_worse_and_the_other_model_worse_still(tasks, outcomes, began):
    def rate(first, last):
        known = [
            outcomes[task.trace_id].status is OutcomeStatus.VERIFIED
            for task in tasks
            if task.trace_id in outcomes and first <= day_of(task, began) <= last
        ]
        return sum(known) / len(known)

    pilot, pinned, swapped = rate(1, PILOT_DAYS), rate(PILOT_DAYS + 1, CHANGE_DAY - 1), rate(CHANGE_DAY, DAYS)
    assert pilot == 1.0
    assert 0.80 < pinned < 0.95
    assert swapped < pinned - 0.05


def test_an_undeclared_host_appears_with_the_foreign_currency(tasks, began):
    abroad = [task for task in tasks if any("fx-rates.example" in host for host in task.hosts)]
    assert abroad
    assert all("convert_currency" in task.tools for task in abroad)
    assert min(day_of(task, began) for task in abroad) >= FOREIGN_CURRENCY_FROM_DAY


def test_some_work_is_escalated_and_some_has_no_type(tasks, began):
    tasks = [task for task in tasks if day_of(task, began) <= DAYS]
    escalated = [task for task in tasks if task.result is TaskResult.ESCALATED]
    assert 0.02 < len(escalated) / len(tasks) < 0.15
    assert 0.01 < sum(task.task_type == "undeclared" for task in tasks) / len(tasks) < 0.08


def typed(story, *words):
    """The commands that begin with some words, in order, each with its day."""
    begins = " ".join(("$ pilothouse", *words))
    return [step["day"] for step in story["story"] if step["text"].startswith(begins)]


def test_the_verdict_is_no_go_with_three_findings_from_different_requirements(story):
    assert story["failed"]["word"] == "NO-GO"
    assert len(story["findings"]) == 3
    joined = " ".join(story["findings"])
    assert "fx-rates.example" in joined
    assert SWAPPED_MODEL in joined


def test_the_story_is_told_in_chapters_by_commands_that_anybody_can_type(story):
    chapters = [step["text"].split(":")[0].split(",")[0] for step in story["story"] if step["is_chapter"]]
    assert chapters == [
        "The pilot", "Real mail", "Remediation", "Phase 1", "Incident", "Rollback", "Recovered", "Promotion",
        "Behind the gateway",
    ]  # fmt: skip
    assert typed(story, "verdict") == [DAYS, REPAIR_DAY, INCIDENT_DAY, RECOVERED_DAY]
    assert len(typed(story, "evidence attest")) >= 10
    assert typed(story, "gate") == typed(story, "drill owner-powers") == [REPAIR_DAY]
    assert typed(story, "phase rollback") == typed(story, "resume") == [INCIDENT_DAY]
    assert typed(story, "phase request") == [PHASE_DAY, PROMOTION_DAY]
    assert typed(story, "watch tick") == [SCOPED_DAY - 1, PHASE_DAY, RECOVERED_DAY, PROMOTION_DAY]
    assert typed(story, "phase approve") == [PHASE_DAY, PROMOTION_DAY, PROMOTION_DAY]
    assert typed(story, "load") == typed(story, "gaps audit") == [PROMOTION_DAY]
    assert typed(story, "incident review") == [SCOPED_DAY - 1, RECOVERED_DAY, RECOVERED_DAY]
    assert typed(story, "dataset tail") == [PHASE_DAY, PROMOTION_DAY]
    assert typed(story, "drill correction") == [REPAIR_DAY, INCIDENT_DAY]
    assert typed(story, "drill game-day") == [PROMOTION_DAY]


def test_the_days_mail_is_recorded_and_one_run_is_played_again_with_the_prompt_of_the_incident(home, demo):
    with open_recorder(load_settings(home=home / "demo").runs_folder) as log:
        runs = log.runs(agent=AGENT, limit=100)
    assert len(runs) == TODAY_MAILS
    assert {(one.identity, one.replayable, one.lost) for one in runs} == {("traceparent", "model_side", 0)}
    _before, same, other = demo.stderr.split("$ pilothouse replay ")[1:]
    assert "strict, calls, changed: nothing" in same
    assert "fork, calls, changed: prompt" in other
    assert "call 1: search_po(" in other, (
        "the model looks no order up any more, it takes the supplier's first"
    )
    assert "(recorded: find_po(" in other


def test_what_the_sponsor_waived_is_said_and_never_what_no_signature_lets_pass(story, home):
    with open_installation(load_settings(home=home / "demo")) as installation:
        waivers = waivers_of(installation.ledger, AGENT)
    assert waivers
    assert not {waiver.requirement for waiver in waivers} & NOT_WAIVABLE
    assert {waiver.signer for waiver in waivers} == {"vp"}
    by_day = Counter(waiver.signed_at for waiver in waivers)
    assert max(by_day.values()) <= WAIVED_MAX, waivers


def test_phase_1_began_anew_after_the_incident_and_phase_2_was_entered_by_two_people_four_weeks_later(
    home, demo
):
    with open_installation(load_settings(home=home / "demo")) as installation:
        events = phase_events(installation.ledger, AGENT)
    assert [(event.phase, event.move.value) for event in events] == [
        ("1", "entered"), ("1", "rolled back"), ("2", "entered"),
    ]  # fmt: skip
    assert [event.by for event in events] == [("dana",), ("sam",), ("dana", "vp")]
    assert events[2].at - events[1].at >= timedelta(weeks=4)
    assert events[2].verdict_digest


def test_gate_2_was_opened_by_evidence_of_its_own_kinds(home, demo):
    with open_installation(load_settings(home=home / "demo")) as installation:
        held = {one.kind for one in installation.ledger.evidence(AGENT) if one.passed}
        (load,) = (one for one in installation.ledger.evidence(AGENT) if one.kind == "load.difference")
    assert held >= {
        "inputs.analysed",
        "inputs.tail",
        "inputs.new_cluster",
        "drill.game-day",
        "alert.delay",
        "correction",
    }
    assert held >= {"canary.trace", "gaps.audited", "review.held", "dataset.distance", "drill.page"}
    assert (load.n, load.low > -5) == (100, True)


def test_the_shortcut_around_the_gate_was_paused_by_its_verdict_and_told_to_people(
    home, demo, began, outcomes, tasks
):
    with open_installation(load_settings(home=home / "demo")) as installation:
        acts = [
            Act.model_validate_json(row.document) for row in installation.ledger.decisions(AGENT, kind=ACTED)
        ]
        assert shown_acts(installation.ledger, AGENT) == (), (
            "phase 2 begins with nothing left of the incident"
        )
    with open_control_room(load_settings(home=home / "demo")) as room:
        assert [one.name for one in room.incidents.incidents(agent=AGENT, active=True)] == []
        assert room.controls.read().pause_of(AGENT) is None, "nor is it paused by an older one"
    assert {act.move for act in acts} >= {Move.PAUSE, Move.ROLL_BACK}
    done = [
        act for act in acts if act.move in {Move.PAUSE, Move.ROLL_BACK} and act.state is not ActState.BEGUN
    ]
    assert done
    assert all(act.incident for act in done)
    shortcut = [task for task in tasks if day_of(task, began) == INCIDENT_DAY]
    found = Counter(outcomes[task.trace_id].status for task in shortcut)
    assert found[OutcomeStatus.CONTRADICTED] > found[OutcomeStatus.VERIFIED]


def test_the_last_verdict_stands_in_phase_2_with_its_conditions(story):
    assert story["verdict"]["phase"] == "Phase 2"
    assert story["verdict"]["word"] == "GO WITH CONDITIONS"
    assert sum(row["contradicts"] for row in story["verdict"]["truth"]) == 0


def test_the_verdict_command_says_the_same_on_the_demos_folder(home, story):
    done = pilothouse("verdict", AGENT, "--home", str(home / "demo"), "--json")
    # What is waived keeps its status, so the exit status still says that something is breached or missing.
    assert done.returncode in {1, 3}, done.stderr
    assert json.loads(done.stdout)["word"] == story["verdict"]["word"]


def test_the_report_is_an_html_page_about_the_agent(story):
    report = Path(story["report"]).read_text(encoding="utf-8")
    assert AGENT in report
    assert "INT-1" in report


def test_keep_judges_the_same_run_again_without_working(home, story, tasks):
    done = pilothouse("demo", "--home", str(home), "--json", "--keep")
    assert done.returncode == 0, done.stderr
    assert "day  1" not in done.stderr
    kept = json.loads(done.stdout)
    assert kept["verdict"]["truth"] == story["verdict"]["truth"]


def test_up_demo_serves_the_same_data(home, demo):
    command = [*PILOTHOUSE, "up", "--demo", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            url = None
            while url is None and time.monotonic() < deadline and process.poll() is None:
                noted = read_server(home / "demo")
                url = noted.url if noted and ask_health(noted.url) else None
                time.sleep(0.1)
            assert url, process.stderr.read()
            refused = pilothouse("demo", "--home", str(home))
            assert refused.returncode != 0
            assert f"a server at {url} is using" in refused.stderr
            with urllib.request.urlopen(f"{url}/") as page:
                assert AGENT in page.read().decode()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path):
    mine = tmp_path / "demo" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep me")
    done = pilothouse("demo", "--home", str(tmp_path))
    assert done.returncode == 2
    assert "was not made by the demo" in done.stderr
    assert mine.read_text() == "keep me"


def test_the_simulated_days_end_now(began):
    ended = began + timedelta(days=STORY_DAYS)
    assert timedelta() <= datetime.now(UTC) - ended < timedelta(minutes=60)
