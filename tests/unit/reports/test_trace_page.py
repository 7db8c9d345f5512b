# SPDX-License-Identifier: Apache-2.0
"""The Trace page survives any trace: no root, circles, negative times, hostile and huge texts, thousands of spans."""

from __future__ import annotations

import time
from dataclasses import replace

import page_world as world
import pytest

from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.ports.lake import TraceView
from pilothouse.reports.foreign import FIELD_BYTES_MAX, size_text
from pilothouse.reports.html import render_body
from pilothouse.reports.trace import BARS_MAX, build_trace

TASK = world.make_tasks()[0]


def page_of(*spans, task=TASK, outcome=None, total=None):
    view = TraceView(task=task, spans=spans, spans_total=len(spans) if total is None else total)
    return build_trace(world.AGENT, TASK.trace_id, view, outcome, world.NOW)


def test_spans_stand_below_their_parents_in_start_order():
    page = build_trace(world.AGENT, TASK.trace_id, world.make_trace(TASK), None, world.NOW)
    assert [(row.depth, row.label) for row in page.spans[:3]] == [
        (0, "invoke_agent"),
        (1, "model"),
        (1, "tool"),
    ]
    assert all(0 <= row.left <= 1 and 0 <= row.width <= 1 for row in page.spans)


def test_a_trace_without_a_root_is_shown_as_unplaced_and_named():
    page = page_of(
        world.make_span("", 1, parent_span_id="dead"), world.make_span("", 2, parent_span_id="dead")
    )
    assert not page.spans
    assert len(page.unplaced) == 2
    assert "No root span arrived." in page.findings


def test_parents_in_a_circle_end_and_are_named():
    one = world.make_span("", 1, parent_span_id=f"{2:016x}")
    two = world.make_span("", 2, parent_span_id=f"{1:016x}")
    page = page_of(world.make_span("", 0), one, two)
    assert len(page.unplaced) == 2
    assert any("circle" in finding for finding in page.findings)


def test_a_span_that_is_its_own_parent_and_one_that_comes_twice_are_shown_once():
    loop = world.make_span("", 3, parent_span_id=f"{3:016x}")
    root = world.make_span("", 0)
    page = page_of(root, root, loop)
    assert len(page.spans) == 1
    assert len(page.unplaced) == 1


def test_negative_durations_are_unknown_and_named():
    span = world.make_span("", 0)
    page = page_of(replace(span, duration_ns=-5, end_ns=span.start_ns - 5))
    assert page.spans[0].took.shown == "unknown"
    assert page.spans[0].width == 0
    assert any("before they start" in finding for finding in page.findings)


def test_an_empty_trace_says_that_nothing_is_stored():
    assert "No span of this task is stored" in str(render_body(page_of()))


def test_more_spans_than_fit_are_counted_and_the_page_stays_quick():
    spans = [world.make_span("", n, parent_span_id=f"{n - 1:016x}" if n else None) for n in range(2_000)]
    start = time.process_time()
    page = page_of(*spans, total=20_000)
    assert len(page.spans) == BARS_MAX
    assert page.hidden == "19,800 further spans of 20,000 not shown."
    assert max(row.depth for row in page.spans) == 8
    assert time.process_time() - start < 5


@pytest.mark.parametrize("field", ["input", "output", "attributes", "events"])
def test_hostile_text_is_shown_as_text_with_visible_marks(field):
    page = page_of(replace(world.make_span("", 0), **{field: world.HOSTILE}, name=world.HOSTILE))
    body = str(render_body(page))
    for bad in ("<script>", "\u202e", "\u200b", "\x1b", "\x07"):
        assert bad not in body
    assert "&lt;script&gt;" in body
    assert "⟨U+202E⟩" in body
    assert "{{ 7*7 }}" in body


def test_a_megabyte_is_cut_at_4_kb_says_its_size_and_offers_the_whole():
    page = page_of(replace(world.make_span("", 0), output="é" * 500_000, cut_bytes=2_000_000))
    field = next(field for field in page.spans[0].fields if field.name == "output")
    assert len(field.text.text.encode()) <= FIELD_BYTES_MAX
    assert field.text.note == "first 4.1 kB of 1 MB"
    assert "2 MB cut when it was taken in" in page.spans[0].facts
    assert field.download.endswith(f"/{0:016x}/output.txt")


def test_deep_json_is_shown_as_it_stands():
    deep = "[" * 5_000 + "]" * 5_000
    page = page_of(replace(world.make_span("", 0), input=deep))
    assert page.spans[0].fields[0].text.text.startswith("[[[[")


@pytest.mark.parametrize("between", ["1", '"]"', r'"\"]"'])
def test_json_that_many_lines_would_indent_a_thousand_deep_is_shown_as_it_stands(between):
    deep = "[" * 900 + ",".join([between] * 10_000) + "]" * 900
    page = page_of(replace(world.make_span("", 0), input=deep))
    assert page.spans[0].fields[0].text.note == f"first 4.1 kB of {size_text(len(deep))}"


def test_json_of_ordinary_depth_is_laid_out_in_lines():
    page = page_of(replace(world.make_span("", 0), input='{"lines": [{"note": "[[[", "amount": 1}]}'))
    assert page.spans[0].fields[0].text.text.splitlines()[:3] == ["{", '  "lines": [', "    {"]


def test_many_large_texts_leave_the_page_in_its_budget():
    spans = [
        replace(world.make_span("", n, parent_span_id=None), input="x" * 9_000, output="y" * 9_000)
        for n in range(200)
    ]
    body = str(render_body(page_of(*spans)))
    assert len(body) < 1_500_000


def test_a_streamed_answer_says_when_its_first_words_came():
    span = world.make_span("", 0, operation="chat")
    assert not [fact for fact in page_of(span).spans[0].facts if "first words" in fact]
    streamed = page_of(replace(span, first_chunk_ns=420_000_000)).spans[0].facts
    assert "first words after 420 ms" in streamed


def test_unknown_cost_is_the_word_unknown():
    page = page_of(replace(world.make_span("", 0, operation="chat"), cost_usd_text=None))
    assert "cost unknown" in page.spans[0].facts
    assert (
        "cost unknown"
        in page_of(replace(world.make_span("", 0, operation="chat"), cost_usd_text="many")).spans[0].facts
    )


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (OutcomeStatus.VERIFIED, "agrees"),
        (OutcomeStatus.CONTRADICTED, "otherwise"),
        (OutcomeStatus.PENDING, "has not answered yet"),
        (OutcomeStatus.UNVERIFIABLE, "cannot tell"),
    ],
)
def test_claim_stands_beside_outcome(status, says):
    outcome = replace(next(iter(world.make_outcomes(world.make_tasks()).values())), status=status)
    page = page_of(world.make_span("", 0), outcome=outcome)
    assert says in page.sentence.plain
    assert page.claim.claim.text.startswith("{")
    assert page.claim.attempts == "asked 1 time"
    assert page.claim.verifier == "verifiers.erp:routing_matches@sha256:5010386b0f11"


def test_a_task_without_a_claim_says_so():
    page = page_of(world.make_span("", 0), task=replace(TASK, claim=None))
    assert page.sentence.plain == "This task claims nothing that could be checked."
    assert page.mark.word == "Not checked"


def test_a_word_longer_than_the_page_is_kept_whole_for_the_style_sheet_to_break():
    page = page_of(world.make_span("", 0, name="x" * 90))
    assert page.spans[0].name == "x" * 90
