# SPDX-License-Identifier: Apache-2.0
"""The 30-day plan: dates from its first day, a proof or what is missing on each line, and nothing ticked by hand."""

from __future__ import annotations

import io
from datetime import date, timedelta
from types import SimpleNamespace

import page_site
import page_world as world
import pytest
from rich.console import Console

from pilothouse.core.evidence.evidence import Source
from pilothouse.core.verdict.signing import SignatureState, asked_signatures, signature_record
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import UsageError
from pilothouse.reports.terminal_sections import render_sections
from pilothouse.reports.view_models import page_json
from pilothouse.workflows.reports.report import show_executive, write_executive
from pilothouse.workflows.reports.sprint import parse_start, show_sprint
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW = world.AGENT, world.NOW


@pytest.fixture
def installation(tmp_path):
    return page_site.make_installation(tmp_path / "home")


def plan(installation, start=None, *, freeze=False):
    found = assess(installation, AGENT, NOW, freeze=freeze)
    return show_sprint(installation, found, start)


def line(page, words):
    cells = next(one.cells for week in page.sections for one in week.rows if words in one.cells[1].text)
    return SimpleNamespace(
        mark=cells[0].mark, proof=cells[2].text, command=cells[3].command, who=cells[3].small,
        is_done=cells[0].mark.word == "Done",
    )  # fmt: skip


def test_dates_come_from_the_first_day_and_what_is_late_is_said(installation):
    page = plan(installation, date(2026, 11, 9))
    assert [week.note for week in page.sections] == [
        "9 Nov 2026 to 15 Nov 2026", "16 Nov 2026 to 22 Nov 2026",
        "23 Nov 2026 to 29 Nov 2026", "30 Nov 2026 to 6 Dec 2026",
    ]  # fmt: skip
    assert "Day 13 of 30, week 2" in page.sentence.plain
    assert page.sentence.plain.endswith("go or no-go is due on 8 Dec 2026.")
    assert line(page, "owner has accepted").mark.word == "Overdue"
    assert line(page, "Labelled cases").mark.word == "Open"
    assert page.mark.status is Status.AT_RISK
    assert page.action.command == line(page, "owner has accepted").command


def test_a_line_is_done_by_its_proof_alone(installation, tmp_path):
    before = plan(installation, NOW.date())
    for words in ("owner has accepted", "first verdict", "executive sheet"):
        assert not line(before, words).is_done
        assert line(before, words).command.startswith("pilothouse ")
    ledger, charter = installation.ledger, world.charter()
    for asked in asked_signatures(charter, (), NOW, "OWN-1"):
        record = signature_record(
            asked, AGENT, asked.person, NOW - timedelta(hours=1), Source(command="test")
        )
        ledger.add_evidence([record])
    found = assess(installation, AGENT, NOW, freeze=True)
    write_executive(installation, show_executive(installation, found), tmp_path / "sheet.html")
    after = plan(installation, NOW.date())
    for words in ("owner has accepted", "first verdict", "executive sheet"):
        assert line(after, words).is_done, words
        assert line(after, words).command == ""
    assert "signed by" in line(after, "owner has accepted").proof
    assert line(plan(installation, NOW.date() + timedelta(days=1)), "executive sheet").mark.word == "Open", (
        "a sheet of before the first day is no proof of this plan"
    )


def test_scoring_counts_days_whose_tasks_were_answered(installation):
    page = plan(installation, (NOW - timedelta(days=10)).date())
    assert line(page, "Scoring ran").is_done
    few = plan(installation, (NOW - timedelta(days=2)).date())
    assert not line(few, "Scoring ran").is_done
    assert "on 3 days since" in line(few, "Scoring ran").proof
    future = plan(installation, (NOW + timedelta(days=2)).date())
    assert "on 0 days since" in line(future, "Scoring ran").proof


def test_the_plan_begins_with_the_first_charter_and_every_face_shows_the_same(installation):
    page = plan(installation)
    assert page.start == NOW.date(), "no acceptance is on record in this world"
    console = Console(file=io.StringIO(), width=100)
    render_sections(page, console)
    text = console.file.getvalue()
    assert [week.title for week in page.sections] == [
        "Week 1: Audit", "Week 2: Baseline", "Week 3: Integrations", "Week 4: Commitment",
    ]  # fmt: skip
    for week in page.sections:
        assert week.title in text
        for one in week.rows:
            assert one.cells[1].text[:20] in text
    assert page.digest in page_json(page)


def test_open_signatures_name_who_must_sign(installation):
    asked = asked_signatures(world.charter(), (), NOW, "OWN-10")
    assert all(one.state is SignatureState.MISSING for one in asked)
    assert line(plan(installation), "Resources").who == "V. Petrov"


def test_a_day_that_is_none_says_how_to_write_it():
    assert parse_start("2026-11-02") == date(2026, 11, 2)
    with pytest.raises(UsageError, match="is no day"):
        parse_start("soon")


def test_a_plan_that_begins_later_says_when(installation):
    page = plan(installation, NOW.date() + timedelta(days=25))
    assert page.sentence.plain.startswith("Begins in 25 days: ")


@pytest.mark.parametrize("start", [date.min, date.max])
def test_a_plan_of_another_century_is_refused(installation, start):
    with pytest.raises(UsageError, match="more than ten years from now"):
        plan(installation, start)
