# SPDX-License-Identifier: Apache-2.0
"""What keeps a contract from being that of a tool."""

from __future__ import annotations

import json

import pytest

from pilothouse.core.charter.contract import parse_contract


def contract(**terms):
    text = json.dumps(
        {"name": "crm.open", "version": 1, "description": "", "input": {}, "output": {}, **terms}
    )
    return parse_contract(text, path="contracts/crm.open.json")


@pytest.mark.parametrize(
    ("terms", "effect", "says"),
    [
        ({}, "external", []),
        ({"name": "crm.find"}, "external", ["its contract is that of crm.find@1"]),
        ({"hedge": True}, "read", []),
        ({"hedge": True}, "internal", ["`hedge` on a tool that changes something"]),
        (
            {"idempotency": "none", "attempts": 2},
            "external",
            ["more than 1 attempt with `idempotency: none`"],
        ),
        ({"idempotency": "none", "attempts": 1}, "external", []),
        ({"idempotency": "none", "attempts": 2}, "read", []),
        ({"attempts": 2}, "external", []),
    ],
)
def test_a_contract_fits_its_tool_or_says_why_not(terms, effect, says):
    assert list(contract(**terms).misfits("crm.open@1", effect)) == says


def test_what_must_not_be_sent_twice_needs_no_count_of_attempts():
    """Left out, both mean the same; written out, the one that the how-to gives as the default was refused."""
    assert list(contract(idempotency="none").misfits("crm.open@1", "external")) == []
