# SPDX-License-Identifier: Apache-2.0
"""Every weakened rule turns an example red where the examples are good, and is named where they are not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from permissions_stub import COMMON, IBAN, OTHER, PAY, tool

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.errors import CharterInvalid
from pilothouse.runtime.permissions.engine import CompiledTool, compile_charter, run_examples
from pilothouse.runtime.permissions.mutants import survivors

GOLDEN = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
DEMO = Path(__file__).parents[4] / "src" / "pilothouse" / "demo" / "charter" / "charter.yaml"


def given(recipient=(IBAN, "request"), amount=(100.0, "request"), note=None, **more):
    args = {"recipient": recipient, "amount": amount, "note": note}
    shown = {name: {"value": one[0], "origin": one[1]} for name, one in args.items() if one is not None}
    return {"args": shown, **more}


EXAMPLES = {
    "allow": [{"rule": rule, "given": given()} for rule in ("entitled", "recipient", "amount", "budget")],
    "deny": [
        {"rule": "entitled", "given": given(task_type="report")},
        {"rule": "recipient", "given": given(recipient=(OTHER, "field"))},
        {"rule": "recipient", "given": given(recipient=None)},
        {"rule": "amount", "given": given(amount=(100.0, "model"))},
        {"rule": "amount", "given": given(amount=(250.0, "request"))},
        {"rule": "amount", "given": given(amount=(2500.01, "request"))},
        {"rule": "note", "given": given(note=("hello", "model"), tainted=True)},
        {"rule": "budget", "given": given(used=2)},
    ],
}


def test_good_examples_notice_every_weakened_rule():
    left, tried = survivors("bank.pay@3", tool({**PAY, "examples": EXAMPLES}))
    assert (left, tried) == ((), 10)


@pytest.mark.parametrize("removed", [1, 2, 3, 4, 6, 7])
def test_without_one_deny_example_the_rule_it_proved_is_named(removed):
    examples = copy.deepcopy(EXAMPLES)
    rule = examples["deny"].pop(removed)["rule"]
    left, _ = survivors("bank.pay@3", tool({**PAY, "examples": examples}))
    assert rule in {one.rule for one in left}


@pytest.mark.parametrize("path", [GOLDEN, DEMO], ids=["golden", "demo"])
def test_our_own_charters_prove_their_rules_on_the_compiled_policy(path):
    charter = Charter.model_validate(read_charter_file(path).value)
    for name, compiled in compile_charter(charter).items():
        assert all(run.passed for run in run_examples(compiled))
        assert survivors(name, compiled.policy)[0] == (), name


def test_a_charter_whose_example_fails_on_the_compiled_policy_does_not_load():
    charter = Charter.model_validate(read_charter_file(DEMO).value)
    name, policy = next(iter(charter.tools.items()))
    wrong = policy.model_copy(update={"task_types": ()})
    with pytest.raises(CharterInvalid, match="do not hold"):
        compile_charter(charter.model_copy(update={"tools": {**charter.tools, name: wrong}}))


def test_strict_validation_refuses_what_cedar_cannot_type():
    assert CompiledTool("bank.pay@3", tool({**PAY, "args": {"a-b c": {"role": "neutral", "type": "text"}}}))


def test_a_pattern_that_may_take_for_ever_is_refused_with_its_place():
    args = {"id": {"role": "neutral", "type": "id((?:[a-z]+-?)+)"}}
    with pytest.raises(CharterInvalid) as caught:
        CompiledTool("erp.find@1", tool({**COMMON, "effect": "read", "args": args}))
    assert caught.value.findings == ("args.id: id((?:[a-z]+-?)+) may take for ever",)
