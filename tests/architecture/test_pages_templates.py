# SPDX-License-Identifier: Apache-2.0
"""Templates compute nothing, write nothing inline and escape everything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from source_tree import ROOT

FOLDERS = ("src/pilothouse/reports/templates", "src/pilothouse/interfaces/web/templates")
TEMPLATES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.html"))
ALLOWED_FILTERS = {
    "shape", "named_shape", "dots", "band", "share", "spark", "draw", "join", "lower", "typed", "whole",
}  # fmt: skip
"""Pictures from the view model, setting what can be typed as such or stays whole, and putting texts side by side."""


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_computes(path: Path):
    expressions = re.findall(r"{{(.*?)}}|{%(.*?)%}", path.read_text(encoding="utf-8"), re.DOTALL)
    for output, statement in expressions:
        code = re.sub(r'"[^"]*"', '""', output or statement)
        filters = set(re.findall(r"\|\s*([a-z_]+)", code))
        assert filters <= ALLOWED_FILTERS, code
        assert not re.search(r"[*%~]|//|\s[+]\s|\s-\s|\s/\s", code.strip("-+ ")), code


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_switches_escaping_off_or_writes_style_or_handlers_inline(path: Path):
    text = path.read_text(encoding="utf-8")
    assert "safe" not in re.findall(r"\|\s*([a-z]+)", text)
    assert "autoescape" not in text
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r'(?:href|src|action)="https?:', text)


def test_a_planted_sum_is_found():
    code = " page.a + page.b "
    assert re.search(r"\s[+]\s", code)
