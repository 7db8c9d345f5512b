# SPDX-License-Identifier: Apache-2.0
"""Read the evaluations that OpenInference writes on a span: each becomes the log record that the GenAI conventions have for it.

So there is one stored form of a score, whichever convention said it. Evaluations of a session are left where they are, in the
attributes of the span: they speak of no single task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pilothouse.lake.attributes import Attribute, classify
from pilothouse.lake.limits import ITEMS_MAX
from pilothouse.lake.scores import EVALUATION_EVENT

__all__ = ["EVALUATIONS_MAX", "Evaluation", "evaluations_of"]

EVALUATIONS_MAX = ITEMS_MAX
"""Evaluations of one request that become records of their own, as many as records may be sent; more stay attributes of their spans."""

_FIELDS = {
    "name": "gen_ai.evaluation.name",
    "score": "gen_ai.evaluation.score.value",
    "label": "gen_ai.evaluation.score.label",
    "explanation": "gen_ai.evaluation.explanation",
}


class Evaluation(NamedTuple):
    """One evaluation, with the fields of a log record as it would have been sent.

    Attributes:
        attributes: What it says, by the names of the GenAI conventions.
        trace_id: As the span's was sent.
        span_id: As the span's was sent; empty when the whole trace was judged.
        time_unix_nano: When the span ended: the evaluation says no time.
    """

    attributes: Sequence[Attribute]
    trace_id: Any
    span_id: Any
    time_unix_nano: int
    event_name: str = EVALUATION_EVENT
    observed_time_unix_nano: int = 0
    body: None = None
    severity_text: str = ""
    dropped_attributes_count: int = 0


def evaluations_of(
    span: Any, places: Mapping[tuple[str, str], Mapping[str, int]], attributes: Sequence[Attribute]
) -> Iterator[Evaluation]:
    """Yield the evaluations of one span that name what was judged.

    Args:
        span: As sent.
        places: Where the parts of its evaluations stand, as `Layout.evaluations` says.
        attributes: Of the span.
    """
    for (scope, _), parts in places.items():
        said = {part: _value_of(attributes[place]) for part, place in parts.items()}
        if not isinstance(said.get("name"), str):
            continue
        yield Evaluation(
            attributes=[classify(_FIELDS[part], value) for part, value in said.items()],
            trace_id=span.trace_id,
            span_id=span.span_id[:0] if scope else span.span_id,
            time_unix_nano=int(span.end_time_unix_nano),
        )


def _value_of(attribute: Attribute) -> Any:
    """Return the value of an attribute that has no column: it is kept as text only."""
    (value,) = msgspec.json.decode(f"{{{attribute.json}}}").values()
    return value
