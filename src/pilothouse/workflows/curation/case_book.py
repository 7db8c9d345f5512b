# SPDX-License-Identifier: Apache-2.0
"""Write down edge cases and their right handling, from what people corrected (labels -> Markdown)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day
from pilothouse.ports.review import ReviewQueue
from pilothouse.reports.foreign import foreign_text
from pilothouse.workflows.review.trusted_labels import Trusted, trusted_labels

__all__ = ["case_book"]

CASES_MAX = 500
"""Corrections in one book: what people still read."""

TEXT_BYTES_MAX = 4 * 1024
"""Bytes of an input or an answer: the whole of it is one link away."""


def case_book(queue: ReviewQueue, charter: Charter, now: datetime) -> str:
    """Return the case book: by task type, what was asked, what the agent said, what is right, and why."""
    corrected = [one for one in trusted_labels(queue, charter, now) if one.is_correction]
    corrected.sort(key=lambda one: one.label.at, reverse=True)
    chapters: dict[str, list[Trusted]] = defaultdict(list)
    for one in corrected[:CASES_MAX]:
        chapters[one.record.item.task_type].append(one)
    lines = [f"# Case book of {charter.agent}", "", f"{len(corrected):,} corrections, {day(now)}.", ""]
    if len(corrected) > CASES_MAX:
        lines += [f"The newest {CASES_MAX:,} are here.", ""]
    for task_type, cases in sorted(chapters.items()):
        lines += [f"## {task_type}", ""]
        for number, one in enumerate(cases, 1):
            lines += _case(number, one)
    return "\n".join(lines).rstrip() + "\n"


def _case(number: int, one: Trusted) -> list[str]:
    item = one.record.item
    parts = [("Asked", item.input), ("The agent said", item.proposal), ("Right is", one.output)]
    if one.label.note:
        parts.append(("Because", one.label.note))
    lines = [f"### {number}", ""]
    for title, text in parts:
        lines += [f"{title}:", "", *_quoted(text), ""]
    return [*lines, f"{one.label.reviewer}, {day(one.label.at)}, task `{item.trace_id}`", ""]


def _quoted(text: str) -> list[str]:
    """Return foreign text as an indented block: nothing in it can be Markdown, and hostile signs are visible."""
    return [f"    {line}" for line in foreign_text(text, bytes_max=TEXT_BYTES_MAX).text.splitlines()]
