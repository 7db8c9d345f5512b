# SPDX-License-Identifier: Apache-2.0
"""Who hears a table hears its name, and in each row which row it is."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.sections import Cell, Row
from pilothouse.reports.view_models import mark_of

TEMPLATES = sorted(
    (one for one in (files("pilothouse.reports") / "templates").iterdir() if one.name.endswith(".html")),
    key=lambda one: one.name,
)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.name)
def test_every_table_has_a_name_and_every_row_a_head(template):
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"<table(?! aria-label=)", text)
    for body in re.findall(r"<tbody>.*?</tbody>", text, re.DOTALL):
        assert 'scope="row"' in body


def test_the_head_of_a_row_is_its_first_cell_without_a_mark():
    held = mark_of(Status.HOLDS, None)
    assert Row(cells=(Cell(mark=held), Cell(), Cell(text="erp"), Cell(text="x"))).head == 2
    assert Row(cells=(Cell(mark=held, text="holds"),)).head == -1
