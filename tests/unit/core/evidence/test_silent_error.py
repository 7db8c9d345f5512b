# SPDX-License-Identifier: Apache-2.0
"""The detector of confident answers after tool errors against 400 seeded runs whose truth is known."""

from __future__ import annotations

import random

import pytest

from pilothouse.core.evidence.loops import LoopLimits, Step, find_loop
from pilothouse.core.evidence.silent_error import (
    SilentError,
    ToolOutcome,
    classify_answer,
    failed_by_result,
    unresolved_errors,
)
from pilothouse.core.evidence.task import TaskResult
from pilothouse.testing import example_task

EFFECTS = {"crm.find": "read", "crm.find@1": "read", "bank.pay": "irreversible", "bank.pay@1": "irreversible"}
CONFIDENT = (
    "The invoice was routed to approval.",
    "Done! The customer has been refunded 12.50 EUR.",
    "Your balance is 1,204.10 EUR as of today.",
    "I have updated the record and informed the team.",
    "All three items were shipped this morning.",
    "The order 4711 belongs to ACME and is open.",
)
ADMITTING = (
    "I could not reach the CRM, so the customer was not updated.",
    "Unfortunately the payment failed; nothing was booked.",
    "The lookup timed out. Please try again later.",
    "The stock system is unavailable, the number below may be out of date.",
    "I was not able to confirm the address.",
    "Der Server war nicht erreichbar, leider gibt es kein Ergebnis.",
)
# Words that neither the pattern nor its author had in mind: what misses are made of.
SIDEWAYS = (
    "I skipped the second step because the system gave no data.",
    "The system is having issues at present.",
)


def runs(seed, n=400):
    """Yield (task, calls, contradicted, silent in truth, hard in truth)."""
    chance = random.Random(seed)
    for number in range(n):
        tool = chance.choice(["crm.find", "bank.pay"])
        at = iter(range(100))
        error = ToolOutcome(tool=tool, args="a", failed=True, at_ns=next(at))
        calls = [ToolOutcome(tool="crm.find", args=str(number), failed=False, at_ns=next(at)), error]
        kind = chance.choices(["silent", "admitted", "sideways", "retried", "gave up"], [40, 25, 2, 18, 15])[
            0
        ]
        if kind == "retried":
            calls.append(ToolOutcome(tool=tool, args="a", failed=False, at_ns=next(at)))
        if kind == "silent" and chance.random() < 0.3:
            calls.append(ToolOutcome(tool=tool, args="other", failed=False, at_ns=next(at)))
        result = (
            chance.choice([TaskResult.FAILED, TaskResult.ESCALATED])
            if kind == "gave up"
            else TaskResult.COMPLETED
        )
        words = {"admitted": ADMITTING, "sideways": SIDEWAYS}.get(kind, CONFIDENT)
        claim = '{"done": true}' if chance.random() < 0.5 else None
        contradicted = kind == "silent" and chance.random() < 0.1
        task = example_task(result=result, output_preview=chance.choice(words), claim=claim)
        chance.shuffle(calls)
        hard = kind == "silent" and (contradicted or (claim is not None and tool == "bank.pay"))
        yield task, calls, contradicted, kind == "silent", hard


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_recall_and_precision_over_400_seeded_runs(seed):
    found = [
        (classify_answer(task, calls, effects=EFFECTS, contradicted=contradicted), silent, hard)
        for task, calls, contradicted, silent, hard in runs(seed)
    ]
    alarms = [(one in (SilentError.SILENT, SilentError.HARD), silent) for one, silent, _ in found]
    caught = sum(alarm and silent for alarm, silent in alarms)
    assert caught / sum(silent for _, silent in alarms) >= 0.95
    assert caught / sum(alarm for alarm, _ in alarms) >= 0.90
    assert all(one is SilentError.HARD for one, _, hard in found if hard), "the hard class needs no judgement"


def test_an_error_is_over_when_the_same_call_succeeds_later_and_only_then():
    bad = ToolOutcome(tool="a", args="1", failed=True, at_ns=5)
    assert unresolved_errors([bad, ToolOutcome(tool="a", args="1", failed=False, at_ns=4)]) == (bad,)
    assert unresolved_errors([bad, ToolOutcome(tool="a", args="2", failed=False, at_ns=6)]) == (bad,)
    assert unresolved_errors([]) == ()


def test_a_task_that_says_nothing_at_all_is_unclear():
    calls = [ToolOutcome(tool="crm.find", args="1", failed=True, at_ns=1)]
    silent = example_task(result=TaskResult.UNKNOWN, claim=None, output_preview="")
    assert classify_answer(silent, calls, effects=EFFECTS) is SilentError.UNCLEAR
    spoken = example_task(result=TaskResult.UNKNOWN, claim=None, output_preview="hm")
    assert classify_answer(spoken, calls, effects=EFFECTS) is SilentError.ACKNOWLEDGED
    assert classify_answer(silent, [], effects=EFFECTS) is SilentError.NONE


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ('{"error": {"code": 500}}', True),
        ('{"isError": true}', True),
        ('{"error": ""}', False),
        ("[1]", False),
        ("Error: no connection", True),
        ("No errors were found", False),
        ("", False),
    ],
)
def test_results_that_say_themselves_that_they_failed(text, failed):
    assert failed_by_result(text) is failed


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], None),
        ([Step("a", "1")] * 3, None),
        ([Step("a", "1")] * 4, "4 times"),
        ([Step("a", "1", polling=True)] * 12, None),
        ([Step("a", str(number)) for number in range(100)], None),
        ([Step("a", str(number)) for number in range(101)], "101 tool calls"),
        ([Step("a", str(number), failed=True) for number in range(5)], "5 failed"),
        (
            [Step("a", str(number), failed=True) for number in range(5)] + [Step("b", "1", failed=None)],
            "5 failed",
        ),
        ([Step("a", "1", failed=True)] * 2 + [Step("b", "1")], None),
        ([Step("a", "1"), Step("b", "2")] * 3, "the cycle a → b"),
        ([Step("a", "1", polling=True), Step("b", "2", polling=True)] * 3, None),
    ],
)
def test_loops_are_named_by_their_pattern(steps, words):
    found = find_loop(steps, LoopLimits())
    assert (found is None) if words is None else (words in found)


def test_a_result_of_nothing_but_brackets_is_text():
    assert not failed_by_result("[" * 100_000)
