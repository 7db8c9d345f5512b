# SPDX-License-Identifier: Apache-2.0
"""The outcome of checking one task's claim in the system of record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["UNANSWERED", "Finding", "Outcome", "OutcomeStatus"]

UNANSWERED = "the verifier failed: "
"""How the finding of a question begins that got no answer: nobody knows what the system of record says."""


class OutcomeStatus(StrEnum):
    """What the system of record says about a claim."""

    VERIFIED = "verified"
    CONTRADICTED = "contradicted"
    UNVERIFIABLE = "unverifiable"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a verifier function returns for one task.

    Attributes:
        status: What the system of record says.
        found: What stands there, short, without personal data.
        critical: Id of the critical mistake that was found (charter `critical`), or None.
    """

    status: OutcomeStatus
    found: str = ""
    critical: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finding with its task, its claim and its time; one current outcome for each task.

    Attributes:
        trace_id: The task.
        agent: The agent.
        task_type: The task's type.
        version_digest: The version that did the work, or None.
        task_start_ns: When the task started, Unix nanoseconds UTC.
        claim: JSON text of what the agent said, or None.
        status: What the system of record says.
        found: What stands there.
        critical: Critical mistake that was found, or None.
        verifier: The verifier's name and source digest.
        verified_at: When it was asked, aware UTC.
        attempts: How often it was asked.
    """

    trace_id: str
    agent: str
    task_type: str
    version_digest: str | None
    task_start_ns: int
    claim: str | None
    status: OutcomeStatus
    found: str
    critical: str | None
    verifier: str
    verified_at: datetime
    attempts: int = 1

    @property
    def is_unanswered(self) -> bool:
        """Whether the system of record was unavailable, which is no evidence about the agent."""
        waits = self.status in {OutcomeStatus.PENDING, OutcomeStatus.UNVERIFIABLE}
        return waits and self.found.startswith(UNANSWERED)
