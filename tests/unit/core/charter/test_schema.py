# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import jsonschema
import pytest

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.schema import charter_schema
from stubs.broken_charters import BROKEN
from stubs.charter_trees import example_values, with_value

SCHEMA = charter_schema()
CHECKED_IN = Path(__file__).parents[4] / "docs" / "reference" / "charter.schema.json"


def listed(value):
    if isinstance(value, dict):
        return {key: listed(part) for key, part in value.items()}
    return [listed(part) for part in value] if isinstance(value, tuple) else value


def mistakes(values):
    return list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(listed(values)))


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_checked_in_schema_is_the_generated_one():
    assert json.loads(CHECKED_IN.read_text(encoding="utf-8")) == SCHEMA


def test_the_example_charter_fits():
    assert mistakes(example_values()) == []


@pytest.mark.parametrize(
    "path",
    [
        ("owner",),
        ("owner", "person"),
        ("escalation",),
        ("task_types", "po_invoice", "share"),
        ("task_defaults", "quality"),
        ("integrations",),
        ("model", "pin"),
    ],
)
def test_an_open_question_fits(path):
    assert mistakes(with_value(example_values(), path, "?")) == []


def test_the_function_may_not_stay_open():
    assert mistakes(with_value(example_values(), ("function",), "?"))


@pytest.mark.parametrize(
    "broken",
    [
        b
        for b in BROKEN
        if b.rule in {"unknown-key", "bad-unit", "raci-two-accountable"} and b.name != "money"
    ],
    ids=lambda b: b.id,
)
def test_an_editor_marks_what_the_check_would_refuse(broken):
    assert mistakes(read_charter_text(broken.text, file="c").value)


def test_nothing_in_the_schema_allows_an_empty_value():
    assert '"null"' not in json.dumps(SCHEMA)
