# SPDX-License-Identifier: Apache-2.0
"""A help page names values as a person writes them, and a usage error reads like every other error."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer.main

from pilothouse.app import command_tree
from pilothouse.interfaces.cli.main import run_cli


def everything(command: Any, path: str = "pilothouse") -> list[tuple[str, Any]]:
    """Return every command of the tree with its full name."""
    children = getattr(command, "commands", {})
    return [
        (path, command),
        *(pair for name in children for pair in everything(children[name], f"{path} {name}")),
    ]


@pytest.fixture(scope="module")
def parameters():
    tree = everything(typer.main.get_command(command_tree()))
    return [(path, parameter) for path, command in tree for parameter in command.params]


def test_no_flag_looks_as_if_it_took_a_value(parameters):
    assert {one.metavar for _, one in parameters if getattr(one, "is_flag", False)} == {""}


def test_a_flag_has_a_contrary_only_where_both_say_something(parameters):
    both = [path for path, one in parameters if getattr(one, "secondary_opts", ())]
    assert both == ["pilothouse drill fallback"], "asked when neither is given"


def test_every_other_value_has_a_name_that_is_no_type(parameters):
    for path, one in parameters:
        shown = one.metavar or one.display_type(typer.Context(typer.main.get_command(command_tree())))
        assert not {"<str>", "<path>", "<int>", "<float>"} & {shown}, f"{path} {one.name}"


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command line and return its status, stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        run_cli(command_tree(), list(words))
    said = capsys.readouterr()
    return int(str(ended.value.code)), said.out, said.err


def test_what_is_missing_is_said_with_what_to_type(capsys):
    status, out, err = typed(capsys, "pause")
    assert (status, out) == (2, "")
    assert err == "error: missing argument 'AGENT'\n  Run `pilothouse pause --help` to see how.\n"


@pytest.mark.parametrize("words", [(), ("value",), ("drill",)])
def test_whoever_types_no_command_reads_the_help_and_of_no_error(capsys, words):
    status, out, err = typed(capsys, *words)
    assert (status, err) == (2, "")
    assert "Usage: pilothouse" in out


def test_a_command_that_is_none_is_told_the_nearest(capsys):
    _, _, err = typed(capsys, "verdct")
    assert err.startswith("error: no such command 'verdct'. Did you mean 'verdict'?\n")


def test_wrong_usage_is_json_when_json_was_asked_for(capsys):
    status, out, err = typed(capsys, "gate", "--json")
    assert (status, err) == (2, "")
    assert json.loads(out)["error"]["code"] == "usage"


def test_a_file_that_is_not_there_is_no_bug_of_ours(capsys, tmp_path):
    status, _, err = typed(capsys, "dataset", "add", str(tmp_path / "set"), str(tmp_path / "cases.jsonl"))
    assert status == 2
    assert err == f"error: there is no file '{tmp_path}/cases.jsonl'\n  See what is there: `ls {tmp_path}`\n"
