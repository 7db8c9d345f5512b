# SPDX-License-Identifier: Apache-2.0
"""A table of the command line is never cut: whole rows in a pipe, cells of several lines in a narrow terminal."""

from __future__ import annotations

import re
import sys

import pytest
from rich.table import Table

from pilothouse.interfaces.cli.consoles import print_table

MODEL = "acme-large-2026-04-12"


def table():
    made = Table("model", "source", "from", box=None)
    made.add_row(
        MODEL, "what the provider's price list says of the region in which the calls are", "2026-09-30"
    )
    return made


def test_in_a_pipe_a_row_is_one_line(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(table())
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["model", "source", "from"]
    assert re.split(r"\s{2,}", row.strip()) == [
        MODEL,
        "what the provider's price list says of the region in which the calls are",
        "2026-09-30",
    ]


@pytest.mark.parametrize("columns", [24, 40, 80])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_where_lines_have_a_width_nothing_is_cut(monkeypatch, capsys, columns, is_terminal):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    print_table(table())
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "…" not in said
    assert all(len(line) <= columns for line in said.splitlines())
    assert sorted(said.replace("\n", "").replace(" ", "")) == sorted(
        f"modelsourcefrom{MODEL}whattheprovider'spricelistsaysoftheregioninwhichthecallsare2026-09-30"
    )
