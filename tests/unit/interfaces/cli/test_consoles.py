# SPDX-License-Identifier: Apache-2.0
"""A table in a pipe is as wide as it needs to be: no cell of it is cut."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.app import command_tree
from pilothouse.evals.answers import Answer
from pilothouse.interfaces.cli.consoles import print_json, result_console, say, spell_unwritable
from pilothouse.interfaces.cli.judging import _ask
from pilothouse.interfaces.cli.main import run_cli

MODEL = "acme-large-with-a-long-name-2026-09-30"


def printed(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    table = Table("model", "source", "class")
    table.add_row(MODEL, "the provider's invoice of September, page 14", "input")
    result_console().print(table)
    return out.getvalue()


def test_a_pipe_gets_whole_cells_and_a_set_width_is_obeyed(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert MODEL in printed(monkeypatch)
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, printed(monkeypatch).splitlines())) <= 50


def test_what_a_terminal_would_obey_is_a_mark(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    result_console().print("key \x1b[31mred\x1b]0;pwn\x07 \u202eyap \ud800\nnext")
    assert out.getvalue() == "key ⟨U+001B⟩[31mred⟨U+001B⟩]0;pwn⟨U+0007⟩ ⟨U+202E⟩yap ⟨U+D800⟩\nnext\n"


def test_a_mark_stands_wherever_rich_puts_a_text(monkeypatch):
    """Cells of tables, texts that were styled before and what is set in from the left passed as they were."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    table = Table("place")
    table.add_row("eu\x1b[2J")
    table.add_row(Text("us\x9b2J"))
    console = result_console()
    console.print(table, Padding("a\x1b[2J", (0, 0, 0, 2)), Text("b\u202e"))
    assert not {"\x1b", "\x9b", "\u202e"} & set(out.getvalue())
    assert out.getvalue().count("⟨U+001B⟩") == 2


def test_an_answer_that_is_labelled_in_a_terminal_repaints_nothing(monkeypatch):
    """Whoever labels saw what the agent's answer made of the screen; the agent that is tested wrote over its verdict."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    answer = Answer(
        id="0" * 16, case_id="c\x1b[1A", task_type="a", input="asked", output="wrong\x1b[2K\rright"
    )
    assert _ask(result_console(), answer, "1 of 1") == "n"
    assert not {"\x1b", "\r"} & set(out.getvalue())


@pytest.mark.parametrize("err", [False, True])
def test_a_line_with_a_hostile_name_is_said_with_marks(err, capsys):
    """A reason of a pause and a name of an agent went to the terminal as they were."""
    say("ap\x1b[2J\u202e is paused\n  by sam", err=err)
    written = capsys.readouterr()
    assert (written.err if err else written.out) == "ap⟨U+001B⟩[2J⟨U+202E⟩ is paused\n  by sam\n"


@pytest.mark.parametrize("words", [["contact", "set", "--help"], ["explain", "quality_interval", "--json"]])
def test_no_command_fails_for_a_character_that_the_terminal_lacks(words, monkeypatch):
    """In a locale without UTF-8 a help page, `doctor` and `check` ended as a bug of ours, at their first ellipsis."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit) as ended:
        run_cli(command_tree(), words)
    sys.stdout.flush()
    assert ended.value.code == 0
    assert written.getvalue().isascii()


def test_a_spelt_document_is_the_same_document(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    spell_unwritable()
    sys.stdout.write(json.dumps({"says": "M\u00fcller \u2026 \U0001f600"}, ensure_ascii=False))
    sys.stdout.flush()
    assert written.getvalue() == b'{"says": "M\xfcller \\u2026 \\ud83d\\ude00"}'
    assert json.loads(written.getvalue().decode("latin-1")) == {"says": "Müller … 😀"}


def test_json_goes_through_any_pipe_and_hides_nothing(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    said = {"said": "déjà \u202eyap \ud800", "at": "2026-11-30"}
    print_json(said)
    out.flush()
    text = out.buffer.getvalue().decode("ascii")
    assert json.loads(text) == said
    assert "\\u202e" in text
