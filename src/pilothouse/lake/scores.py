# SPDX-License-Identifier: Apache-2.0
"""Parse the score in an evaluation event (a stored log record → `Score`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pilothouse.core.evidence.score import Score
from pilothouse.lake.limits import STATUS_MESSAGE_CHARS_MAX, TEXT_CHARS_MAX
from pilothouse.lake.otlp_fields import number_of

__all__ = ["EVALUATION_EVENT", "read_score"]

EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
"""Name of the event in the OpenTelemetry GenAI conventions."""


def read_score(row: Mapping[str, Any]) -> Score | None:
    """Return the score in a log record, or None when it names no evaluation or has no value.

    A value that is not finite is left out and the label kept.

    Args:
        row: Columns `trace_id`, `span_id`, `start_ns`, `source` and `attributes` of `spans`.

    Example:
        >>> said = '{"gen_ai.evaluation.name":"tone","gen_ai.evaluation.score.value":1}'
        >>> read_score({"trace_id": "t", "span_id": "", "start_ns": 5, "source": "otlp", "attributes": said}).value
        1.0
    """
    said = msgspec.json.decode(row["attributes"])
    name = said.get("gen_ai.evaluation.name")
    value = number_of(said.get("gen_ai.evaluation.score.value"))
    label = said.get("gen_ai.evaluation.score.label")
    if not isinstance(name, str) or not name or (value is None and not isinstance(label, str)):
        return None
    explanation = said.get("gen_ai.evaluation.explanation")
    return Score(
        trace_id=row["trace_id"],
        span_id=row["span_id"] or "",
        name=name[:TEXT_CHARS_MAX],
        value=value,
        label=label[:TEXT_CHARS_MAX] if isinstance(label, str) else "",
        explanation=explanation[:STATUS_MESSAGE_CHARS_MAX] if isinstance(explanation, str) else "",
        source=row["source"],
        at_ns=row["start_ns"],
    )
