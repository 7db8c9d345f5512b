# SPDX-License-Identifier: Apache-2.0
"""Nothing that anybody can write into a charter raises: it is a charter, or it is findings."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilothouse.connectors.charter_file import LOADER, read_charter_text
from pilothouse.core.charter.answers import open_paths
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import Effect, compare_charters
from pilothouse.core.charter.digest import charter_document
from pilothouse.core.charter.facts import CharterFacts, FileFact
from pilothouse.core.charter.files import named_files
from pilothouse.core.charter.findings import CharterCheck, FindingKind
from pilothouse.core.charter.located import LocatedTree
from pilothouse.core.charter.parse import check_charter
from pilothouse.core.charter.rules.table import RULES
from stubs.broken_charters import BROKEN, EXAMPLE, edited
from stubs.charter_trees import FACTS, check, example_values, with_value

TEXT = EXAMPLE.read_text(encoding="utf-8")
VALUES = example_values()
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def paths_of(value, path=()):
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, tuple) else ()
    for key, part in parts:
        yield from paths_of(part, (*path, key))


PATHS = [path for path in paths_of(VALUES) if path]
LEAVES = [
    path for path in PATHS if not any(other[: len(path)] == path for other in PATHS if len(other) > len(path))
]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["?", "none", "all", "30d", "0d", "2026-01-01", "dana", "erp", "po_invoice", "per_type", ""]
    ),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            st.one_of(st.text(max_size=8), st.sampled_from(["A", "R", "min", "max", "?", "id"])),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def told(values):
    tree = LocatedTree(file="charter.yaml", value=values)
    files = {name: FileFact(digest="0" * 64) for name in named_files(values)}
    facts = CharterFacts(today=date(2026, 11, 20), files=files)
    return assert_sound(check_charter(tree, facts))


def assert_sound(result):
    assert isinstance(result, CharterCheck)
    errors = result.of_kind(FindingKind.ERROR)
    assert (result.charter is None) == bool(errors)
    for finding in result.findings:
        assert finding.rule in RULES
        assert finding.kind is RULES[finding.rule].kind
        assert finding.message
        assert finding.remedy
    return result


@QUICK
@given(st.text(max_size=400))
def test_any_text_is_a_charter_or_findings(text):
    assert_sound(check_charter(read_charter_text(text, file="c.yaml"), FACTS))


YAML_PARTS = st.sampled_from([":", " ", "\n", "  ", "- ", "{", "}", "[", "]", ",", '"', "'", "#", "&a", "*a", "!!x", "|", ">", "?", "? ", "---", "...", "\t", "%", "@", "owner", "raci", "0.5", "<<", "\x00", "\ufeff", "\u2028", "é"])  # fmt: skip


@QUICK
@given(st.lists(YAML_PARTS, max_size=60).map("".join))
def test_anything_that_looks_like_yaml_is_a_charter_or_findings(text):
    assert_sound(check_charter(read_charter_text(text, file="c.yaml"), FACTS))


@QUICK
@given(st.integers(0, len(TEXT)), st.integers(0, 60), st.text(max_size=5))
def test_the_example_with_a_piece_cut_out_or_typed_in_is_a_charter_or_findings(at, length, typed):
    text = TEXT[:at] + typed + TEXT[at + length :]
    assert_sound(check_charter(read_charter_text(text, file="c.yaml"), FACTS))


@QUICK
@given(st.lists(st.tuples(st.sampled_from(PATHS), TREES), min_size=1, max_size=4))
def test_the_example_with_some_values_replaced_is_a_charter_or_findings(edits):
    values = VALUES
    for path, value in edits:
        try:
            values = with_value(values, path, value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier edit took that place away
    if isinstance(values, dict):
        told(values)


@QUICK
@given(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4))
def test_the_example_with_some_entries_missing_is_a_charter_or_findings(paths):
    values = VALUES
    for path in paths:
        values = without(values, path)
    told(values)


def without(values, path):
    key, rest = path[0], path[1:]
    if isinstance(values, dict) and key in values:
        if rest:
            return {**values, key: without(values[key], rest)}
        return {name: part for name, part in values.items() if name != key}
    if isinstance(values, tuple) and isinstance(key, int) and key < len(values):
        return (*values[:key], *((without(values[key], rest),) if rest else ()), *values[key + 1 :])
    return values


# Entries of one list have one form, so one of them stands for all; and measuring branches would triple the time of what
# other tests have covered.
ONE_OF_EACH = list(
    {tuple("*" if isinstance(key, int) else key for key in path): path for path in PATHS}.values()
)


@pytest.mark.slow
@pytest.mark.no_cover
def test_every_value_of_the_example_may_be_emptied_or_opened_one_at_a_time():
    for path in ONE_OF_EACH:
        for value in ("?", None, (), {}):
            result = told(with_value(VALUES, path, value))
            if value is None:
                assert result.charter is None


@QUICK
@given(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=6, unique=True))
def test_an_open_charter_lists_each_question_and_has_a_digest(paths):
    values = VALUES
    for path in paths:
        values = with_value(values, path, "?")
    result = told(values)
    if result.charter is not None:
        asked = result.of_kind(FindingKind.QUESTION)
        assert len(asked) == len(paths)
        assert all(finding.asked for finding in asked)
        assert open_paths(result.charter)
        assert len(result.charter.digest) == 64


@QUICK
@given(st.sampled_from(PATHS), TREES, st.sampled_from(PATHS), TREES)
def test_a_difference_is_empty_exactly_when_nothing_changed(old_path, old_value, new_path, new_value):
    old = told(with_value(VALUES, old_path, old_value)).charter
    new = told(with_value(VALUES, new_path, new_value)).charter
    if old is None or new is None:
        return
    diff = compare_charters(old, new)
    assert bool(diff.changes) == (charter_document(old) != charter_document(new))
    assert bool(diff.sections) == bool(diff.changes)
    effects = {change.effect for change in diff.changes}
    assert (Effect.WIDER in effects) <= any("more" in approval.because for approval in diff.approvals)
    assert (Effect.LOOSER in effects) <= any("less" in approval.because for approval in diff.approvals)


FORM = [
    b
    for b in BROKEN
    if b.rule in {"unknown-key", "bad-type", "bad-unit", "missing-key", "secret-in-charter", "no-owner"}
]


@QUICK
@given(st.sampled_from(FORM), st.sampled_from(FORM))
def test_two_slips_of_the_form_are_both_told(first, second):
    try:
        text = edited(*second.edits, text=first.text)
    except AssertionError:
        return  # the second slip needs a place that the first one took
    rules = {finding.rule for finding in assert_sound(check(text)).findings}
    assert {first.rule, second.rule} <= rules


def test_values_are_read_as_the_yaml_library_reads_them():
    loaded = yaml.load(Path(EXAMPLE).read_text(encoding="utf-8"), Loader=LOADER)
    assert set(loaded) == set(VALUES)
    assert loaded["people"] == VALUES["people"]
    assert Charter.model_validate(VALUES).agent == loaded["agent"]
