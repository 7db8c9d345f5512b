# SPDX-License-Identifier: Apache-2.0
"""The watch counts each finished day once, buys labels on a warning, opens incidents on alarms, writes the evidence."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from control_rooms import AGENT, Hands, control_room_at
from rich.console import Console

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.core.evidence.stand_in import stand_ins_of
from pilothouse.core.evidence.task import CostState, Task, TaskResult
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.interfaces.cli.watch_text import show_watch
from pilothouse.ledger.feedback import SqlFeedback
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ports.feedback import Feedback, FeedbackKind
from pilothouse.ports.lake import TaskFilter
from pilothouse.testing import example_task
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.shows.agent_pages import show_watch as watch_page
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.watch import drift as watch_drift
from pilothouse.workflows.watch import effects as watch_effects
from pilothouse.workflows.watch import tick as watch_tick
from pilothouse.workflows.watch import whole as watch_whole
from pilothouse.workflows.watch.count import DayCounter
from pilothouse.workflows.watch.days import DayReader
from pilothouse.workflows.watch.effects import Settled, settle_all
from pilothouse.workflows.watch.judge import JUDGE
from pilothouse.workflows.watch.room import WatchRoom
from pilothouse.workflows.watch.status import watch_status
from pilothouse.workflows.watch.tick import advance_all, run_watch

MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)
VERSION = "v1"


@pytest.fixture
def clock():
    return Hands(MIDNIGHT)


@pytest.fixture
def watch(tmp_path, clock):
    with control_room_at(tmp_path, clock) as room:
        database = room.installation.ledger.database
        yield WatchRoom(
            room=room,
            queue=SqlReviewQueue(database),
            said=SqlFeedback(database),
            directory=Directory(room.installation.ledger),
        )


def live(
    watch,
    clock,
    days,
    *,
    per_day=40,
    failed=0.0,
    contradicted=0.0,
    cost="0.10",
    tick=True,
    confidence=None,
    turns=None,
):
    """Let days of po_invoice tasks pass, each followed by the tick of its night; return what the ticks did."""
    done = []
    for _ in range(days):
        start, tasks, outcomes = clock.moment, [], []
        for number in range(per_day):
            begin = int((start + timedelta(minutes=20 * number % 1400)).timestamp()) * 1_000_000_000
            bad = number < failed * per_day
            task = Task(
                trace_id=f"{start:%Y%m%d}{number:024x}",
                agent=AGENT,
                task_type="po_invoice",
                version_digest=VERSION,
                environment="production",
                result=TaskResult.FAILED if bad else TaskResult.COMPLETED,
                error_type="timeout" if bad else None,
                start_ns=begin,
                end_ns=begin + 10**9,
                duration_ns=10**9,
                cost_usd=Decimal(cost),
                cost_known_usd=Decimal(cost),
                cost_state=CostState.KNOWN,
                confidence=confidence,
                conversation=None if turns is None else f"{start:%Y%m%d}-{number // turns}",
            )
            tasks.append(task)
            if not bad:
                wrong = number >= (1 - contradicted) * per_day
                outcomes.append(
                    Outcome(
                        trace_id=task.trace_id, agent=AGENT, task_type="po_invoice", version_digest=VERSION,
                        task_start_ns=begin, claim=None, found="", critical=None, verifier="v", attempts=1,
                        status=OutcomeStatus.CONTRADICTED if wrong else OutcomeStatus.VERIFIED, verified_at=start,
                    )
                )  # fmt: skip
        watch.room.installation.lake.add(tasks)
        watch.room.installation.ledger.save_outcomes(outcomes)
        clock.moment = start + timedelta(days=1)
        if tick:
            done.append(run_watch(watch, clock.moment + timedelta(minutes=65)))
    return done


def row(watch, clock, metric, task_type="po_invoice"):
    charter = watch.directory.charter(AGENT)
    found = watch_status(watch.room.watch, charter, clock.moment.date())
    return next(one for one in found.detectors if (one.metric, one.task_type) == (metric, task_type))


def verdicts(watch, clock, requirement, part):
    charter = watch.directory.charter(AGENT)
    records = watch.room.installation.ledger.evidence(AGENT)
    verdict = decide(charter, records, clock.moment + timedelta(hours=2), version=VERSION)
    items = next(one for one in verdict.requirements if one.requirement == requirement).items
    return [one for one in items if part in (one.scope.part or "")]


def test_a_day_is_counted_once_whoever_ticks(watch, clock):
    first = live(watch, clock, 3)
    assert [one.days for one in first] == [2, 3, 3], "claims are counted a day later than tasks"
    again = run_watch(watch, clock.moment + timedelta(minutes=70))
    assert (again.days, again.opened, again.evidence) == (0, 0, 0)


def test_quiet_days_open_nothing(watch, clock):
    assert sum(one.opened for one in live(watch, clock, 6)) == 0
    assert row(watch, clock, "completion").state == "quiet"


def test_what_is_not_counted_any_more_is_blind_and_not_quiet(watch, clock):
    live(watch, clock, 16)
    names = {"completion": "po_invoice", "discrepancy": "po_invoice", "cost_per_task": "", "drift": ""}

    def blind_after(days):
        later = Hands(clock.moment + timedelta(days=days))
        rows = [row(watch, later, metric, name) for metric, name in names.items()]
        return {one.metric for one in rows if one.state == "blind"}

    assert blind_after(0) == blind_after(2) == set()
    assert blind_after(7) == {"completion", "discrepancy", "cost_per_task"}
    assert blind_after(14) == set(names), "drift is looked at once a week"
    later = Hands(clock.moment + timedelta(days=7))
    note = "no day is counted since 16 Nov 2026: `pilothouse doctor`"
    assert row(watch, later, "completion").note.startswith(note)


def test_a_fall_of_completion_opens_one_incident_with_its_numbers_and_traces(watch, clock):
    live(watch, clock, 5)
    done = live(watch, clock, 3, failed=0.3)
    assert sum(one.opened for one in done) == 1
    incident = watch.room.incidents.incidents(active=True)[0]
    assert (incident.rule, incident.task_type, incident.severity) == ("completion", "po_invoice", "sev2")
    assert incident.title.startswith("Completion of po_invoice: 70.0 % since 6 Nov 2026")
    assert len(incident.traces) > 3
    assert row(watch, clock, "completion").state == "alarm"
    live(watch, clock, 2, failed=0.3)
    assert len(watch.room.incidents.incidents()) == 1, "the same alarm again is a line of the incident"


@pytest.mark.parametrize(("turns", "opened"), [(1, 1), (12, 0)])
def test_one_conversation_that_goes_wrong_is_one_event_and_twelve_tasks_are_twelve(
    watch, clock, turns, opened
):
    live(watch, clock, 5, turns=turns)
    (night,) = live(watch, clock, 1, failed=0.3, turns=turns)
    assert night.opened == opened
    seen = row(watch, clock, "completion")
    assert seen.value == pytest.approx(1 - 12 / 240)
    assert seen.cases_per_day == 40
    assert (seen.high - seen.low > 0.1) == (turns == 12)
    later = live(watch, clock, 4, failed=0.9, turns=turns)
    assert opened + sum(one.opened for one in later) == 1, "one after the other is a fall"


def test_contradicted_claims_are_quality_where_the_system_of_record_is_the_metric(watch, clock):
    live(watch, clock, 5)
    live(watch, clock, 5, contradicted=0.2)
    rules = {one.rule for one in watch.room.incidents.incidents()}
    assert rules & {"quality-drop", "lying"}
    drop = [one for one in verdicts(watch, clock, "MON-2", "drop") if one.scope.task_type == "po_invoice"]
    assert [one.status for one in drop] == [Status.BREACHED]


def test_the_verdict_sees_that_nothing_fell(watch, clock):
    live(watch, clock, 6)
    drop = [one for one in verdicts(watch, clock, "MON-2", "drop") if one.scope.task_type == "po_invoice"]
    assert [one.status for one in drop] == [Status.HOLDS]
    assert [one.status for one in verdicts(watch, clock, "MON-12", "uptime")] == [Status.HOLDS]
    assert verdicts(watch, clock, "MON-3", "monitor")[0].status is Status.NO_EVIDENCE, "windows are missing"


def accept(watch, clock, folder, old, new):
    """Put the charter with one line changed in force."""
    path = folder / "repository" / "ap-invoice-triage.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    accept_file(watch.room.installation.ledger, path, clock.moment, actor="test")


def cost_delays(watch):
    return [
        one
        for one in watch.room.installation.ledger.evidence(AGENT)
        if one.kind == "alert.delay" and one.scope.part == "cost"
    ]


PROMISE = (
    "false_alarms_per_year: 2, severity: sev2",
    "false_alarms_per_year: 2, detect_within: 7d, severity: sev2",
)


def test_few_tasks_a_day_arm_the_monitor_of_cost_and_keep_its_promise(watch, clock, tmp_path):
    accept(watch, clock, tmp_path, *PROMISE)
    live(watch, clock, 13)
    assert row(watch, clock, "cost_per_task", "").note.startswith("only 13 of 14 windows are over")
    assert cost_delays(watch) == []
    live(watch, clock, 2)
    (item,) = verdicts(watch, clock, "MON-3", "monitor")
    assert item.status is Status.HOLDS
    shown = row(watch, clock, "cost_per_task", "")
    assert (shown.state, shown.n, round(shown.delay_days, 1)) == ("quiet", 15, 1.0)
    assert "each day, or as many as 20 tasks take, against the 28 before" in printed(watch, clock, width=200)
    newest = cost_delays(watch)[-1]
    assert newest.passed
    assert newest.detail.startswith("rule cost: a lasting rise is noticed after 1.0 days: each day")


def test_a_dear_day_of_few_tasks_opens_one_incident_that_names_it(watch, clock):
    live(watch, clock, 15)
    at = int(clock.moment.timestamp()) * 10**9
    dearest = example_task(
        trace_id="e" * 32, agent=AGENT, task_type="po_invoice", start_ns=at, end_ns=at + 10**9,
        cost_usd=Decimal("1.01"), cost_known_usd=Decimal("1.01"), cost_state=CostState.KNOWN,
    )  # fmt: skip
    unknown = replace(dearest, trace_id="f" * 32, cost_usd=None, cost_state=CostState.PARTIAL)
    watch.room.installation.lake.add([dearest, unknown])
    (done,) = live(watch, clock, 1, cost="1.00")
    assert done.opened == 1
    (incident,) = watch.room.incidents.incidents(active=True)
    assert (incident.rule, incident.severity) == ("cost", "sev2")
    assert len(incident.traces) == 10
    assert incident.traces[0] == "e" * 32, "the dearest of the day comes first"
    assert all(one.startswith("20261116") for one in incident.traces[1:])
    assert incident.title.startswith("A typical task cost 1 USD on 16 Nov 2026 where it usually costs 0.1")
    assert row(watch, clock, "cost_per_task", "").state == "alarm"
    live(watch, clock, 3)
    assert len(watch.room.incidents.incidents()) == 1
    live(watch, clock, 5)
    assert row(watch, clock, "cost_per_task", "").state == "quiet"


def test_a_dear_day_is_told_when_the_watch_stood_still_over_it(watch, clock):
    live(watch, clock, 15)
    live(watch, clock, 1, cost="1.00", tick=False)
    live(watch, clock, 3, tick=False)
    assert run_watch(watch, clock.moment + timedelta(minutes=65)).opened == 1
    assert "on 16 Nov 2026 where" in watch.room.incidents.incidents(active=True)[0].title


def test_a_delay_that_is_just_above_its_promise_does_not_look_like_it(watch, clock, tmp_path):
    accept(watch, clock, tmp_path, PROMISE[0], PROMISE[1].replace("7d", "1d"))
    live(watch, clock, 15)
    newest = cost_delays(watch)[-1]
    assert not newest.passed
    assert newest.detail.startswith("rule cost: a lasting rise is noticed after 1.05 days: ")
    assert newest.detail.endswith("; promised within 1 days")
    assert "seen after 1.05 days · promised within 1 days" in printed(watch, clock, width=200)


def test_a_promise_that_costs_which_swing_cannot_keep_is_a_breach(watch, clock, tmp_path):
    accept(watch, clock, tmp_path, *PROMISE)
    for number in range(16):
        live(watch, clock, 1, cost="1.20" if number % 2 else "0.10")
    shown = row(watch, clock, "cost_per_task", "")
    assert shown.delay_days is None
    assert shown.note.endswith("; twice what is usual goes unnoticed, days differ too much")
    newest = cost_delays(watch)[-1]
    assert not newest.passed
    assert newest.detail.startswith("rule cost: a lasting rise is noticed never: ")


def test_a_delay_is_held_against_its_promise_and_an_unknown_one_is_no_kept_one(watch, clock):
    live(watch, clock, 5)
    found = {
        one.scope.part: one.passed
        for one in watch.room.installation.ledger.evidence(AGENT)
        if one.kind == "alert.delay"
    }
    assert found == {}, "two task types have no traffic: nobody knows when a fall of theirs would be seen"


def test_what_was_not_settled_before_a_kill_is_settled_after_it(watch, clock, monkeypatch):
    live(watch, clock, 5)
    monkeypatch.setattr(watch_tick, "settle_all", lambda *_: Settled(opened=0, missed=()))
    live(watch, clock, 3, failed=0.4)
    assert watch.room.incidents.incidents() == ()
    assert len(watch.room.watch.unsettled()) >= 1
    assert settle_all(watch, clock.moment + timedelta(hours=2)) == Settled(opened=1, missed=())
    assert settle_all(watch, clock.moment + timedelta(hours=2)) == Settled(opened=0, missed=())


def test_history_is_counted_wakes_nobody_and_says_so(watch, clock):
    live(watch, clock, 20, failed=0.5, tick=False)
    live(watch, clock, 15, tick=False)
    done = run_watch(watch, clock.moment + timedelta(minutes=65))
    done_again = run_watch(watch, clock.moment + timedelta(minutes=66))
    assert done.days + done_again.days > 60
    assert watch.room.incidents.incidents() == ()
    loud = [one for one in watch.room.watch.readings(AGENT, since=MIDNIGHT.date()) if one.layer == "verdict"]
    assert loud, "the alarms of back then are kept"
    missed = (*done.missed, *done_again.missed)
    assert {(one.day, one.detector, one.task_type) for one in missed} == {
        (one.day, one.detector, one.task_type) for one in loud
    }
    assert watch.room.watch.unsettled() == (), "and said once"
    assert run_watch(watch, clock.moment + timedelta(minutes=67)).missed == ()
    (note,) = (
        json.loads(one.document)["sentence"]
        for one in watch.room.installation.ledger.decisions(AGENT, kind="alert.warning")
        if json.loads(one.document)["metric"] == "watch"
    )
    assert note.startswith(f"{len(missed):,} alarms called nobody: ")
    assert note.endswith("The watch counted the days on 6 Dec 2026, more than 14 days late.")
    status = watch_status(watch.room.watch, watch.directory.charter(AGENT), clock.moment.date())
    assert {one.day for one in status.missed} == {one.day for one in missed}
    shown = io.StringIO()
    show_watch(status, Console(file=shown, width=2_000))
    assert shown.getvalue().startswith(f"! {len(missed):,} alarms called nobody: ")
    page = watch_page(
        watch.room.watch, assess(watch.room.installation, AGENT, clock.moment), None, clock.moment
    )
    assert page.sentence.plain.startswith(f"{len(missed):,} alarms called nobody: ")


def test_small_days_are_read_together_and_a_large_one_by_itself(watch, clock, monkeypatch):
    live(watch, clock, 30, per_day=5, tick=False)
    asked, window = [], watch.room.installation.lake.window

    def count(wanted):
        asked.append(round((wanted.to_ns - wanted.from_ns) / 86_400e9))
        return window(wanted)

    monkeypatch.setattr(watch.room.installation.lake, "window", count)
    assert advance_all(watch, clock.moment + timedelta(minutes=65)) > 58
    assert asked[:5] == [1, 2, 4, 8, 15], "twice as many each time, for traffic"
    assert len(asked) <= 7, "then all of them at once, for claims and for labels"
    asked.clear()
    monkeypatch.setattr("pilothouse.workflows.watch.days.TASKS_AHEAD_MAX", 12)
    live(watch, clock, 4, per_day=5, tick=False)
    advance_all(watch, clock.moment + timedelta(minutes=65))
    assert max(asked) == 2, "two days of five tasks fit into twelve"


def test_a_day_of_slow_tasks_is_counted_when_those_of_its_evening_are_over(watch, clock, tmp_path):
    accept(watch, clock, tmp_path, "p95_s: 8.0", "p95_s: 9000.0")
    live(watch, clock, 1, per_day=3, tick=False)
    store, evening = watch.room.watch, clock.moment - timedelta(hours=1)
    began = int(evening.timestamp()) * 10**9
    advance_all(watch, clock.moment + timedelta(hours=4))
    assert not store.readings(AGENT, since=MIDNIGHT.date(), detector="traffic")
    slow = example_task(
        trace_id="f" * 32,
        agent=AGENT,
        task_type="po_invoice",
        start_ns=began,
        end_ns=began + 4 * 3_600 * 10**9,
    )
    watch.room.installation.lake.add([slow])
    assert advance_all(watch, clock.moment + timedelta(hours=5)) == 2, (
        "its traffic, and labels that nobody drew"
    )
    counted = store.readings(AGENT, since=MIDNIGHT.date(), detector="traffic")
    assert sum(json.loads(one.document)["tasks"] for one in counted) == 4


def test_a_day_waits_for_claims_that_are_still_to_be_settled(watch, clock):
    live(watch, clock, 2)
    before = row(watch, clock, "discrepancy").counted_to
    pending = Outcome(
        trace_id="f" * 32, agent=AGENT, task_type="po_invoice", version_digest=VERSION, claim=None, found="",
        task_start_ns=int(clock.moment.timestamp()) * 10**9, status=OutcomeStatus.PENDING, critical=None,
        verifier="v", verified_at=clock.moment, attempts=1,
    )  # fmt: skip
    watch.room.installation.ledger.save_outcomes([pending])
    watch.room.installation.lake.add(
        [
            Task(
                trace_id="f" * 32, agent=AGENT, task_type="po_invoice", result=TaskResult.COMPLETED,
                start_ns=pending.task_start_ns, end_ns=pending.task_start_ns + 1,
            )
        ]
    )  # fmt: skip
    live(watch, clock, 2)
    assert row(watch, clock, "discrepancy").counted_to > before


def test_a_day_waits_for_claims_that_nobody_was_asked_about_yet(watch, clock):
    """Its verifier could not be loaded, or asks days later: the day was closed without a claim, and what came was never looked at."""
    live(watch, clock, 2)
    before = row(watch, clock, "discrepancy").counted_to
    asked_late = Task(
        trace_id="f" * 32, agent=AGENT, task_type="po_invoice", result=TaskResult.COMPLETED,
        start_ns=int(clock.moment.timestamp()) * 10**9, end_ns=int(clock.moment.timestamp()) * 10**9 + 1,
    )  # fmt: skip
    day = clock.moment.date()
    watch.room.installation.lake.add([asked_late])
    live(watch, clock, 1)
    clock.moment += timedelta(days=1)
    run_watch(watch, clock.moment + timedelta(minutes=5))
    assert before <= row(watch, clock, "discrepancy").counted_to < day
    run_watch(watch, clock.moment + timedelta(minutes=75))
    assert row(watch, clock, "discrepancy").counted_to == day


@pytest.mark.slow  # a month of days makes the baseline
def test_complaints_warn_and_open_nothing(watch, clock):
    live(watch, clock, 32, per_day=20)
    for day in range(4):
        start = clock.moment
        live(watch, clock, 1, per_day=20, tick=False)
        for number in range(10):
            watch.said.add(
                Feedback(
                    agent=AGENT, trace_id=f"{start:%Y%m%d}{number:024x}", kind=FeedbackKind.COMPLAINT,
                    text=f"wrong {day} {number}", at=start + timedelta(hours=20),
                )
            )  # fmt: skip
        run_watch(watch, clock.moment + timedelta(minutes=65))
    run_watch(watch, clock.moment + timedelta(days=1, minutes=65))
    warned = watch.room.installation.ledger.decisions(AGENT, kind="alert.warning")
    assert any("Complaints of po_invoice" in json.loads(one.document)["sentence"] for one in warned)
    assert watch.room.incidents.incidents() == ()


def test_claims_that_are_low_and_true_say_nothing(watch, clock):
    live(watch, clock, 7, per_day=200, contradicted=1.0, confidence=0.0)
    warned = watch.room.installation.ledger.decisions(AGENT, kind="alert.warning")
    assert not any("its claims have been too high" in one.document for one in warned)


@pytest.mark.parametrize(("claimed", "loud"), [(0.70, False), (0.99, True)])
def test_claims_that_are_higher_than_the_truth_warn_and_open_nothing(watch, clock, claimed, loud):
    live(watch, clock, 5, contradicted=0.2, confidence=claimed)
    found = row(watch, clock, "confidence")
    assert found.line == pytest.approx(claimed)
    assert found.value == pytest.approx(0.8, abs=0.01)
    assert found.low < 0.8 < found.high
    assert found.note == f"claims {100 * claimed:.1f} % on average"
    assert (found.state == "warning") is loud
    warned = watch.room.installation.ledger.decisions(AGENT, kind="alert.warning")
    said = [json.loads(one.document)["sentence"] for one in warned]
    assert any("its claims have been too high since" in one for one in said) is loud
    assert not any(one.rule == "confidence" for one in watch.room.incidents.incidents())


def test_failures_are_sorted_by_what_ended_them_and_name_who_answers(watch, clock):
    live(watch, clock, 3, failed=0.1)
    found = watch_status(watch.room.watch, watch.directory.charter(AGENT), clock.moment.date())
    (group,) = found.failures
    assert (group.kind.error, group.kind.where, group.count, group.recent) == (
        "timeout",
        "the agent's code",
        12,
        12,
    )
    assert (group.trend, group.answers) == ("steady", "sam (accountable for incident_response)")
    assert "12 · timeout in the agent's code · steady · sam (accountable" in printed(watch, clock, width=200)


def test_a_task_costs_its_calls_its_review_and_its_share_of_the_month(watch, clock):
    assert "Cost of a task" not in printed(watch, clock)
    live(watch, clock, 2)
    moment = clock.moment
    watch.queue.add([review_item(moment)])
    label = Label(item_id="7" * 64, agent=AGENT, reviewer="lee", answer=Answer.ACCEPT, at=moment)
    watch.queue.answer(label)
    live(watch, clock, 1)
    found = watch_status(watch.room.watch, watch.directory.charter(AGENT), clock.moment.date()).cost
    bases = {one.name: one.basis for one in found.parts}
    assert bases["Model calls"] == "telemetry: 12.00 USD in 120 tasks"
    assert bases["Review"].startswith("1 items decided, 0.7 minutes each")
    assert "over 120 tasks in 3 days" in bases["Fixed costs"]
    assert "Cost of a task, all-in: " in printed(watch, clock)
    whole = watch_status(watch.room.watch, watch.directory.charter(AGENT), clock.moment.date()).cost
    kept = [one for one in watch.room.installation.ledger.evidence(AGENT) if one.kind == "cost.further"]
    newest = max(kept, key=lambda one: one.window_to)
    parts = {one.name: one.money for one in whole.parts}
    assert (newest.scope.task_type, set(newest.counts)) == ("po_invoice", {"review", "fixed"})
    assert newest.low == pytest.approx(parts["Review"].low + parts["Fixed costs"].low)
    assert newest.high == pytest.approx(parts["Review"].high + parts["Fixed costs"].high)
    judged = assess(watch.room.installation, AGENT, clock.moment + timedelta(hours=2))
    mean = next(one for one in judged.folded if one.kind == "cost_per_task")
    assert mean.value == pytest.approx(0.10 + newest.value)
    assert mean.counts["unmeasured"] == 0


def review_item(moment):
    return ReviewItem(
        item_id="7" * 64, agent=AGENT, task_type="po_invoice", trace_id="7" * 32, version=VERSION,
        source=ReviewSource.SAMPLED, why="drawn from unknown tasks with probability 0.100", input="in",
        proposal="out", call_digest="7" * 64, created_at=moment, due_at=moment + timedelta(days=5),
    )  # fmt: skip


def printed(watch, clock, width=80):
    console = Console(file=io.StringIO(), width=width, emoji=False, highlight=False)
    charter = watch.directory.charter(AGENT)
    show_watch(watch_status(watch.room.watch, charter, clock.moment.date()), console)
    return console.file.getvalue()


def test_what_is_printed_fits_a_narrow_terminal_and_says_once_what_many_wait_for(watch, clock):
    before = printed(watch, clock)
    assert before.count("? blind") == 6
    assert before.count("no day is counted yet: `pilothouse up` counts them") == 1
    live(watch, clock, 3)
    after = printed(watch, clock)
    assert max(map(len, after.splitlines())) <= 80
    assert "✓ quiet     Completion · po_invoice  100.0 % [" in after
    assert "line 95.0 % · 40 cases a day · ≤ 1 false alarms a year" in after
    assert "3/5/7/10 points worse: seen after " in after


def test_an_alarm_that_cannot_be_raised_keeps_no_other_back_and_is_raised_later(watch, clock, monkeypatch):
    live(watch, clock, 5)
    monkeypatch.setattr(watch_tick, "settle_all", lambda *_: Settled(opened=0, missed=()))
    live(watch, clock, 4, failed=0.4, contradicted=0.4)
    waiting = {one.detector for one in watch.room.watch.unsettled()}
    assert waiting > {"completion"}
    whole = watch_effects.raise_alert

    def broken(room, firing, now):
        if firing.metric == "completion":
            raise ValueError(firing.metric)
        return whole(room, firing, now)

    monkeypatch.setattr(watch_effects, "raise_alert", broken)
    with pytest.raises(ValueError, match="completion"):
        settle_all(watch, clock.moment + timedelta(hours=2))
    assert {one.detector for one in watch.room.watch.unsettled()} == {"completion"}
    assert len(watch.room.incidents.incidents(active=True)) == 1
    monkeypatch.setattr(watch_effects, "raise_alert", whole)
    settle_all(watch, clock.moment + timedelta(hours=4))
    assert watch.room.watch.unsettled() == ()
    assert len(watch.room.incidents.incidents(active=True)) == 2


def test_an_alarm_waits_while_nobody_can_read_the_charter_that_says_who_is_called(watch, clock, monkeypatch):
    live(watch, clock, 5)
    monkeypatch.setattr(watch_tick, "settle_all", lambda *_: Settled(opened=0, missed=()))
    live(watch, clock, 3, failed=0.4)
    with monkeypatch.context() as unreadable:
        unreadable.setattr(watch.directory, "charters", dict)
        assert settle_all(watch, clock.moment + timedelta(hours=2)).opened == 0
    assert settle_all(watch, clock.moment + timedelta(hours=3)).opened == 1


def test_an_agent_that_cannot_be_counted_leaves_no_other_unwatched(watch, clock, monkeypatch):
    charters = {"a-broken": watch.directory.charter(AGENT).model_copy(update={"agent": "a-broken"})}
    charters |= watch.directory.charters()
    monkeypatch.setattr(watch.directory, "charters", lambda: charters)
    live(watch, clock, 4, tick=False)
    live(watch, clock, 4, failed=0.4, tick=False)
    lake = watch.room.installation.lake
    lake.add(
        [
            replace(one, agent="a-broken", trace_id=f"b{one.trace_id[1:]}")
            for one in lake.tasks(TaskFilter(agent=AGENT)).tasks
        ]
    )
    whole = DayCounter.count

    def broken(self, closes, days):
        if self._charter.agent == "a-broken":
            raise ValueError("a-broken")
        return whole(self, closes, days)

    monkeypatch.setattr(DayCounter, "count", broken)
    with pytest.raises(ValueError, match="a-broken"):
        run_watch(watch, clock.moment + timedelta(minutes=65))
    assert [one.agent for one in watch.room.incidents.incidents(active=True)] == [AGENT]
    assert {one.kind for one in watch.room.installation.ledger.evidence(AGENT)} >= {"uptime"}


@pytest.mark.slow  # a month of days makes the baseline
def test_a_first_month_in_which_every_task_failed_leaves_the_agent_watched(watch, clock):
    done = live(watch, clock, 32, per_day=8, failed=1.0)
    assert [one.days for one in done[3:]] == [3] * 29
    found = row(watch, clock, "completion")
    assert (found.value, found.line) == (0.0, pytest.approx(0.0, abs=1e-6))
    assert watch_page(
        watch.room.watch, assess(watch.room.installation, AGENT, clock.moment), None, clock.moment
    )


def test_a_week_of_many_tasks_is_read_in_parts_and_kept_thin(watch, clock, monkeypatch):
    window, largest = watch.room.installation.lake.window, []

    def noted(wanted):
        found = window(wanted)
        largest.append(len(found))
        return found

    with monkeypatch.context() as patched:
        patched.setattr(watch_tick, "look_at_whole", lambda *_: None)
        live(watch, clock, 15, per_day=40)
    monkeypatch.setattr(watch_drift, "CASES_MAX", 100)
    monkeypatch.setattr(watch_whole, "TASKS_AHEAD_MAX", 20)
    monkeypatch.setattr(watch.room.installation.lake, "window", noted)
    looked = []
    monkeypatch.setattr(
        watch_whole,
        "look_at_drift",
        lambda *told: looked.append(told[1:]) or watch_drift.look_at_drift(*told),
    )
    for _ in range(2):
        watch_whole.look_at_whole(watch, clock.moment + timedelta(hours=2))
    assert max(largest) <= 40, "before, a whole week lay in memory"
    ((reference, current),) = looked
    assert (len(reference), len(current)) == (140, 140), "280 tasks, each second one kept"
    (said,) = watch.room.watch.readings(AGENT, since=MIDNIGHT.date(), detector="drift")
    assert json.loads(said.document)["n"] == 280


def test_task_types_share_the_false_alarm_of_a_rule_whoever_tells_their_quality(watch, clock, tmp_path):
    accept(watch, clock, tmp_path, "{share: 0.80}", "{share: 0.80, metric: rubric-v3}")
    charter = watch.directory.charter(AGENT)
    by_labels = [name for name in charter.task_types if not quality_is_outcome(charter, name)]
    assert 0 < len(by_labels) < len(charter.task_types), "people tell of some, records of others"
    live(watch, clock, 9)
    said = watch.room.watch.readings(AGENT, since=MIDNIGHT.date(), detector="quality")
    threshold = {one.task_type: json.loads(one.document)["threshold"] for one in said}
    assert set(threshold) == set(charter.task_types)
    assert sum(365 / one for one in threshold.values()) <= 1 + 1e-9, "alarms a year at the line"


def test_what_people_and_judges_say_of_a_stand_ins_tasks_counts_for_no_alarm(
    watch, clock, tmp_path, monkeypatch
):
    """The verdict on quality leaves them out; the alert counted them as work of the pinned model."""

    def passed(_, read):
        return {"rubric-v3": {task.trace_id: True for task in read.tasks}}

    monkeypatch.setattr(DayReader, "judged", passed)
    accept(watch, clock, tmp_path, "{share: 0.80}", "{share: 0.80, metric: rubric-v3}")
    model = min(stand_ins_of(watch.directory.charter(AGENT)))
    begin = int(clock.moment.timestamp()) * 10**9
    watch.room.installation.lake.add(
        example_task(
            trace_id=f"{number:032x}", agent=AGENT, task_type="po_invoice", version_digest=VERSION,
            start_ns=begin, end_ns=begin + 10**9, models=models,
        )
        for number, models in enumerate([(), (model,), (model,)], start=1)
    )  # fmt: skip
    live(watch, clock, 9)
    said = {
        metric: json.loads(one.document)
        for metric in ("quality", JUDGE)
        for one in watch.room.watch.readings(AGENT, since=MIDNIGHT.date(), detector=metric)
        if (one.task_type, one.day) == ("po_invoice", MIDNIGHT.date())
    }
    assert sum(tasks for tasks, *_ in said["quality"]["tallies"].values()) == 41
    assert said[JUDGE]["n"] == 41
