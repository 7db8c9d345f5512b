# SPDX-License-Identifier: Apache-2.0
"""A finding of a charter check, with its place and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.people import Duty
from pilothouse.errors import Place

__all__ = ["CharterCheck", "Finding", "FindingKind", "asked_of"]


class FindingKind(StrEnum):
    """What a finding does: E no verdict, Q a question to answer, W shown and nothing more."""

    ERROR = "E"
    QUESTION = "Q"
    WARNING = "W"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        rule: Stable id, for example `no-owner`.
        kind: Error, question or warning.
        path: What it is about, for example `task_types.po_invoice.quality.min`.
        place: File, line and column.
        message: What is wrong, without a full stop at the end.
        remedy: What to do, one sentence.
        asked: For questions: who must answer, in words; empty otherwise.
    """

    rule: str
    kind: FindingKind
    path: str
    place: Place
    message: str
    remedy: str
    asked: str = ""

    @property
    def text(self) -> str:
        """The finding in the form `file:line:col: message. Remedy.`, on one line."""
        return f"{self.place}: {self.message}. {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterCheck:
    """The result of checking one charter file.

    Attributes:
        charter: The charter, or None when an error stands.
        findings: All findings: errors, questions, warnings, each in file order.
        hidden: Findings beyond the largest number that is shown.
    """

    charter: Charter | None
    findings: tuple[Finding, ...]
    hidden: int = 0

    def of_kind(self, kind: FindingKind) -> tuple[Finding, ...]:
        """Return the findings of one kind, in file order."""
        return tuple(finding for finding in self.findings if finding.kind is kind)


DUTY_OF_KEY: dict[str, Duty] = {
    "model": "model_upgrades",
    "prompts": "prompt_changes",
    "few_shot": "prompt_changes",
    "integrations": "integration_maintenance",
    "tools": "integration_maintenance",
    "task_types": "quality_metrics",
    "task_defaults": "quality_metrics",
    "unknown_task_type": "quality_metrics",
    "alerts": "quality_metrics",
    "guardrails": "quality_metrics",
    "context": "quality_metrics",
    "datasets": "benchmarks",
    "release": "benchmarks",
    "escalation": "incident_response",
    "severities": "incident_response",
    "runbooks": "incident_response",
    "operations": "incident_response",
    "reviewers": "feedback_review",
    "glossary": "feedback_review",
    "sources": "feedback_review",
    "change_plan": "downstream_process",
    "outcomes": "outcome_reporting",
    "target_volume": "outcome_reporting",
    "business_case": "outcome_reporting",
}
"""Top-level key → duty whose accountable person answers; other keys are the owner's."""

SPONSOR_KEYS = frozenset({"owner", "budgets"})
"""The sponsor answers for these: an owner does not name oneself, nor grant the money."""


def asked_of(key: str, charter: Charter | None) -> str:
    """Return who must answer a question, in words.

    Args:
        key: Top-level key of the charter.
        charter: The charter as far as it could be read, or None.

    Returns:
        A person with the reason in brackets, or the role while nobody is named.
    """
    if key in SPONSOR_KEYS:
        person, reason = charter.sponsor.person if charter else None, "sponsor"
    elif charter and key in DUTY_OF_KEY and not is_open(charter.raci.row(DUTY_OF_KEY[key]).accountable):
        duty = DUTY_OF_KEY[key]
        person, reason = charter.raci.row(duty).accountable, f"A of {duty}"
    else:
        person, reason = charter.owner.person if charter else None, "owner"
    named = known(person)
    return f"{named} ({reason})" if named else f"the {reason}"
