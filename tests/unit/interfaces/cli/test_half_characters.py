# SPDX-License-Identifier: Apache-2.0
"""Bytes that are no text are refused in words before anything looks at them; another program's words are its own."""

from __future__ import annotations

import json

import pytest

from pilothouse.app import command_tree
from pilothouse.interfaces.cli.main import run_cli

HALF = b"a\xffb".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "words",
    [
        ("verdict", HALF),
        ("pause", "agent", "--reason", HALF),
        ("phase", "rollback", "--as", "dana", "--reason", HALF),
        ("evidence", "waive", "EVAL-2", "--until", "2026-12-05", "--reason", HALF),
        ("credential", "add", "erp", "--file", HALF),
        ("audit", "erase", HALF, "--reason", "asked"),
        ("check", HALF),
        (HALF,),
    ],
)
def test_a_word_that_is_no_text_is_a_mistake_and_no_bug(words, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        run_cli(command_tree(), words)
    assert ended.value.code == 2
    assert "'a�b' is no UTF-8 text" in capsys.readouterr().err


def test_it_is_one_in_json_too(capsys):
    with pytest.raises(SystemExit):
        run_cli(command_tree(), ["verdict", HALF, "--json"])
    assert "no UTF-8 text" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_what_another_program_is_given_is_not_ours(capsys):
    with pytest.raises(SystemExit):
        run_cli(command_tree(), ["no-such-command", "--", HALF])
    assert "UTF-8" not in capsys.readouterr().err
