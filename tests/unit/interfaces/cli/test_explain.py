# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from pilothouse.core.statistics import METHODS, MethodId
from pilothouse.errors import UnknownName, UsageError
from pilothouse.interfaces.cli import explain


@pytest.fixture
def cli():
    app = typer.Typer()
    app.callback()(lambda: None)
    explain.register(app, None)
    return app


def run(cli, *arguments):
    return CliRunner().invoke(cli, ["explain", *arguments])


def test_one_method_prints_its_sentence_assumptions_formula_and_reference(cli):
    shown = " ".join(run(cli, "QualityInterval").output.split())
    explanation = METHODS[MethodId.QUALITY_INTERVAL]
    for text in (explanation.sentence, *explanation.assumptions, explanation.formula, explanation.reference):
        assert " ".join(text.split()) in shown


def test_json_is_the_explanation_and_nothing_else(cli):
    record = json.loads(run(cli, "drop_detector", "--json").stdout)
    assert record["sentence"] == METHODS[MethodId.DROP_DETECTOR].sentence
    everything = json.loads(run(cli, "--json").stdout)
    assert [m["method"] for m in everything["methods"]] == [m.value for m in METHODS]


def test_without_a_method_all_are_listed(cli):
    shown = run(cli).output
    assert all(method.value in shown for method in METHODS)


def test_a_misspelt_method_gets_the_nearest_one(cli):
    result = run(cli, "qualty_interval")
    assert isinstance(result.exception, UnknownName)
    assert "Did you mean 'quality_interval'?" in result.exception.message


def test_whoever_asks_about_a_requirement_is_told_where_it_is_shown(cli):
    error = run(cli, "mon-7").exception
    assert isinstance(error, UsageError)
    assert error.message == "MON-7 is a requirement, and no method of a number"
    assert "pilothouse verdict --full" in error.remedy
