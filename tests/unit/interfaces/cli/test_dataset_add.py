# SPDX-License-Identifier: Apache-2.0
"""Whoever adds cases because a verdict said so learns what the verdict still needs."""

from __future__ import annotations

from typer.testing import CliRunner

from pilothouse.app import command_tree


def test_what_was_added_says_how_a_verdict_comes_to_know_it(tmp_path):
    cases, folder = tmp_path / "cases.jsonl", tmp_path / "my cases"
    cases.write_text('{"input": "a", "expected": "b"}\n', encoding="utf-8")
    done = CliRunner().invoke(command_tree(), ["dataset", "add", str(folder), str(cases)])
    assert done.exit_code == 0
    assert f"pilothouse dataset show '{folder}' --record AGENT" in done.stderr.replace("\n", "")
