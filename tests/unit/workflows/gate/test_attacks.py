# SPDX-License-Identifier: Apache-2.0
"""Attacks are judged by what judges the cases they are made from."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pilothouse.errors import UnknownName
from pilothouse.workflows.gate.attacks import make_attacks

EXAMPLE = Path(__file__).parents[4] / "examples/pydantic_ai"
TODAY = datetime(2026, 11, 20, tzinfo=UTC).date()


def attacks(folder, scorer=None):
    return make_attacks(
        folder / "charter.yaml",
        folder / "cases.jsonl",
        families=["injection"],
        per_family=2,
        scorer=scorer,
        today=TODAY,
    )


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "agent")
    cases = [
        {"task_type": "order_status", "input": f"Where is A-{n}?", "expected": "shipped"} for n in range(3)
    ]
    (tmp_path / "agent/cases.jsonl").write_text("\n".join(map(json.dumps, cases)), encoding="utf-8")
    return tmp_path / "agent"


def test_a_metric_that_is_no_scorer_is_asked_for_as_the_gate_asks(folder):
    """They were judged by `exact`, so a right answer in other words was a successful attack."""
    with pytest.raises(UnknownName, match="answered_correctly") as told:
        attacks(folder)
    assert "--scorer" in told.value.remedy


def test_the_scorer_that_was_typed_judges_with_its_arguments(folder):
    made = attacks(folder, 'contains={"ignore_case": true}')
    assert {(one.asserts[0].scorer, one.asserts[0].args["ignore_case"]) for one in made} == {
        ("contains", True)
    }
