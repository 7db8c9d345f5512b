# SPDX-License-Identifier: Apache-2.0
"""Which texts the retrieval steps of a task brought in, so that a prompt that differs by them is named after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.ports.lake import SpanRecord

__all__ = ["retrieved_texts"]

BRINGING = frozenset({"retrieval", "search_memory", "rerank"})
"""Operations whose output is documents."""

CHARS_MIN = 12
"""Shorter texts are ids, scores and titles, which stand in a prompt for other reasons too."""

TEXTS_MAX = 2_000
"""Texts of one task; each is looked for in the values that differ."""

DEPTH_MAX = 32


def retrieved_texts(spans: Iterable[SpanRecord]) -> tuple[str, ...]:
    """Return the texts of the documents that retrieval steps returned, once each.

    Args:
        spans: Of one task.
    """
    found: dict[str, None] = {}
    for span in spans:
        if span.operation not in BRINGING or not span.output:
            continue
        for text in _texts(json_or_text(span.output)):
            if len(text.strip()) >= CHARS_MIN:
                found.setdefault(text.strip())
            if len(found) >= TEXTS_MAX:
                return tuple(found)
    return tuple(found)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < DEPTH_MAX:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for one in inner:
            yield from _texts(one, depth + 1)
