# SPDX-License-Identifier: Apache-2.0
"""The port of everything that people or the system decided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.price import Price

__all__ = [
    "DECISIONS_MAX",
    "EVIDENCE_MAX",
    "OUTCOMES_MAX",
    "OUTCOME_IDS_MAX",
    "CharterInForce",
    "Decision",
    "Ledger",
]

EVIDENCE_MAX = 100_000
"""Records of one agent that one answer may hold: years of daily records, and still a few seconds to read."""

OUTCOMES_MAX = 1_000_000
"""Outcomes of one window, as many as the lake gives tasks."""

OUTCOME_IDS_MAX = 10_000
"""Tasks asked for by id at once: the largest page of the lake."""

DECISIONS_MAX = 1_000
"""Decisions in one answer; a page shows fifty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterInForce:
    """A charter as it was accepted.

    Attributes:
        agent: Agent id.
        digest: Digest of the canonical model.
        text: The file as it was read.
        path: Where it was read from.
        accepted_at: When it came into force, aware UTC.
        number: 1 for the first accepted charter of the agent, one more for each change.
        files: SHA-256 of each file that it names, as it was then, by its path as written; None when nobody looked.
    """

    agent: str
    digest: str
    text: str
    path: str
    accepted_at: datetime
    number: int
    files: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of a person or the system.

    Attributes:
        sequence: 1 for the first of the installation, then rising.
        kind: What was decided, for example `charter.accepted`.
        agent: Agent id.
        at: When, aware UTC.
        actor: Who: a person id, a command or a part of the system.
        document: JSON text with the rest.
    """

    sequence: int
    kind: str
    agent: str
    at: datetime
    actor: str
    document: str


@runtime_checkable
class Ledger(Protocol):
    """Everything decided by people or by the system; durable when a method returns."""

    def accept_charter(
        self,
        *,
        agent: str,
        digest: str,
        text: str,
        path: str,
        at: datetime,
        files: Mapping[str, str] | None = None,
    ) -> CharterInForce:
        """Put a charter into force; one that is in force already, with the same files, changes nothing."""
        ...

    def charter(
        self, agent: str, *, at: datetime | None = None, number: int | None = None
    ) -> CharterInForce | None:
        """Return the charter in force now, or at a past moment; None when there is none.

        Args:
            agent: Agent id.
            at: The moment, aware UTC; None for now.
            number: The charter of this number, whatever clocks said when it came: a clock may go back.
        """
        ...

    def charters(self) -> Sequence[CharterInForce]:
        """Return the charter in force of every agent, by agent."""
        ...

    def add_evidence(self, records: Sequence[Evidence]) -> int:
        """Store records, deduplicated by content, and return how many were new."""
        ...

    def extend_evidence(
        self,
        agent: str,
        *,
        since: datetime,
        kinds: Collection[str],
        following: Callable[[Sequence[Evidence]], Sequence[Evidence]],
    ) -> Sequence[Evidence]:
        """Store records derived from the current ones, atomically, and return them.

        Args:
            agent: Agent id.
            since: Given are those recorded at or after this moment.
            kinds: Given are those of these kinds.
            following: Makes the records from those that stand, oldest first. It must be quick: all other writers wait.
        """
        ...

    def evidence(
        self, agent: str, *, since: datetime | None = None, kinds: Collection[str] | None = None
    ) -> Sequence[Evidence]:
        """Return the records of an agent, oldest first.

        Args:
            agent: Agent id.
            since: Only those recorded at or after this moment; None for all.
            kinds: Only those of these kinds; None for all. A year is thousands of records, one kind some hundred.
        """
        ...

    def standing_evidence(
        self,
        agent: str,
        *,
        at: datetime,
        version: str | None,
        decides: Callable[[Evidence], bool],
        kinds: Collection[str] | None = None,
    ) -> Sequence[Evidence]:
        """Return the records of an agent on which a verdict at a moment can rest, oldest first.

        What was written later is left out. Of records about the same thing, made against the same, only those up to the
        newest that decides need to be there; of other versions only the newest record of each thing.

        Args:
            agent: Agent id.
            at: The moment, aware UTC.
            version: Version that is judged.
            decides: Whether a record decides, so that nothing older about the same thing can matter.
            kinds: Only records of these kinds; None for all.
        """
        ...

    def save_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Store the current outcome of each task; a later one replaces a `pending` one, or one about another claim."""
        ...

    def outcomes(self, agent: str, *, from_ns: int, to_ns: int) -> Sequence[Outcome]:
        """Return outcomes of tasks that started in the half-open window, by start."""
        ...

    def outcomes_of(self, trace_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return current outcomes of some tasks, by trace id (at most 10,000 ids)."""
        ...

    def outcomes_holding(self, subject: str) -> Sequence[str]:
        """Return the traces of outcomes whose claim or finding contains a subject, at most 10,000."""
        ...

    def erase_claims(self, claims: Mapping[str, str | None], *, at: datetime, actor: str) -> int:
        """Overwrite the texts of outcomes of some traces; their status stays, and which claim it is about.

        Args:
            claims: What each task claims now, by trace; None for one that nothing is known of.
            at: When.
            actor: Who asked.

        Returns:
            Outcomes that were emptied.
        """
        ...

    def save_verdict(self, *, agent: str, at: datetime, status: str, document: str, digest: str) -> None:
        """Store a verdict (canonical JSON) under its digest; equal bytes change nothing."""
        ...

    def latest_verdict(self, agent: str, *, at: datetime | None = None) -> str | None:
        """Return the newest frozen verdict at or before a moment, as JSON text, or None."""
        ...

    def record(
        self, *, kind: str, agent: str, at: datetime, actor: str, document: str, after: int | None = None
    ) -> int:
        """Append one decision (JSON text) and return its sequence number.

        Args:
            kind: What kind of decision it is.
            agent: Whom it is about.
            at: When.
            actor: Who decided.
            document: What, JSON text.
            after: Sequence of the newest decision of this kind that the caller has read, 0 where there was none; None where
                it rests on none.

        Raises:
            Conflict: Somebody has added another one since.
        """
        ...

    def decisions(
        self, agent: str, *, kind: str | None = None, limit: int = 100, before: int | None = None
    ) -> Sequence[Decision]:
        """Return decisions about an agent, newest first, at most `limit` (1..1,000), of sequences below `before`."""
        ...

    def add_prices(self, prices: Sequence[Price], *, at: datetime, actor: str) -> int:
        """Store prices; a known one changes nothing, a different price with the same start is a conflict.

        Returns:
            How many were new.
        """
        ...

    def prices(self) -> Sequence[Price]:
        """Return every price by provider, model, class and start; none at all until somebody adds one."""
        ...
