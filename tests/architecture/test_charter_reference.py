# SPDX-License-Identifier: Apache-2.0
"""The reference of the charter says what the charter's model and rules say."""

import importlib.util

from source_tree import ROOT

from pilothouse.core.charter.rules.table import RULES
from pilothouse.core.charter.shape import known_keys

REFERENCE = ROOT / "docs" / "reference"


def charter_page_module():
    spec = importlib.util.spec_from_file_location("charter_page", ROOT / "docs" / "charter_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_page_is_the_generated_one():
    text = (REFERENCE / "charter.md").read_text(encoding="utf-8")
    assert text == charter_page_module().charter_page(), "run `make docs`"


def test_the_schema_is_the_generated_one():
    text = (REFERENCE / "charter.schema.json").read_text(encoding="utf-8")
    assert text == charter_page_module().schema_text(), "run `make docs`"


def test_every_key_of_the_file_and_every_rule_has_its_row():
    text = (REFERENCE / "charter.md").read_text(encoding="utf-8")
    for name in (*known_keys(()), *RULES):
        assert f"| `{name}` |" in text


def test_no_key_is_without_a_meaning():
    text = (REFERENCE / "charter.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.endswith("|  |")] == []
