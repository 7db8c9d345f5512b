# SPDX-License-Identifier: Apache-2.0
"""The English of the pages outside of the verdict's own sentences, in one place so that it can be translated."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.verdict.numbers import significant
from pilothouse.core.verdict.value import Money
from pilothouse.core.verdict.verdict import Reason, Status

__all__ = [
    "DOMAIN_TITLES",
    "GATE_TITLES",
    "NOT_ASKED",
    "OUTCOME_STATUS",
    "OUTCOME_WORDS",
    "REASON_WORDS",
    "RESULT_WORDS",
    "SHAPES",
    "SHAPES_ASCII",
    "STATUS_WORDS",
    "UNKNOWN",
    "money_text",
    "phase_words",
    "plural",
]

UNKNOWN = "unknown"
"""What stands in place of a number that nobody knows; never a zero."""

NOT_ASKED = "Not checked"
"""Word for a claim that no verifier was asked about."""

STATUS_WORDS: Mapping[Status, str] = {
    Status.HOLDS: "Holds",
    Status.AT_RISK: "At risk",
    Status.BREACHED: "Breached",
    Status.NO_EVIDENCE: "No evidence",
}

REASON_WORDS: Mapping[Reason, str] = {
    Reason.MISSING: "missing",
    Reason.INSUFFICIENT: "insufficient",
    Reason.STALE: "stale",
}

SHAPES: Mapping[Status, str] = {
    Status.HOLDS: "●",
    Status.AT_RISK: "▲",
    Status.BREACHED: "■",
    Status.NO_EVIDENCE: "○",
}
"""One shape for each status, so that no reader depends on colour."""

SHAPES_ASCII: Mapping[Status, str] = {
    Status.HOLDS: "[holds]",
    Status.AT_RISK: "[risk]",
    Status.BREACHED: "[BREACHED]",
    Status.NO_EVIDENCE: "[none]",
}
"""What a terminal without Unicode shows instead."""

OUTCOME_WORDS: Mapping[OutcomeStatus, str] = {
    OutcomeStatus.VERIFIED: "Verified",
    OutcomeStatus.CONTRADICTED: "Contradicted",
    OutcomeStatus.UNVERIFIABLE: "Cannot tell",
    OutcomeStatus.PENDING: "Pending",
}

OUTCOME_STATUS: Mapping[OutcomeStatus, Status] = {
    OutcomeStatus.VERIFIED: Status.HOLDS,
    OutcomeStatus.CONTRADICTED: Status.BREACHED,
    OutcomeStatus.UNVERIFIABLE: Status.NO_EVIDENCE,
    OutcomeStatus.PENDING: Status.NO_EVIDENCE,
}
"""Shape and colour of an outcome; its word is its own."""

RESULT_WORDS: Mapping[TaskResult, str] = {
    TaskResult.COMPLETED: "completed",
    TaskResult.FAILED: "failed",
    TaskResult.ESCALATED: "given to a person",
    TaskResult.REFUSED: "refused",
    TaskResult.UNKNOWN: "does not say",
}

GATE_TITLES: Mapping[str, str] = {
    "1": "Enter phase 1",
    "2": "Enter phase 2",
    "3": "Enter phase 3",
    "R": "Release a version",
    "X": "Widen the scope",
}

DOMAIN_TITLES: Mapping[str, str] = {
    "INT": "Integration",
    "EVAL": "Evaluation",
    "MON": "Monitoring",
    "OWN": "Ownership",
    "DATA": "Domain data",
    "Q": "Five questions",
    "PROD": "Production-grade",
}


def phase_words(phase: str, stopped: str = "") -> str:
    """Return a phase as every face calls it.

    Args:
        phase: `pilot`, `1`, `2` or `3`.
        stopped: What keeps the agent from serving, in a word, or empty.

    Example:
        >>> phase_words("pilot"), phase_words("2", "paused")
        ('Pilot', 'Phase 2, paused')
    """
    words = "Pilot" if phase == "pilot" else f"Phase {phase}"
    return f"{words}, {stopped}" if stopped else words


def plural(count: int, noun: str, plural_noun: str = "") -> str:
    """Write a count with its noun.

    Args:
        count: How many.
        noun: Singular.
        plural_noun: Plural; the noun with an s when empty.

    Example:
        >>> plural(1, "task"), plural(1204, "task"), plural(2, "query", "queries")
        ('1 task', '1,204 tasks', '2 queries')
    """
    return f"{count:,} {noun if count == 1 else plural_noun or noun + 's'}"


def money_text(money: Money, currency: str) -> str:
    """Write an amount that is known within bounds.

    Args:
        money: The bounds; without an upper one a part of it is unknown.
        currency: ISO code.

    Example:
        >>> money_text(Money(low=14_520, high=18_900), "USD"), money_text(Money(low=0.0049, high=0.0049), "USD")
        ('USD 14,500 to 18,900', 'USD 0.0049')
        >>> money_text(Money(low=0.1, high=None), "USD")
        'unknown, at least USD 0.1'
    """
    low = significant(money.low)
    if money.high is None:
        return f"{UNKNOWN}, at least {currency} {low}" if money.low else UNKNOWN
    high = significant(money.high)
    return f"{currency} {low}" if low == high else f"{currency} {low} to {high}"
