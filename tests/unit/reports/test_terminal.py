# SPDX-License-Identifier: Apache-2.0
"""The terminal gets shapes and words, no control characters, and nothing it cannot show."""

from __future__ import annotations

import io
import re

import page_world as world
import pytest
from rich.console import Console

from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.readiness import build_readiness
from pilothouse.reports.terminal import plain_text, render_verdict
from pilothouse.reports.words import SHAPES, SHAPES_ASCII


@pytest.fixture(scope="module")
def page():
    tasks = world.make_tasks()
    return build_readiness(
        world.make_verdict(world.make_evidence(tasks, world.make_outcomes(tasks))), world.charter()
    )


def printed(page, *, width=100, encoding="utf-8", full=False, **options):
    raw = io.BytesIO()
    console = Console(
        file=io.TextIOWrapper(raw, encoding=encoding, write_through=True), width=width, **options
    )
    render_verdict(page, console, full=full)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal(page, width):
    assert max(len(line.rstrip()) for line in printed(page, width=width).splitlines()) <= width


def test_every_requirement_of_the_gate_ahead_is_there_and_later_ones_on_request(page):
    text, whole = printed(page), printed(page, full=True)
    ahead = [row.id for section in page.domains for row in section.requirements]
    later = [row.id for section in page.domains for row in section.later]
    assert all(re.search(rf"\b{name}\b", text) for name in ahead)
    assert all(re.search(rf"\b{name}\b", whole) for name in later)
    assert f"{len(later)} more requirements belong to later gates." in text


def test_what_is_not_decided_says_why_and_not_its_status_once_more(page):
    rows = [row for section in page.domains for row in section.requirements]
    undecided = [row.deciding for row in rows if row.mark.reason in {"stale", "insufficient"}]
    assert undecided
    text = " ".join(printed(page, width=2_000).split())
    assert all(" ".join(item.sentence.split()) in text for item in undecided)


def test_a_terminal_without_utf_8_gets_words_in_brackets(page):
    text = printed(page, encoding="ascii")
    assert "[BREACHED] Breached" in text
    assert "[none] No evidence" in text


def test_no_color_means_no_escape_sequence_and_the_shapes_stay(page, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(page, force_terminal=True, color_system="truecolor")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    assert "■ Breached" in text


def test_hostile_text_neither_steers_nor_colours(page):
    hostile = page.model_copy(update={"notices": (world.HOSTILE,), "agent": "a\x1b]0;x\x07"})
    text = printed(hostile)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]markup[/bold]" in text


def test_plain_text_keeps_line_breaks_only():
    assert plain_text("a\nb\x00\u2066c", Console(file=io.StringIO())) == "a\nb⟨U+0000⟩⟨U+2066⟩c"


def test_each_status_has_a_shape_of_its_own(page):
    assert len(set(SHAPES.values())) == len(set(SHAPES_ASCII.values())) == len(Status)
