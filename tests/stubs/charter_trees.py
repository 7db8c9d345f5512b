# SPDX-License-Identifier: Apache-2.0
"""Check texts and plain values of charters in tests, at a fixed day."""

from dataclasses import replace
from datetime import date

from pilothouse.connectors.charter_file import look_at_files, read_charter_text
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.files import named_files
from pilothouse.core.charter.models_known import MODEL_ALIASES
from pilothouse.core.charter.parse import check_charter
from stubs.broken_charters import EXAMPLE, FOLDER, edited

FACTS = CharterFacts(today=date(2026, 11, 20), model_aliases=MODEL_ALIASES)


def check(text, *, facts=FACTS, file="charter.yaml"):
    """Check a text with the files beside the example charter."""
    tree = read_charter_text(text, file=file)
    if facts.files is None:
        facts = replace(facts, files=look_at_files(FOLDER, named_files(tree.value)))
    return check_charter(tree, facts)


def charter(*edits):
    """Return the example charter with some texts replaced; it must stay valid."""
    result = check(edited(*edits))
    assert result.charter is not None, [finding.text for finding in result.findings]
    return result.charter


def example_values():
    """Return the plain values of the example charter."""
    return read_charter_text(EXAMPLE.read_text(encoding="utf-8"), file="charter.yaml").value


def with_value(values, path, value):
    """Return a copy of plain values with one replaced; None of the copy is shared where it differs."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(values, tuple):
        return (*values[:key], with_value(values[key], rest, value), *values[key + 1 :])
    return {**values, key: with_value(values[key], rest, value)}
