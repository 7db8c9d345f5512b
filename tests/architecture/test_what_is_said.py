# SPDX-License-Identifier: Apache-2.0
"""A command puts names into a line through a console of ours, which shows what a terminal would obey."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pilothouse.interfaces.cli

COMMANDS = sorted(Path(pilothouse.interfaces.cli.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_no_command_writes_a_filled_line_past_the_consoles(path):
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"typer.echo", "click.echo", "print"}:
            filled = [part for part in ast.walk(call) if isinstance(part, ast.JoinedStr)]
            assert not filled, f"{path.name}:{call.lineno}: use `say`"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_no_command_makes_a_console_of_its_own(path):
    """Nine did, so `gate` and `eval label` obeyed escape sequences that stood in an agent's answer."""
    made = [
        call.lineno
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == "Console"
    ]
    assert not made or path.name == "consoles.py", f"{path.name}:{made}: use `result_console`"
