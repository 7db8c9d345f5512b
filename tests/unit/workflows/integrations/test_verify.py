# SPDX-License-Identifier: Apache-2.0
"""Which tasks are asked about, when, how often, and what a verifier that misbehaves leads to."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from fresh_ledger import ledger_url
from source_tree import ROOT

from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.task import TaskResult
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations.verify import VerifyLimits, verify_due

NOW = EXAMPLE_NOW
AGENT = "ap-invoice-triage"
MINUTE = timedelta(minutes=1)
ANSWERS = """
    import json
    def routing_matches(task):
        return json.loads(task.claim)["answer"]
"""


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


def task(number, *, answer=True, ended=NOW - timedelta(hours=1), **fields):
    claim = json.dumps({"answer": answer})
    return example_task(
        trace_id=f"{number:032x}",
        claim=claim,
        start_ns=ns(ended) - 1_000_000_000 - number,
        end_ns=ns(ended),
        **fields,
    )


@pytest.fixture
def folder(tmp_path):
    """The golden charter in a folder of its own, with a verifier that answers what the claim says."""
    target = tmp_path / "repository"
    shutil.copytree(ROOT / "tests" / "golden" / "charters", target)
    (target / "verifiers").mkdir()
    write(target, ANSWERS)
    return target


def write(folder, text):
    (folder / "verifiers" / "erp.py").write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture
def installation(tmp_path, folder):
    ledger = MemoryLedger()
    path = folder / "ap-invoice-triage.yaml"
    ledger.accept_charter(
        agent=AGENT, digest="a" * 64, text=path.read_text(encoding="utf-8"), path=str(path), at=NOW
    )
    return Installation(
        settings=load_settings({}, home=tmp_path / "home"),
        clock=FixedClock(),
        lake=MemoryLake(),
        ledger=ledger,
    )


def outcomes(installation):
    return {one.trace_id[-3:]: one for one in installation.ledger.outcomes(AGENT, from_ns=0, to_ns=2**62)}


def statuses(installation):
    return {name: one.status.value for name, one in outcomes(installation).items()}


def test_each_claim_gets_the_outcome_that_its_verifier_finds(installation):
    installation.lake.add([task(1), task(2, answer=False), task(3, answer="unverifiable")])
    report = verify_due(installation, NOW)
    assert statuses(installation) == {"001": "verified", "002": "contradicted", "003": "unverifiable"}
    assert report.asked == 3
    assert dict(report.found) == Counter(
        {OutcomeStatus.VERIFIED: 1, OutcomeStatus.CONTRADICTED: 1, OutcomeStatus.UNVERIFIABLE: 1}
    )
    assert report.problems == ()
    one = outcomes(installation)["001"]
    assert one.verifier.startswith("verifiers.erp:routing_matches@sha256:")
    assert (one.agent, one.task_type, one.claim, one.verified_at, one.attempts) == (
        AGENT,
        "po_invoice",
        '{"answer": true}',
        NOW,
        1,
    )


def test_asking_again_changes_nothing_and_asks_nothing(installation, folder):
    installation.lake.add([task(1)])
    verify_due(installation, NOW)
    write(folder, "def routing_matches(task):\n    return False\n")
    assert verify_due(installation, NOW + MINUTE).asked == 0
    assert statuses(installation) == {"001": "verified"}


def test_a_task_is_asked_about_only_once_it_is_old_enough(installation):
    installation.lake.add([task(1, ended=NOW - 9 * MINUTE)])
    assert verify_due(installation, NOW).asked == 0
    assert verify_due(installation, NOW + MINUTE).asked == 1


def test_a_long_task_is_old_enough_by_its_end_not_by_its_start(installation):
    long = replace(task(1, ended=NOW - MINUTE), start_ns=ns(NOW - timedelta(hours=5)))
    installation.lake.add([long])
    assert verify_due(installation, NOW).asked == 0


def test_only_tasks_that_say_they_are_done_are_asked_about(installation):
    installation.lake.add(
        [
            task(1, result=TaskResult.FAILED),
            task(2, result=TaskResult.ESCALATED),
            task(3, task_type="undeclared"),
            task(4, agent="another-agent"),
            task(5, ended=NOW - timedelta(days=91)),
            task(6, result=TaskResult.UNKNOWN),
        ]
    )
    verify_due(installation, NOW, thorough=True)
    assert list(statuses(installation)) == ["006"]


def test_a_pending_answer_is_asked_for_again_with_growing_pauses_until_retry_for_is_over(installation):
    ended = NOW - 10 * MINUTE
    installation.lake.add([task(1, answer="pending", ended=ended)])
    half_minutes = [NOW + timedelta(seconds=30 * step) for step in range(260)]
    hours = [NOW + timedelta(hours=3 + step) for step in range(23)]
    asked_at = [moment for moment in (*half_minutes, *hours) if verify_due(installation, moment).asked]
    pauses = [(later - earlier) // timedelta(seconds=30) for earlier, later in pairwise(asked_at)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 64]
    assert min(pauses[7:]) == 120
    one = outcomes(installation)["001"]
    assert one.status is OutcomeStatus.UNVERIFIABLE
    assert "still pending after `retry_for`" in one.found
    assert asked_at[-1] - ended >= timedelta(hours=24, minutes=10)
    assert one.attempts == len(asked_at)


def test_a_pending_task_that_is_settled_later_gets_its_outcome(installation, folder):
    installation.lake.add([task(1, answer="pending", ended=NOW - 10 * MINUTE)])
    verify_due(installation, NOW)
    assert statuses(installation) == {"001": "pending"}
    write(folder, "def routing_matches(task):\n    return True\n")
    assert verify_due(installation, NOW + timedelta(seconds=29)).asked == 0
    verify_due(installation, NOW + timedelta(seconds=30))
    assert statuses(installation) == {"001": "verified"}
    assert outcomes(installation)["001"].attempts == 2


def test_a_verifier_that_raises_leaves_the_task_pending_with_the_reason_and_is_a_problem(
    installation, folder
):
    write(folder, "def routing_matches(task):\n    raise ConnectionError('erp is away')\n")
    installation.lake.add([task(1), task(2)])
    report = verify_due(installation, NOW)
    assert statuses(installation) == {"001": "pending", "002": "pending"}
    assert "ConnectionError: erp is away" in outcomes(installation)["001"].found
    assert len(report.problems) == 1
    assert "ConnectionError: erp is away" in report.problems[0].text
    assert "verifiers/erp.py" in report.problems[0].text


def test_an_old_task_is_not_given_up_before_the_third_failure(installation, folder):
    write(folder, "def routing_matches(task):\n    raise ConnectionError('erp is away')\n")
    installation.lake.add([task(1, ended=NOW - timedelta(days=10))])
    seen = []
    for hours in range(4):
        verify_due(installation, NOW + timedelta(hours=hours))
        seen.append(statuses(installation)["001"])
    assert seen == ["pending", "pending", "unverifiable", "unverifiable"]
    assert outcomes(installation)["001"].attempts == 3


@pytest.mark.parametrize("returned", ["None", "42", "'yes'", "{'status': 'verified'}"])
def test_a_verifier_that_returns_nonsense_never_counts_as_verified(installation, folder, returned):
    write(folder, f"def routing_matches(task):\n    return {returned}\n")
    installation.lake.add([task(1)])
    report = verify_due(installation, NOW)
    assert statuses(installation) == {"001": "pending"}
    assert "Return a Finding" in report.problems[0].text


def test_a_verifier_that_cannot_be_loaded_is_a_problem_and_stops_no_other(installation, folder):
    (folder / "verifiers" / "erp.py").write_text("def broken(:\n", encoding="utf-8")
    installation.lake.add([task(1), task(2, task_type="credit_note")])
    report = verify_due(installation, NOW)
    assert statuses(installation) == {}
    assert {problem.task_type for problem in report.problems} == {"po_invoice", "credit_note"}
    assert all("SyntaxError" in problem.text for problem in report.problems)
    write(folder, ANSWERS)
    verify_due(installation, NOW)
    assert statuses(installation) == {"001": "verified", "002": "verified"}


def test_a_verifier_that_hangs_costs_two_questions_and_the_other_types_go_on(installation, folder):
    write(
        folder,
        """
        import threading
        RELEASE = threading.Event()
        def routing_matches(task):
            if task.task_type == "po_invoice":
                RELEASE.wait()
            return True
        """,
    )
    installation.lake.add([task(n) for n in range(1, 6)])
    installation.lake.add([task(9, task_type="credit_note")])
    report = verify_due(installation, NOW, limits=VerifyLimits(call_timeout_s=0.02))
    assert Counter(statuses(installation).values()) == {"pending": 2, "verified": 1}
    assert report.more
    assert any("no answer within" in problem.text for problem in report.problems)
    release()


def release():
    for name, module in list(sys.modules.items()):
        if name.startswith("_pilothouse_charter_") and hasattr(module, "RELEASE"):
            module.RELEASE.set()


def test_a_tick_asks_no_more_than_its_limit_and_says_that_there_is_more(installation):
    installation.lake.add([task(number) for number in range(1, 8)])
    limits = VerifyLimits(calls_max=3)
    reports = [verify_due(installation, NOW, limits=limits) for _ in range(4)]
    assert [report.asked for report in reports] == [3, 3, 1, 0]
    assert [report.more for report in reports] == [True, True, False, False]
    assert len(outcomes(installation)) == 7


def test_newest_tasks_are_asked_about_first(installation):
    installation.lake.add([task(n, ended=NOW - timedelta(hours=n)) for n in range(1, 6)])
    verify_due(installation, NOW, limits=VerifyLimits(calls_max=2))
    assert sorted(outcomes(installation)) == ["001", "002"]


def test_a_late_import_behind_settled_tasks_is_found_by_the_thorough_tick(installation, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.integrations.verify.FIRST_PAGE_TASKS", 3)
    installation.lake.add([task(n, ended=NOW - timedelta(hours=n)) for n in range(1, 5)])
    verify_due(installation, NOW)
    installation.lake.add([task(9, ended=NOW - timedelta(days=20))])
    assert verify_due(installation, NOW).asked == 0
    assert verify_due(installation, NOW, thorough=True).asked == 1


def test_a_critical_mistake_is_kept_and_one_that_the_charter_does_not_list_is_a_problem(installation, folder):
    write(
        folder,
        """
        from pilothouse.core.evidence.outcome import Finding, OutcomeStatus
        def routing_matches(task):
            named = "paid_twice" if task.trace_id.endswith("1") else "lost_mail"
            return Finding(status=OutcomeStatus.CONTRADICTED, found="booked twice", critical=named)
        """,
    )
    installation.lake.add([task(1), task(2)])
    report = verify_due(installation, NOW)
    assert {one.critical for one in outcomes(installation).values()} == {"paid_twice", "lost_mail"}
    assert [problem.text for problem in report.problems if "lost_mail" in problem.text]
    assert not [problem.text for problem in report.problems if "paid_twice" in problem.text]


def test_answers_given_before_a_crash_are_kept(installation, folder, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.integrations.verify.SAVE_EVERY", 2)
    installation.lake.add([task(number) for number in range(1, 6)])
    saved = installation.ledger.save_outcomes
    calls = []

    def fails_the_second_time(given):
        calls.append(len(given))
        if len(calls) == 2:
            raise OSError("disk is away")
        saved(given)

    monkeypatch.setattr(installation.ledger, "save_outcomes", fails_the_second_time)
    with pytest.raises(OSError, match="disk is away"):
        verify_due(installation, NOW)
    assert len(outcomes(installation)) >= 2
    monkeypatch.undo()
    verify_due(installation, NOW)
    assert len(outcomes(installation)) == 5


def test_a_charter_that_this_program_cannot_read_is_a_problem(installation):
    installation.ledger.accept_charter(
        agent="old-agent", digest="b" * 64, text="agent: old-agent\n", path="x", at=NOW
    )
    report = verify_due(installation, NOW)
    assert [problem.agent for problem in report.problems] == ["old-agent"]


def test_a_claim_that_a_late_span_corrected_is_asked_about_again(installation):
    installation.lake.add([task(1)])
    verify_due(installation, NOW)
    assert statuses(installation) == {"001": "verified"}
    installation.lake.add([replace(task(1, answer=False), revision=1)])
    report = verify_due(installation, NOW + MINUTE)
    assert (report.asked, statuses(installation)) == (1, {"001": "contradicted"})


def test_a_contradiction_is_not_undone_by_another_claim(installation):
    installation.lake.add([task(1, answer=False)])
    verify_due(installation, NOW)
    installation.lake.add([replace(task(1), revision=1)])
    assert verify_due(installation, NOW + MINUTE).asked == 0
    assert statuses(installation) == {"001": "contradicted"}


def test_a_claim_that_no_ledger_can_keep_costs_the_others_nothing(tmp_path, installation):
    charter = installation.ledger.charter(AGENT)
    with open_ledger(ledger_url(tmp_path)) as ledger:
        ledger.accept_charter(
            agent=AGENT, digest=charter.digest, text=charter.text, path=charter.path, at=NOW
        )
        kept = replace(installation, ledger=ledger)
        kept.lake.add([task(1), replace(task(2), claim='{"answer": true, "of": "\ud800"}'), task(3)])
        report = verify_due(kept, NOW)
        assert statuses(kept) == {"001": "verified", "003": "verified"}
        assert "cannot be kept" in report.problems[0].text


def test_an_answer_of_a_clock_that_was_ahead_delays_nothing_once_it_is_right(installation, folder):
    write(folder, "def routing_matches(task):\n    raise ConnectionError\n")
    installation.lake.add([task(1)])
    verify_due(installation, NOW + timedelta(days=30))
    write(folder, ANSWERS)
    assert verify_due(installation, NOW + MINUTE).asked == 1
    assert statuses(installation) == {"001": "verified"}


def second_agent(installation, name="second"):
    charter = installation.ledger.charter(AGENT)
    text = charter.text.replace(f"agent: {AGENT}", f"agent: {name}", 1)
    installation.ledger.accept_charter(agent=name, digest="b" * 64, text=text, path=charter.path, at=NOW)


def test_a_slow_verifier_takes_no_time_from_other_agents(installation, folder):
    second_agent(installation)
    write(
        folder,
        """
        import time
        def routing_matches(task):
            time.sleep(0.05 if task.agent != "second" else 0)
            return True
        """,
    )
    installation.lake.add([task(number) for number in range(1, 60)])
    installation.lake.add([task(number, agent="second") for number in range(200, 203)])
    report = verify_due(installation, NOW, limits=VerifyLimits(tick_s=0.4))
    assert report.more
    assert len(installation.ledger.outcomes("second", from_ns=0, to_ns=2**62)) == 3


def test_questions_are_shared_among_agents_and_no_agent_is_always_the_last(installation):
    names = [f"agent-{letter}" for letter in "abcd"]
    for place, name in enumerate(names):
        second_agent(installation, name)
        installation.lake.add([task(100 * place + number, agent=name) for number in range(1, 30)])
    verify_due(installation, NOW, limits=VerifyLimits(calls_max=8))
    assert [len(installation.ledger.outcomes(name, from_ns=0, to_ns=2**62)) for name in names] == [2] * 4
    for step in range(30):
        verify_due(installation, NOW + timedelta(seconds=step), limits=VerifyLimits(calls_max=1))
    counts = [len(installation.ledger.outcomes(name, from_ns=0, to_ns=2**62)) for name in names]
    assert min(counts) > 2
    assert sum(counts) == 38


def test_a_system_that_refuses_is_asked_five_times_in_a_round_and_not_about_every_claim(installation, folder):
    """A rotated key: five hundred refused sign-ins in a round lock the account."""
    write(
        folder,
        """
        ASKED = []
        def routing_matches(task):
            ASKED.append(1)
            if len(ASKED) == 3:
                return True
            raise PermissionError("401 Unauthorized")
        """,
    )
    installation.lake.add([task(number) for number in range(1, 40)])
    report = verify_due(installation, NOW)
    assert (report.asked, report.more) == (8, True)
    assert Counter(statuses(installation).values()) == {"pending": 7, "verified": 1}
    assert verify_due(installation, NOW + timedelta(seconds=5)).asked == 5


def test_a_claim_that_outlasted_an_outage_is_asked_about_once_a_day_until_somebody_answers(
    installation, folder
):
    """`retry_for` was over before the ERP was back, and nobody ever asked about the claims of that weekend."""
    write(folder, "def routing_matches(task):\n    raise ConnectionError('erp is away')\n")
    installation.lake.add([task(1, ended=NOW - timedelta(days=10))])
    moments = [NOW + timedelta(hours=hour) for hour in range(60)]
    asked = [moment for moment in moments if verify_due(installation, moment, thorough=True).asked]
    assert statuses(installation) == {"001": "unverifiable"}
    assert [(one - NOW) // timedelta(hours=1) for one in asked] == [0, 1, 2, 26, 50]
    write(folder, ANSWERS)
    assert verify_due(installation, NOW + timedelta(hours=75)).asked == 0, (
        "the hourly look asks, not the frequent one"
    )
    verify_due(installation, NOW + timedelta(hours=75), thorough=True)
    assert statuses(installation) == {"001": "verified"}


def test_a_claim_that_the_verifier_itself_calls_unverifiable_is_settled(installation, folder):
    installation.lake.add([task(1, answer="unverifiable")])
    verify_due(installation, NOW)
    write(folder, "def routing_matches(task):\n    return True\n")
    assert verify_due(installation, NOW + timedelta(days=3), thorough=True).asked == 0
