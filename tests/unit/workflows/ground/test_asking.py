# SPDX-License-Identifier: Apache-2.0
"""Whatever a verifier does, the one who asks gets an answer or a reason, in time."""

from __future__ import annotations

import threading

import pytest

from pilothouse.core.evidence.outcome import Finding, OutcomeStatus
from pilothouse.testing import example_task
from pilothouse.workflows.ground.asking import ABANDONED_MAX, Asker, abandoned_calls, parse_finding

TASK = example_task()
LONG_S = 30.0
AT_ONCE_S = 0.01


def ask(function, timeout_s=LONG_S):
    with Asker(function, timeout_s) as asker:
        return asker.ask(TASK)


@pytest.fixture
def hanging():
    """A verifier that hangs until the test is over."""
    release = threading.Event()

    def hang(task):
        release.wait()
        return True

    yield hang
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("pilothouse-verifier"):
            thread.join(10)
    assert abandoned_calls() == 0


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (True, OutcomeStatus.VERIFIED),
        (False, OutcomeStatus.CONTRADICTED),
        (OutcomeStatus.PENDING, OutcomeStatus.PENDING),
        (" Unverifiable ", OutcomeStatus.UNVERIFIABLE),
        (Finding(status=OutcomeStatus.VERIFIED, found="booked"), OutcomeStatus.VERIFIED),
        (Finding(status="contradicted"), OutcomeStatus.CONTRADICTED),
    ],
)
def test_what_a_verifier_may_return_is_read(value, status):
    answer = ask(lambda _task: value)
    assert answer.finding.status is status
    assert answer.problem == ""


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        0.0,
        "yes",
        "",
        {},
        ["verified"],
        Finding(status=True),
        Finding(status="true"),
        Finding(status=OutcomeStatus.VERIFIED, found=None),
        Finding(status=OutcomeStatus.VERIFIED, critical=7),
    ],
)
def test_anything_else_breaks_the_contract_and_is_no_answer(value):
    assert parse_finding(value) is None
    answer = ask(lambda _task: value)
    assert answer.finding is None
    assert answer.broken
    assert type(value).__name__ in answer.problem


def test_long_texts_are_cut():
    finding = parse_finding(Finding(status=OutcomeStatus.VERIFIED, found="x" * 9_000, critical="y" * 900))
    assert (len(finding.found), len(finding.critical)) == (500, 64)


@pytest.mark.parametrize("error", [ValueError("no row\nsecret"), SystemExit(1), KeyboardInterrupt()])
def test_a_verifier_that_raises_gives_its_first_line_as_the_reason(error):
    def fail(task):
        raise error

    answer = ask(fail)
    assert answer.finding is None
    assert not answer.broken
    assert answer.problem.startswith(type(error).__name__)
    assert "secret" not in answer.problem


def test_a_verifier_that_hangs_is_left_behind_and_the_next_task_is_asked(hanging):
    calls = []

    def hangs_once(task):
        calls.append(task.trace_id)
        return hanging(task) if len(calls) == 1 else True

    with Asker(hangs_once, AT_ONCE_S) as asker:
        first = asker.ask(TASK)
        assert (first.finding, first.timed_out) == (None, True)
        assert "no answer within 0.01 s" in first.problem
        assert abandoned_calls() == 1
    with Asker(hangs_once, LONG_S) as asker:
        assert asker.ask(TASK).finding.status is OutcomeStatus.VERIFIED


def test_when_too_many_hang_nothing_more_is_asked(hanging):
    with Asker(hanging, AT_ONCE_S) as asker:
        for _ in range(ABANDONED_MAX):
            assert asker.ask(TASK).timed_out
        refused = asker.ask(TASK)
    assert refused.refused
    assert abandoned_calls() == ABANDONED_MAX


def test_a_verifier_whose_calls_hang_keeps_no_other_from_being_asked(hanging):
    with Asker(hanging, AT_ONCE_S, name="erp") as asker:
        for _ in range(ABANDONED_MAX):
            assert asker.ask(TASK).timed_out
        assert asker.ask(TASK).refused
    with Asker(lambda _task: True, LONG_S, name="crm") as other:
        assert other.ask(TASK).finding.status is OutcomeStatus.VERIFIED


def test_threads_that_hang_are_bounded_in_all(hanging, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.ground.asking.ABANDONED_IN_ALL_MAX", 2)
    for name in ("erp", "crm"):
        with Asker(hanging, AT_ONCE_S, name=name) as asker:
            assert asker.ask(TASK).timed_out
    with Asker(hanging, AT_ONCE_S, name="mail") as asker:
        assert asker.ask(TASK).problem == "2 earlier calls still hang; nothing more is asked"


def test_all_questions_come_from_one_thread():
    threads = set()

    def remember(task):
        threads.add(threading.get_ident())
        return True

    with Asker(remember, LONG_S) as asker:
        for _ in range(3):
            asker.ask(TASK)
    assert len(threads) == 1


def test_what_no_ledger_can_keep_is_left_out_of_a_finding():
    """A record of fixed width ends in NULs, and JSON of others holds half characters: one ended the asking for all."""
    said = Finding(status=OutcomeStatus.VERIFIED, found="in A7\x00\x00 \ud800", critical="paid\x00twice")
    found = ask(lambda _task: said).finding
    assert (found.found, found.critical) == ("in A7 ?", "paidtwice")


def test_an_error_is_shown_without_what_the_verifier_signed_in_with():
    def refused(_task):
        raise ConnectionError("401 for url 'https://erp:pw@erp.corp/x?api_key=S1' \ud800")

    assert ask(refused).problem == "ConnectionError: 401 for url 'https://[redacted]@erp.corp/x?[redacted]' ?"


def test_an_error_whose_words_fail_is_an_error_and_no_call_that_hangs():
    class Odd(Exception):
        def __str__(self):
            raise ValueError

    def odd(_task):
        raise Odd

    answer = ask(odd)
    assert (answer.problem, answer.timed_out) == ("Odd", False)
