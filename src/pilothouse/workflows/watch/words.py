# SPDX-License-Identifier: Apache-2.0
"""What an alarm or a warning of the watch says: one sentence with its numbers, the same on pager, page and command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.numbers import apart

__all__ = ["METRIC_WORDS", "alarm_sentence", "suspicion_sentence"]

METRIC_WORDS: Mapping[str, tuple[str, bool]] = {
    "completion": ("Completion", False),
    "quality": ("Quality", False),
    "latency": ("Tasks within their time", False),
    "escalation": ("Escalation", True),
    "discrepancy": ("Contradicted claims", True),
    "unverifiable": ("Claims that nobody can check", True),
    "override": ("Replaced answers", True),
    "complaint": ("Complaints", True),
    "correction": ("Corrections", True),
    "confidence": ("Answers as true as claimed", False),
}
"""How people call each rate, and whether they speak of its bad cases."""

ODDS_SHOWN_MAX = 1_000_000
"""Evidence grows with every case; beyond this a larger number tells a reader nothing more."""


def alarm_sentence(metric: str, task_type: str, document: Mapping[str, Any], *, n: int, good: int) -> str:
    """Return the sentence about a rate that left its band.

    Args:
        metric: What is watched.
        task_type: Task type.
        document: The reading's numbers.
        n: Cases since the evidence began to rise.
        good: Good ones among them.

    Example:
        >>> alarm_sentence("escalation", "po", {"line": 0.85, "e": 400.0, "threshold": 365.0, "risen": "2026-11-02"},
        ...     n=200, good=140)
        'Escalation of po: 30.0 % since 2 Nov 2026 (200 cases), the line is 15.0 %. Evidence of 400 to 1; an alarm needs 365.'
    """
    words, inverted = METRIC_WORDS.get(metric, (metric.capitalize(), False))
    share, line = good / n if n else 0.0, float(document["line"])
    shown, bound = (1 - share, 1 - line) if inverted else (share, line)
    now, limit = apart(shown, bound)
    what = "labels, weighted" if "tallies" in document else "cases"
    said = (
        f"{words} of {task_type}: {now} since {calendar_day(date.fromisoformat(document['risen']))} "
        f"({n:,} {what}), the line is {limit}. Evidence of {_odds(document['e'])}; "
        f"an alarm needs {document['threshold']:,.0f}."
    )
    return f"{said} {document['certification']}" if document.get("proved") else said


def suspicion_sentence(task_type: str, since: date, evidence: float, threshold: float) -> str:
    """Return the sentence about labels that speak for a fall and do not prove it.

    Args:
        task_type: Task type.
        since: First day of the evidence.
        evidence: Evidence so far.
        threshold: What an alarm needs.

    Example:
        >>> suspicion_sentence("po", date(2026, 11, 2), 23.4, 365.0)
        'Quality of po may have fallen: evidence of 23 to 1 since 2 Nov 2026; an alarm needs 365.'
    """
    return (
        f"Quality of {task_type} may have fallen: evidence of {_odds(evidence)} since {calendar_day(since)}; "
        f"an alarm needs {threshold:,.0f}."
    )


def _odds(evidence: float) -> str:
    """What a stake on a fall below the line would have grown to: the meaning of an e-value."""
    if evidence > ODDS_SHOWN_MAX:
        return f"more than {ODDS_SHOWN_MAX:,} to 1"
    return f"{evidence:,.0f} to 1"
