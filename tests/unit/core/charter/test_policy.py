# SPDX-License-Identifier: Apache-2.0
from decimal import Decimal

import pytest

from pilothouse.core.charter.policy import (
    ArgumentFacts,
    CallFacts,
    decide_call,
    is_spent,
    policy_rules,
    type_name,
)
from pilothouse.core.charter.policy_types import AMOUNT_MAX, scaled
from pilothouse.core.charter.systems import GivenCall, Tool

TOOL = {
    "integration": "bank",
    "effect": "irreversible",
    "task_types": ("invoice",),
    "contract": "pay.json",
    "manifest_hash": "?",
    "args": {
        "recipient": {"role": "target", "type": "iban", "origins": ("request", "registry"), "required": True},
        "amount": {"role": "magnitude", "type": "amount(EUR)", "max": 2500.0, "ask_above": 200.0},
        "note": {"role": "payload", "type": "text", "max": 10},
        "date": {"role": "neutral", "type": "date"},
    },
    "budget": {"per_task": 1, "per_day": 40},
    "on_fail": "ask",
    "approvers": ("lee",),
    "examples": "?",
}
IBAN = "DE89370400440532013000"
PAY = {"recipient": (IBAN, "request"), "amount": (100.0, "request")}


def tool(**changes):
    return Tool.model_validate({**TOOL, **changes})


def call(args=None, **fields):
    given = {name: {"value": value, "origin": origin} for name, (value, origin) in (args or PAY).items()}
    return GivenCall.model_validate({"args": given, **fields})


def test_a_call_with_every_rule_proven_is_allowed():
    decided = decide_call(tool(), call())
    assert decided.decision == "allow"
    assert decided.failed == ()


def test_the_rules_of_a_tool_are_entitlement_deciding_arguments_and_budget():
    assert policy_rules(tool()) == ("entitled", "recipient", "amount", "budget")
    assert policy_rules(tool(budget=None, args={})) == ("entitled",)


@pytest.mark.parametrize("origin", ["field", "model", "handle", "owner"])
def test_a_target_from_anywhere_else_asks(origin):
    decided = decide_call(tool(), call({**PAY, "recipient": (IBAN, origin)}))
    assert (decided.decision, decided.failed) == ("ask", ("recipient",))


def test_what_leaves_after_something_untrusted_was_read_needs_a_trusted_origin():
    vouched = tool(args={**TOOL["args"], "recipient": {**TOOL["args"]["recipient"], "origins": ("field",)}})
    args = {**PAY, "recipient": (IBAN, "field")}
    assert decide_call(vouched, call(args)).decision == "allow"
    decided = decide_call(vouched, call(args, tainted=True))
    assert (decided.decision, decided.failed) == ("ask", ("recipient",))
    inside = vouched.model_copy(update={"effect": "read"})
    assert decide_call(inside, call(args, tainted=True)).decision == "allow"


def test_what_is_not_proven_is_denied_where_nobody_is_asked():
    assert decide_call(tool(on_fail="deny"), call({**PAY, "recipient": (IBAN, "model")})).decision == "deny"


def test_an_amount_above_the_limit_to_ask_asks_and_above_the_maximum_is_denied():
    assert decide_call(tool(), call({**PAY, "amount": (201.0, "request")})).decision == "ask"
    assert decide_call(tool(), call({**PAY, "amount": (2501.0, "request")})).decision == "deny"


def test_another_task_type_is_denied_and_never_asked():
    decided = decide_call(tool(), call(task_type="reminder"))
    assert (decided.decision, decided.failed) == ("deny", ("entitled",))


def test_a_call_beyond_the_budget_is_denied():
    assert decide_call(tool(), call(used=1)).failed == ("budget",)


def test_an_argument_that_the_policy_does_not_name_is_denied():
    assert decide_call(tool(), call({**PAY, "memo": ("x", "request")})).failed == ("memo",)


def test_a_required_argument_may_not_be_absent_and_an_optional_one_may():
    assert decide_call(tool(), call({"amount": (1.0, "request")})).failed == ("recipient",)
    assert decide_call(tool(), call({"recipient": (IBAN, "request")})).decision == "allow"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recipient", "not an iban"),
        ("recipient", 5.0),
        ("amount", "100"),
        ("note", "longer than ten characters"),
        ("date", "tomorrow"),
    ],
)
def test_a_value_that_is_not_of_its_type_or_too_long_is_denied(name, value):
    decided = decide_call(tool(), call({**PAY, name: (value, "request")}))
    assert decided.decision == "deny"
    assert name in decided.failed


