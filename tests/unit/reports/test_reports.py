# SPDX-License-Identifier: Apache-2.0
"""The sheet, the note and the map: what they say, that the PDF is tagged and reproducible, and that no formula reads a survey."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from evidence_made import everything_holds, load_charter, replaced
from json_texts import strings_in
from pdf_text import pdf_text
from rich.console import Console

from pilothouse.core.action.demotion import Act, ActState, Move
from pilothouse.core.dates import day
from pilothouse.core.evidence.task import CostState
from pilothouse.core.verdict.framework import FRAMEWORK, requirement_named
from pilothouse.core.verdict.signing import asked_signatures
from pilothouse.core.verdict.stall import Stall, StallLevel
from pilothouse.core.verdict.waiver import unwaivable
from pilothouse.errors import StorageUnavailable, UsageError
from pilothouse.ports.audit import AuditRecord
from pilothouse.reports.audit import AuditFacts, build_audit
from pilothouse.reports.compliance import NONE_CHECKED, build_compliance
from pilothouse.reports.context import benchmarks, control_map
from pilothouse.reports.executive import stall_words
from pilothouse.reports.html import render_body, render_report
from pilothouse.reports.pdf import render_pdf
from pilothouse.reports.terminal_report import render_executive
from pilothouse.reports.terminal_sections import render_sections
from pilothouse.reports.view_models import page_json
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.curation.corrections_week import CorrectionsWeek, corrections_of_note
from pilothouse.workflows.ground.act_log import write_act
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.people.signing import waive
from pilothouse.workflows.reports.report import (
    record_spending,
    show_compliance,
    show_executive,
    show_weekly,
    write_executive,
)
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

ROOT = Path(__file__).parents[3]
CHARTER = ROOT / "tests" / "golden" / "charters" / "ap-invoice-triage.yaml"
AGENT = "ap-invoice-triage"
NOW = EXAMPLE_NOW


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    ledger = MemoryLedger()
    accept_file(ledger, CHARTER, NOW - timedelta(days=40), actor="test")
    records = everything_holds(load_charter(), NOW)
    ledger.add_evidence(replaced(records, "hosts_observed", n=5_000, good=4_000))
    home = load_settings({}, home=tmp_path_factory.mktemp("reports"))
    return Installation(settings=home, clock=FixedClock(), lake=MemoryLake(), ledger=ledger)


@pytest.fixture(scope="module")
def found(installation):
    return assess(installation, AGENT, NOW, freeze=False)


@pytest.fixture(scope="module")
def sheet(installation, found):
    return show_executive(installation, found)


def printed(render, page, width=160):
    console = Console(width=width, record=True, file=io.StringIO())
    render(page, console)
    return console.export_text()


def test_the_sheet_says_the_same_on_page_and_terminal(sheet, found):
    file, text = render_report(sheet), printed(render_executive, sheet)
    for said in (
        found.verdict.word,
        sheet.domains[0].requirement,
        sheet.numbers[0].value.shown,
        "Owner: D. Ruiz",
    ):
        assert said in file
        assert said in text
    assert benchmarks().note in file
    assert "not stated" in file


def test_what_would_change_the_verdict_is_said_in_words_before_ids(sheet):
    for step in sheet.steps:
        statement, items = step.why.split(": ", 1)
        assert statement == requirement_named(items.split(" ", 1)[0]).statement
        assert statement in printed(render_executive, sheet, width=2_000)


def test_the_sheet_leaves_out_no_condition_and_no_signature(tmp_path):
    ledger = MemoryLedger()
    accept_file(ledger, CHARTER, NOW, actor="test")
    empty = Installation(
        settings=load_settings({}, home=tmp_path), clock=FixedClock(), lake=MemoryLake(), ledger=ledger
    )
    found = assess(empty, AGENT, NOW, freeze=False)
    verdict = found.verdict
    by_id = {one.requirement: one for one in verdict.requirements}
    gate = [
        name
        for name in next(one for one in verdict.gates if one.gate == "1").no_evidence
        if unwaivable(name, by_id[name].items) is None
    ]
    assert len(gate) > 15
    until = NOW + timedelta(days=20)
    for name in gate:
        waive(
            ledger,
            verdict,
            name,
            further=found.further,
            person="vp",
            actor="vp",
            reason="due within the month",
            until=until,
            now=NOW,
        )
    page = show_executive(empty, assess(empty, AGENT, NOW, freeze=False))
    (line,) = page.conditions
    assert line.startswith(
        f"{len(gate)} waived by V. Petrov until {day(until)}, 'due within the month': The inventory of systems is complete (INT-1); "
    )
    assert re.findall(r"\(([A-Z]+-\d+)\)", line) == list(gate)
    assert page.unknown[-1] == f"What is waived above without evidence: {len(gate)} requirements"
    assert all(one.startswith("Not signed by ") for one in page.signatures)
    said = {name for one in page.signatures for name in one.split(": ")[1].split(", ")}
    assert said == {one.requirement for one in asked_signatures(charter_of(ledger.charters()[0]), [], NOW)}


def test_no_backtick_is_left_on_a_page_where_something_can_be_typed(sheet):
    record = AuditRecord(position=0, kind="verdict.acted", agent="a", at=NOW, text='{"document": {}}')
    facts = AuditFacts(size=1, checkpoints=(), anchors=(), verified=None, key="", records=(record,))
    audit = build_audit(facts, NOW)
    noted = audit.sections[0].model_copy(update={"note": "8 prices known, see `pilothouse price`"})
    page = render_body(audit.model_copy(update={"sections": (noted,)}))
    assert "see <code>pilothouse price</code>" in str(page)
    assert any("`" in source for one in sheet.numbers for source in one.sources)
    assert "`" not in str(render_body(sheet))


def squeezed(text):
    return re.sub(r"\s+", "", text)


def test_page_terminal_json_and_pdf_show_the_same_numbers_of_the_same_moment(sheet):
    document = json.loads(page_json(sheet))
    said = {
        document["sentence"]["plain"],
        document["word"],
        *(one["value"]["shown"] for one in document["numbers"]),
        *(one["measured"] for one in document["domains"]),
        *(one["measured"] for one in document["outcomes"]),
        *(one["committed"] for one in document["outcomes"]),
        *document["foot"],
    } - {""}
    faces = {
        "page": html.unescape(re.sub(r"<[^>]+>", " ", str(render_body(sheet)))),
        "terminal": printed(render_executive, sheet, width=2_000),
        "pdf": pdf_text(render_pdf(sheet)),
    }
    assert len(said) > 12
    for name, face in faces.items():
        missing = {one for one in said if squeezed(one) not in squeezed(face)}
        assert not missing, (name, missing)
    known = squeezed(" ".join(strings_in(document)))
    pages = set(re.findall(r"display|page (\d+)", faces["pdf"]))
    for name, face in faces.items():
        numbers = set(re.findall(r"\d[\d.,]*\d|\d", face)) - pages
        assert len(numbers) > 20
        assert not {one for one in numbers if one not in known}, name


def test_the_pdf_is_tagged_reproducible_and_reads_text_as_data(sheet):
    made = render_pdf(sheet)
    assert made == render_pdf(sheet)
    assert b"pdfuaid:part" in made
    assert b"StructTreeRoot" in made
    heading = '#read("/etc/passwd") $x$ *b* <script>'
    assert squeezed(heading) in squeezed(pdf_text(render_pdf(sheet.model_copy(update={"heading": heading}))))


def test_a_written_sheet_is_recorded_with_its_digest(installation, sheet, tmp_path):
    digest = write_executive(installation, sheet, tmp_path / "sheet.pdf")
    assert write_executive(installation, sheet, tmp_path / "again.pdf") == digest
    assert write_executive(installation, sheet, tmp_path / "sheet.html") != digest
    rows = installation.ledger.decisions(AGENT, kind="report.written")
    assert digest in rows[-1].document
    with pytest.raises(UsageError, match="neither"):
        write_executive(installation, sheet, tmp_path / "sheet.docx")
    with pytest.raises(StorageUnavailable):
        write_executive(installation, sheet, tmp_path / "no" / "sheet.pdf")


def test_the_weekly_note_is_three_sentences_each_line_one(installation, found):
    note = show_weekly(installation, found)
    lines = note.text.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert len(re.findall(r"[.!?](?:\s|$)", line)) == 1, line
    assert "no verdict a week ago" in lines[0]
    assert lines[2].startswith("Next to lapse, on ")
    for line in lines:
        asked = re.search(r"(?:decided by|make sure|lapse, on [^:]+): ([^:]+?) \(([A-Z]+-\d+)\)", line)
        assert asked, line
        assert asked[1].lower() == requirement_named(asked[2]).statement.lower()


def test_the_note_tells_what_corrections_achieved_where_people_review(installation, found):
    week = CorrectionsWeek(
        corrections=31, cases=4, examples=9, caught=2, lift=(0.06, 0.01, 0.11), repeats=8, repeats_equal=7
    )
    note = show_weekly(installation, found, corrections=corrections_of_note(week))
    first, *others = note.text.splitlines()
    assert len(others) == 2
    assert "; 31 corrections became 4 cases and 9 examples; 2 cases from reviews caught" in first
    assert first.endswith("Reviewers gave 7 of 8 hidden repetitions their earlier answer.")
    assert len(re.findall(r"[.!?](?:\s|$)", first)) == 1


def test_a_week_without_corrections_adds_nothing_to_the_note(installation, found):
    quiet = CorrectionsWeek(corrections=0, cases=0, examples=0, caught=0, lift=None)
    assert corrections_of_note(quiet) == ""
    caught = CorrectionsWeek(corrections=0, cases=0, examples=0, caught=1, lift=None)
    assert "1 case from reviews caught" in corrections_of_note(caught)
    same = show_weekly(installation, found, corrections=corrections_of_note(quiet))
    assert same == show_weekly(installation, found)


def test_the_note_names_the_change_since_last_week(installation, found):
    assess(installation, AGENT, NOW - timedelta(days=7))
    assert "after NOT ENOUGH EVIDENCE in pilot a week ago" in show_weekly(installation, found).status.plain


def test_the_note_names_a_pause_until_a_person_has_ended_it(tmp_path):
    ledger, began = MemoryLedger(), NOW - timedelta(days=2)
    accept_file(ledger, CHARTER, NOW - timedelta(days=40), actor="test")
    home = load_settings({}, home=tmp_path)
    made = Installation(settings=home, clock=FixedClock(), lake=MemoryLake(), ledger=ledger)
    act = Act(
        state=ActState.DONE, move=Move.PAUSE, requirement="MON-2", phase=None, version=None, since=began,
        due_at=began, at=began, sentence="A mistake that must never happen.", remedy=f"pilothouse resume {AGENT}",
    )  # fmt: skip
    write_act(ledger, AGENT, act)
    found = assess(made, AGENT, NOW, freeze=False)
    assert "pause because of MON-2" in show_weekly(made, found).status.plain
    ledger.record(kind="agent.resumed", agent=AGENT, at=NOW - timedelta(days=1), actor="dana", document="{}")
    assert "pause" not in show_weekly(made, found).status.plain


def test_the_map_covers_only_what_evidence_covers_and_says_what_nobody_checked(found):
    page = show_compliance(found)
    assert [one.title for one in page.sections if one.style == "open"] == ["GDPR", "SOX"]
    rows = {row.cells[0].text: row.cells for one in page.sections for row in one.rows}
    assert (rows["Art. 15–17"][2].text, rows["Art. 15–17"][3].text) == ("not covered", "")
    assert rows["Art. 30"][2].mark.status.value == "breached"  # undeclared hosts were seen
    assert "The inventory of systems is complete (INT-1): breached" in rows["Art. 30"][3].text
    assert (NONE_CHECKED in page.notices[1], rows["Art. 30"][3].small) == (True, ""), (
        "said once, not in each row"
    )
    assert page.sentence.href == f"/agents/{AGENT}/readiness"
    text = printed(render_sections, page)
    assert "not covered" in text
    folded = next(one for one in page.sections if one.style == "folded")
    assert folded.title in text, "what the charter does not name is named"
    assert folded.rows[0].cells[1].text[:30] not in text
    assert "compliant" not in render_report(page).lower()


def test_a_regulation_without_a_map_is_named(found):
    charter = found.charter.model_copy(update={"regulations": ("dora",)})
    page = build_compliance(charter, found.verdict, NOW)
    assert "No map speaks of: dora." in page.notices
    assert "only for reading" in page.sentence.plain


def test_every_row_of_the_map_names_requirements_that_exist():
    ids = {one.id for one in FRAMEWORK}
    named = {name for one in control_map().framework for control in one.control for name in control.evidence}
    assert named <= ids


def test_no_formula_reads_the_survey():
    for path in (ROOT / "src" / "pilothouse" / "core").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "reports.context" not in text, path
        assert "benchmarks.toml" not in text, path


def test_spending_is_held_against_the_budget_and_the_unknown_is_no_record(installation, found):
    assert record_spending(installation, found) is None  # no task yet
    at = int((NOW - timedelta(days=20)).timestamp()) * 10**9
    priced = {"cost_known_usd": Decimal(15_000), "cost_state": CostState.KNOWN}
    task = example_task(trace_id="a" * 32, start_ns=at, end_ns=at + 1, task_type="po_invoice", **priced)
    lake = MemoryLake()
    lake.add([task])
    there = dataclasses.replace(installation, lake=lake, ledger=MemoryLedger())
    assert record_spending(there, found).passed is True
    lake.add([dataclasses.replace(task, trace_id="b" * 32)])
    over = record_spending(there, found)
    assert (over.passed, over.n) == (False, 2)
    assert "cost USD 30,000.00; planned for them are USD 20,000" in over.detail
    lake.add([dataclasses.replace(task, trace_id="c" * 32, cost_state=CostState.UNKNOWN)])
    assert record_spending(there, found) is None


def test_a_stall_is_told_with_who_can_end_it():
    stall = Stall(
        level=StallLevel.QUESTION,
        since=NOW - timedelta(days=200),
        days=200,
        requirement="OWN-7",
        blocked_since=NOW - timedelta(days=150),
        who=("sam",),
    )
    said = stall_words(stall, {"sam": "S. Ortega"})
    assert "200 days; since 23 Jun 2026 it waits for S. Ortega: operations exist and suffice (OWN-7)" in said
    assert stall_words(None, {}) == ""


def test_a_budget_of_nothing_has_lines_and_no_shares(installation, found):
    production = found.charter.budgets.production.model_copy(update={"amount": 0.0, "lines": {"model": 0.0}})
    budgets = found.charter.budgets.model_copy(update={"production": production})
    charter = found.charter.model_copy(update={"budgets": budgets})
    assert show_executive(installation, dataclasses.replace(found, charter=charter)).budget == (
        "model: USD 0",
    )
