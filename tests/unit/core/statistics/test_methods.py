# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import types

import pytest
from pydantic import TypeAdapter
from source_tree import ROOT

from pilothouse.core import statistics
from pilothouse.core.statistics import (
    METHODS,
    Estimate,
    Explanation,
    MethodId,
    NotEnoughEvidence,
    PairedNonInferiority,
    TestResult,
    find_method,
    jeffreys_interval,
    psi_test,
)
from pilothouse.core.statistics.methods import sentence_at
from pilothouse.errors import UnknownName


def test_every_method_is_explained_in_full():
    assert set(METHODS) == set(MethodId)
    for explanation in METHODS.values():
        assert explanation.sentence.endswith(".")
        assert explanation.assumptions
        assert explanation.formula
        assert any(digit.isdigit() for digit in explanation.reference)


def test_every_public_name_is_what_it_says_and_no_module():
    for name in statistics.__all__:
        assert not isinstance(getattr(statistics, name), types.ModuleType), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = statistics.nothing


def test_every_method_but_the_baseline_rule_names_a_public_function_or_class():
    names = {name.lower().replace("_", "") for name in statistics.__all__}
    assert not [method for method in MethodId if method.replace("_", "") not in names]


@pytest.mark.parametrize("typed", ["DropDetector", "drop_detector", "drop-detector", "DROP_DETECTOR"])
def test_a_method_is_found_however_it_is_typed(typed):
    assert find_method(typed) is MethodId.DROP_DETECTOR


def test_a_misspelt_method_gets_the_nearest_one():
    with pytest.raises(UnknownName, match="Did you mean 'quality_interval'"):
        find_method("QualityIntervall")
    with pytest.raises(UnknownName, match="no method 'MTTR'"):
        find_method("MTTR")


def test_a_sentence_takes_the_level_that_was_asked_for():
    assert "99 %" in sentence_at(MethodId.FAILURE_UPPER_BOUND, 0.99)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (jeffreys_interval(5, 10), Estimate),
        (jeffreys_interval(0, 0), NotEnoughEvidence),
        (psi_test([500, 500], [60, 40]), TestResult),
        (PairedNonInferiority(0.05).decide(6, 6, 200), type(PairedNonInferiority(0.05).decide(6, 6, 200))),
        (METHODS[MethodId.AGREEMENT], Explanation),
    ],
)
def test_results_survive_json_and_cannot_be_changed(value, kind):
    adapter = TypeAdapter(kind)
    assert adapter.validate_json(adapter.dump_json(value)) == value
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)


def test_scipy_stats_is_not_imported_before_a_test_needs_it():
    code = "import sys, pilothouse.core.statistics as s; [getattr(s, n) for n in s.__all__]; print('scipy.stats' in sys.modules, 'scipy.optimize' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_what_the_reference_names_is_there_to_import():
    table = [
        line for line in (ROOT / "docs/reference/statistics.md").read_text().splitlines() if line[:2] == "| "
    ]
    cells = [line.split("|")[1] for line in table[1:]]
    named = {name for cell in cells for name in re.findall(r"`([A-Za-z_]+)[`(]", cell)}
    assert len(named) > 40
    assert named - set(statistics.__all__) == set()
