# SPDX-License-Identifier: Apache-2.0
"""A table in a pipe is as wide as it needs to be: no cell of it is cut."""

from __future__ import annotations

import io
import sys

from rich.table import Table

from pilothouse.interfaces.cli.consoles import result_console

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
