# SPDX-License-Identifier: Apache-2.0
"""Building blocks of rows of `spans`: their arrival and bounded texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pilothouse.lake import limits
from pilothouse.lake.columns import CoreSpan

__all__ = ["Arrival", "bounded", "core_span"]

core_span = partial(tuple.__new__, CoreSpan)
"""Values in order → a `CoreSpan`; a third of the time of calling the class, once for each span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a request came in; the same for a replay.

    Attributes:
        received_ns: When, Unix nanoseconds UTC.
        node: Node that took it.
        seq: Its number in that node's log.
        source: Ingest key or place it came from.
        shown_agent: Returns the name under which an agent is stored.
    """

    received_ns: int
    node: str
    seq: int
    source: str
    shown_agent: Callable[[str], str] = str


def bounded(text: str | None) -> tuple[str | None, int]:
    """Return a text cut to the limit of a value, and how many characters were cut.

    Example:
        >>> bounded("short")
        ('short', 0)
    """
    if text is None or len(text) <= limits.VALUE_CHARS_MAX:
        return text, 0
    return text[: limits.VALUE_CHARS_MAX], len(text) - limits.VALUE_CHARS_MAX