def test_payload_and_neutral_arguments_need_no_origin():
    decided = decide_call(tool(), call({**PAY, "note": ("thanks", "model"), "date": ("2026-11-20", "field")}))
    assert decided.decision == "allow"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("email", "a@b.example", "a@b"),
        ("url_host", "erp.corp.example:443", "erp corp"),
        ("url", "https://corp.example/x", "ftp://corp.example"),
        ("id", "INV-7", "INV 7"),
        ("bool", True, "true"),
        ("int", 3.0, 3.5),
        ("number", 3.5, "3.5"),
        ("datetime", "2026-11-20T10:00:00", "noon"),
        ("text", "anything at all", True),
    ],
)
def test_each_type_accepts_its_own_and_nothing_else(kind, good, bad):
    policy = tool(args={"x": {"role": "neutral", "type": kind}})
    assert decide_call(policy, call({"x": (good, "model")})).decision == "allow"
    assert decide_call(policy, call({"x": (bad, "model")})).decision == "deny"


def test_an_enum_accepts_its_values_only():
    policy = tool(args={"queue": {"role": "neutral", "type": "enum", "values": ("a", "b")}})
    assert decide_call(policy, call({"queue": ("a", "model")})).decision == "allow"
    assert decide_call(policy, call({"queue": ("c", "model")})).decision == "deny"


def test_an_open_role_or_an_unknown_type_denies():
    for argument in ({"type": "text"}, {"role": "?", "type": "text"}, {"role": "neutral", "type": "blob"}):
        assert decide_call(tool(args={"x": argument}), call({"x": ("v", "request")})).decision == "deny"


def test_an_open_maximum_bounds_nothing_and_open_origins_prove_nothing():
    policy = tool(args={"x": {"role": "target", "type": "number", "max": "?", "origins": "?"}})
    assert decide_call(policy, call({"x": (1e9, "request")})).failed == ("x",)


def test_a_tool_with_open_task_types_entitles_nobody():
    assert decide_call(tool(task_types="?"), call()).failed == ("entitled",)


def test_type_names_are_read_with_and_without_their_parameter():
    assert [type_name(text) for text in ("amount(EUR)", "name(suppliers)", "enum", "blob", "")] == [
        "amount", "name", "enum", None, None,
    ]  # fmt: skip


def test_a_magnitude_is_a_size_whatever_its_sign():
    assert decide_call(tool(), call({**PAY, "amount": (-201.0, "request")})).decision == "ask"
    assert decide_call(tool(), call({**PAY, "amount": (-2501.0, "request")})).decision == "deny"
    assert decide_call(tool(), call({**PAY, "amount": (-200.0, "request")})).decision == "allow"


def test_a_number_without_end_is_the_largest_that_is_counted():
    assert scaled("amount(EUR)", Decimal("1e999999")) == scaled("int", Decimal(2**63)) == AMOUNT_MAX
    assert scaled("number", Decimal("-1e999999")) == -AMOUNT_MAX
    assert scaled("amount(EUR)", Decimal("1e-999999")) == 0


@pytest.mark.parametrize(
    ("facts", "spent"),
    [
        ({}, False),
        ({"used_task": 1}, True),
        ({"used_day": 40}, True),
        ({"used_task": 1, "entitled": False}, False),
        ({"amount": 100, "sum_day": 101}, True),
        ({"amount": 100, "sum_day": 100}, False),
        ({"amount": 101, "sum_day": 101}, False),
    ],
)
def test_what_is_used_up_is_told_from_what_was_never_possible(facts, spent):
    amounts = {"amount": 0, "sum_day": 0}
    given = {name: scaled("amount(EUR)", Decimal(facts.get(name, zero))) for name, zero in amounts.items()}
    amount = ArgumentFacts(origins=frozenset({"request"}), **given)
    known_of_it = {name: value for name, value in facts.items() if name not in amounts}
    args = {**TOOL["args"], "amount": {**TOOL["args"]["amount"], "sum_per_day": 100.0}}
    call_facts = CallFacts(**{"entitled": True, **known_of_it}, args={"amount": amount})
    assert is_spent(tool(args=args), call_facts) is spent
    assert not is_spent(tool(args=args, budget=None), CallFacts(entitled=True, used_task=9))
