# SPDX-License-Identifier: Apache-2.0
"""Whoever adds cases because a verdict said so learns what the verdict still needs."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pilothouse.app import command_tree


def test_what_was_added_says_how_a_verdict_comes_to_know_it(tmp_path):
    cases, folder = tmp_path / "cases.jsonl", tmp_path / "my cases"
    cases.write_text('{"input": "a", "expected": "b"}\n', encoding="utf-8")
    done = CliRunner().invoke(command_tree(), ["dataset", "add", str(folder), str(cases)])
    assert done.exit_code == 0
    assert f"pilothouse dataset show '{folder}' --record AGENT" in done.stderr.replace("\n", "")


@pytest.mark.parametrize(
    ("charter", "taken"),
    [
        ("task_types: {only: {share: 1.0}}", "only"),
        ("task_types: {one: {share: 0.5}, two: {share: 0.5}}", "task"),
        ('task_types: "?"', "task"),
        ("task_types: {", "task"),
    ],
)
def test_a_case_without_a_type_is_of_the_only_one_of_the_charter_beside(
    tmp_path, monkeypatch, charter, taken
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "charter.yaml").write_text(charter, encoding="utf-8")
    cases = [{"input": "a", "expected": "b"}, {"input": "c", "expected": "d", "task_type": "own"}]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, cases)), encoding="utf-8")
    assert CliRunner().invoke(command_tree(), ["dataset", "add", "set", "cases.jsonl"]).exit_code == 0
    written = (tmp_path / "set" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["task_type"] for line in written] == [taken, "own"]
