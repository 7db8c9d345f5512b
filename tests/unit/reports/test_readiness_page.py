# SPDX-License-Identifier: Apache-2.0
"""The Readiness page says what the verdict says, for every status and reason."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import page_world as world
import pytest
from markupsafe import escape
from rich.console import Console

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.verdict import Reason, Status
from pilothouse.errors import UnknownName
from pilothouse.reports.html import render_body
from pilothouse.reports.readiness import build_readiness
from pilothouse.reports.terminal import render_verdict
from pilothouse.reports.view_models import mark_of, page_json

SCOPE = Scope(task_type="po_invoice")
SITUATIONS = {
    (Status.BREACHED, None): ("discrepancy", SCOPE, {"n": 400, "good": 340}),
    (Status.HOLDS, None): ("discrepancy", SCOPE, {"n": 4000, "good": 3990}),
    (Status.NO_EVIDENCE, Reason.INSUFFICIENT): ("discrepancy", SCOPE, {"n": 12, "good": 12}),
    (Status.NO_EVIDENCE, Reason.MISSING): None,
    (Status.NO_EVIDENCE, Reason.STALE): (
        "discrepancy",
        SCOPE,
        {
            "n": 4000,
            "good": 3990,
            "window_from": world.NOW - timedelta(days=30),
            "window_to": world.NOW - timedelta(days=20),
            "recorded_at": world.NOW - timedelta(days=20),
        },
    ),
    (Status.AT_RISK, None): (
        "discrepancy",
        SCOPE,
        {
            "n": 4000,
            "good": 3990,
            "window_from": world.NOW - timedelta(days=9),
            "window_to": world.NOW - timedelta(days=6),
            "recorded_at": world.NOW - timedelta(days=6),
        },
    ),
}


def find_item(page, scope="po_invoice · contradicted"):
    rows = [
        row
        for section in page.domains
        for row in (*section.requirements, *section.later)
        if row.id == "MON-7"
    ]
    return next(item for row in rows for item in row.items if item.scope == scope)


def page_in(situation):
    made = SITUATIONS[situation]
    evidence = () if made is None else (world.record(made[0], made[1], **made[2]),)
    return build_readiness(world.make_verdict(evidence), world.charter())


@pytest.mark.parametrize(
    "situation", SITUATIONS, ids=lambda pair: "-".join(str(part) for part in pair if part)
)
def test_each_status_has_its_mark_rule_evidence_and_next_step(situation):
    status, reason = situation
    item = find_item(page_in(situation))
    assert item.mark == mark_of(status, reason)
    assert item.rule == "at most 2 %, proved at 95 % confidence"
    assert item.command.startswith("pilothouse ")
    if reason is Reason.MISSING:
        assert (item.measured, item.dot, item.cases, item.age, item.lapses) == (None, None, "", None, None)
    else:
        assert item.measured is not None
        assert item.cases
        assert item.age.shown
        assert item.source == f"pilothouse verdict {world.AGENT}"
        assert item.lapses is not None
        assert 0 <= item.dot.low <= item.dot.value <= item.dot.high <= 1


def test_too_few_cases_say_how_many_are_needed():
    item = find_item(page_in((Status.NO_EVIDENCE, Reason.INSUFFICIENT)))
    assert item.cases.startswith("12 of about ")
    assert item.cases.endswith(" claims")


@pytest.mark.parametrize(
    "situation", SITUATIONS, ids=lambda pair: "-".join(str(part) for part in pair if part)
)
def test_page_json_and_terminal_say_the_same_sentence(situation):
    page = page_in(situation)
    console = Console(width=400, record=True, file=io.StringIO())
    render_verdict(page, console, full=True)
    sentence = page.sentence.plain
    assert sentence in console.export_text()
    assert json.loads(page_json(page))["sentence"]["plain"] == sentence
    assert escape(sentence) in render_body(page)


def test_requirements_that_block_come_first_in_their_domain():
    tasks = world.make_tasks()
    page = build_readiness(
        world.make_verdict(world.make_evidence(tasks, world.make_outcomes(tasks))), world.charter()
    )
    ranks = {status: rank for rank, status in enumerate(Status)}
    for section in page.domains:
        for rows in (section.requirements, section.later):
            order = [ranks[row.mark.status] for row in rows]
            assert order == sorted(order), section.key
    assert page.domains[2].requirements[0].id == "MON-7"


def test_the_gate_grid_agrees_with_the_gates_of_the_verdict():
    verdict = world.make_verdict()
    page = build_readiness(verdict, world.charter())
    for column, gate in enumerate(verdict.gates):
        cells = [section.cells[column] for section in page.domains]
        assert page.gates[column].gate == cells[0].gate == gate.gate
        shown = [cell.mark.status for cell in cells if cell.mark]
        assert gate.status in shown


@pytest.mark.parametrize(
    ("phase", "places"),
    [
        ("pilot", {"1": "ahead", "2": "", "3": ""}),
        ("1", {"1": "decides now", "2": "ahead", "3": ""}),
        ("2", {"2": "decides now", "3": "ahead", "1": ""}),
        ("3", {"3": "decides now", "1": "", "2": ""}),
    ],
)
def test_the_gate_that_was_passed_is_not_said_to_lie_ahead(phase, places):
    """In phase 2 the page called the gate into phase 2 the one ahead."""
    page = build_readiness(world.make_verdict(phase=phase), world.charter())
    assert {one.gate: one.place for one in page.gates if one.gate in "123"} == places


def test_narrowing_keeps_only_one_status_and_says_which():
    page = build_readiness(world.make_verdict(), world.charter(), show=Status.BREACHED)
    assert page.show == "breached"
    assert not any(section.requirements or section.later for section in page.domains)
    assert [link.text for link in page.filters if not link.href] == ["Breached"]


def test_the_title_begins_with_the_status_word():
    assert page_in((Status.BREACHED, None)).title.startswith("Breached · ")


def test_equal_verdicts_have_equal_digests_and_a_later_one_has_another():
    one, two = (build_readiness(world.make_verdict(), world.charter()) for _ in range(2))
    later = build_readiness(world.make_verdict(now=world.NOW + timedelta(minutes=1)), world.charter())
    assert one.digest == two.digest != later.digest


def test_a_charter_named_in_a_hostile_way_cannot_write_markup():
    verdict = world.make_verdict().model_copy(update={"notes": (world.HOSTILE,)})
    page = build_readiness(verdict, world.charter())
    body = str(render_body(page))
    assert "<script>alert" not in body
    assert "⟨U+202E⟩" in body
    assert "\u202e" not in body


def test_a_page_carries_the_parts_of_the_requirement_that_is_unfolded_and_the_report_those_of_all():
    verdict, charter = world.make_verdict(), world.charter()
    folded, one = (build_readiness(verdict, charter, unfold=name) for name in ("", "INT-1"))
    bodies = [str(render_body(page)) for page in (folded, one)]
    assert [body.count('<table aria-label="INT-1, parts"') for body in bodies] == [0, 1]
    assert [body.count(', parts" tabindex') for body in bodies] == [0, 1]
    assert 'href="?open=INT-1#INT-1"' in bodies[0]
    rows = sum(len(section.requirements) + len(section.later) for section in folded.domains)
    whole = build_readiness(verdict, charter, unfold="all")
    assert str(render_body(whole)).count(', parts" tabindex') == rows
    assert str(render_body(folded, links=False)).count(', parts" tabindex') == rows
    assert folded.digest != one.digest


def test_a_requirement_that_does_not_exist_cannot_be_unfolded():
    with pytest.raises(UnknownName, match="INT-1"):
        build_readiness(world.make_verdict(), world.charter(), unfold="INT-l")
