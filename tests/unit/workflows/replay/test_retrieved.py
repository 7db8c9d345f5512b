# SPDX-License-Identifier: Apache-2.0
import json
from types import SimpleNamespace

from pilothouse.workflows.replay.retrieved import CHARS_MIN, TEXTS_MAX, retrieved_texts


def span(output, operation="retrieval"):
    return SimpleNamespace(operation=operation, output=output)


def test_the_texts_of_documents_are_found_however_they_are_wrapped():
    documents = [
        {"id": "d1", "content": "The order is in Lyon."},
        {"parts": [{"text": "It left on Monday."}]},
    ]
    found = retrieved_texts([span(json.dumps(documents)), span("A plain text that is no JSON.")])
    assert found == ("The order is in Lyon.", "It left on Monday.", "A plain text that is no JSON.")


def test_other_spans_short_texts_and_repetitions_are_none():
    long = "The order is in Lyon."
    spans = [
        span(json.dumps([long, "d1", long])),
        span(json.dumps(long), "execute_tool"),
        span(""),
        span(None),
    ]
    assert retrieved_texts(spans) == (long,)


def test_hostile_outputs_cost_a_bounded_time():
    deep = "[" * 100_000 + "]" * 100_000
    many = json.dumps([f"{number:0{CHARS_MIN}}" for number in range(TEXTS_MAX + 50)])
    assert len(retrieved_texts([span(deep), span(many)])) == TEXTS_MAX
