# SPDX-License-Identifier: Apache-2.0
"""The port of feedback: what users say about finished tasks, deduplicated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pilothouse.core.charter.digest import canonical_json

__all__ = ["FEEDBACK_PER_TASK_MAX", "FEEDBACK_TEXT_CHARS_MAX", "Feedback", "FeedbackKind", "FeedbackStore"]

FEEDBACK_TEXT_CHARS_MAX = 8_000
"""Characters of a comment: two pages; whoever has more to say writes a mail."""

FEEDBACK_PER_TASK_MAX = 20
"""Things said about one task: more is a flood, not an opinion."""


class FeedbackKind(StrEnum):
    """What kind of statement it is."""

    THUMB = "thumb"
    CORRECTION = "correction"
    COMPLAINT = "complaint"
    ESCALATION = "escalation"
    OVERRIDE = "override"
    SATISFACTION = "satisfaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One statement about one task.

    Attributes:
        agent: Agent id, from the task itself and never from the sender.
        trace_id: The task.
        kind: What was said.
        value: -1 or 1 for a thumb, 1 to 5 for satisfaction; None otherwise.
        text: Comment or corrected answer, or empty.
        actor: Who said it, as the sender names the person, or empty.
        via: `http`, `widget`, `sdk` or `otel`.
        at: When it arrived, aware UTC.
    """

    agent: str
    trace_id: str
    kind: FeedbackKind
    value: float | None = None
    text: str = ""
    actor: str = ""
    via: str = "http"
    at: datetime

    @property
    def feedback_id(self) -> str:
        """Idempotency key: a digest of who said what about which task, so that a repetition counts once."""
        said = canonical_json([self.trace_id, self.kind.value, self.value, self.text, self.actor])
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    @property
    def is_bad(self) -> bool:
        """Whether it says that the output was wrong, so that a person must review it."""
        if self.kind is FeedbackKind.THUMB:
            return (self.value or 0) < 0
        if self.kind is FeedbackKind.SATISFACTION:
            return (self.value or 0) <= 2
        return True


@runtime_checkable
class FeedbackStore(Protocol):
    """Stores feedback."""

    def add(self, feedback: Feedback) -> bool:
        """Store feedback; False for a repetition.

        Raises:
            LimitExceeded: Too much was said about this task already.
        """
        ...

    def of(self, agent: str, *, since: datetime | None = None) -> Sequence[Feedback]:
        """Return the feedback about an agent's tasks, newest first, at most 10,000."""
        ...
