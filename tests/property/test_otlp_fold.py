# SPDX-License-Identifier: Apache-2.0
"""Any order, split, repetition and delay of a trace's spans ends in the same task row."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_bodies import START_NS
from otlp_rows import core, fold

from pilothouse.core.evidence.task import TaskState
from pilothouse.lake.assembler import Assembler
from pilothouse.lake.fold import fold_trace, same_task
from pilothouse.lake.semconv import is_model_call

# Unit tests cover these branches; measuring them here again would only take time.
pytestmark = pytest.mark.no_cover

OPERATIONS = ("chat", "execute_tool", "invoke_agent", "invoke_workflow", "embeddings", "other")


@st.composite
def traces(draw):
    """A tree of up to 12 spans with arbitrary operations, usage, response ids, and sometimes a lost parent."""
    count = draw(st.integers(1, 12))
    spans = []
    for number in range(1, count + 1):
        attributes: dict[str, object] = {"gen_ai.operation.name": draw(st.sampled_from(OPERATIONS))}
        if draw(st.booleans()):
            attributes["gen_ai.usage.input_tokens"] = draw(st.integers(0, 10_000))
            attributes["gen_ai.usage.output_tokens"] = draw(st.integers(0, 10_000))
        if draw(st.integers(0, 3)) == 0:
            attributes["gen_ai.response.id"] = draw(st.sampled_from(("r1", "r2")))
        if draw(st.integers(0, 4)) == 0:
            attributes["pilothouse.task.type"] = draw(st.sampled_from(("a", "b")))
        begin = START_NS + draw(st.integers(0, 50))
        parent = draw(st.integers(0, count + 1)) if number > 1 else 0
        spans.append(
            {
                "span_id": number.to_bytes(8, "big"),
                "parent_span_id": parent.to_bytes(8, "big"),
                "attributes": attributes,
                "start": begin,
                "end": begin + draw(st.integers(0, 100)),
                "status": draw(st.sampled_from((0, 1, 2))),
            }
        )
    return core(spans)


@given(spans=traces(), data=st.data())
@settings(max_examples=300, deadline=None)
def test_order_and_repetition_do_not_change_the_row(spans, data):
    repeated = spans + data.draw(st.lists(st.sampled_from(spans), max_size=6))
    shuffled = data.draw(st.permutations(repeated))
    assert fold(shuffled) == fold(spans)


@given(spans=traces(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_split_over_any_times_ends_in_the_same_row(spans, data):
    """Through the assembler: what it closes, with what was stored before, folds to the same task."""
    arrivals = data.draw(st.permutations(spans))
    assembler = Assembler(grace_s=1.0, idle_s=3.0, late_s=1.0)
    stored = []
    at = 0.0
    last = None
    for span in arrivals:
        at += data.draw(st.sampled_from((0.0, 0.5, 2.0, 5.0)))
        closings = list(assembler.due(at))
        assembler.add_all([span], at)
        stored.append(span)
        for closing in closings:
            last = fold_trace(
                (*stored[:-1], *closing.spans), state=TaskState.COMPLETE, reason="", closed_ns=0
            )
    for closing in assembler.settle(also_rootless=True):
        last = fold_trace((*stored, *closing.spans), state=TaskState.COMPLETE, reason="", closed_ns=0)
    assert last is not None
    assert same_task(last, fold(spans))
    assert assembler.open_spans == 0


@given(spans=traces())
@settings(max_examples=200, deadline=None)
def test_no_token_is_counted_that_no_span_reported(spans):
    row = fold(spans)
    reported = sum((span.tokens_input or 0) + (span.tokens_output or 0) for span in spans)
    assert 0 <= row.tokens_input + row.tokens_output <= reported
    calls = [is_model_call(span.operation, has_usage=span.tokens_basis is not None) for span in spans]
    assert row.model_calls <= sum(calls)
