# SPDX-License-Identifier: Apache-2.0
"""The ledger as one object: every method is one transaction, on disk when it returns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.price import Price, TokenClass
from pilothouse.errors import StorageUnavailable
from pilothouse.ledger import charters, decisions, evidence, outcomes, prices, verdicts
from pilothouse.ledger.database import Database
from pilothouse.ledger.engine import BUSY_TIMEOUT_S, database_subject, make_engine
from pilothouse.ledger.migrate import migrate
from pilothouse.ledger.outcomes import save_outcomes
from pilothouse.ledger.prices import add_prices
from pilothouse.ledger.translation import translated
from pilothouse.ports.ledger import CharterInForce, Decision

__all__ = ["SqlLedger", "open_ledger"]


class SqlLedger:
    """`ports.Ledger` on a database; safe to share between threads and between processes.

    Args:
        database: A ledger whose tables are up to date; other repositories of it share the same one.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

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
        """Put a charter into force; the same digest beside the same files again changes nothing."""
        with self.database.write() as connection:
            return charters.accept_charter(
                connection, agent=agent, digest=digest, text=text, path=path, at=at, files=files
            )

    def charter(
        self, agent: str, *, at: datetime | None = None, number: int | None = None
    ) -> CharterInForce | None:
        """Return the charter in force now, at a past moment, or of a number; None when there is none."""
        with self.database.read() as connection:
            return charters.charter_in_force(connection, agent, at, number)

    def charters(self) -> Sequence[CharterInForce]:
        """Return the charter in force of every agent, by agent."""
        with self.database.read() as connection:
            return charters.charters_in_force(connection)

    def add_evidence(self, records: Sequence[Evidence]) -> int:
        """Store records; a record with equal content counts once. Return how many were new."""
        with self.database.write() as connection:
            return evidence.add_evidence(connection, records)

    def extend_evidence(
        self,
        agent: str,
        *,
        since: datetime,
        kinds: Collection[str],
        following: Callable[[Sequence[Evidence]], Sequence[Evidence]],
    ) -> Sequence[Evidence]:
        """Store records that follow from those that stand, with nobody writing in between, and return them."""
        with self.database.write() as connection:
            records = following(evidence.read_evidence(connection, agent, since, kinds))
            evidence.add_evidence(connection, records)
        return records

    def evidence(
        self, agent: str, *, since: datetime | None = None, kinds: Collection[str] | None = None
    ) -> Sequence[Evidence]:
        """Return the records of an agent, oldest first, of some kinds, recorded at or after `since`."""
        with self.database.read() as connection:
            return evidence.read_evidence(connection, agent, since, kinds)

    def standing_evidence(
        self,
        agent: str,
        *,
        at: datetime,
        version: str | None,
        decides: Callable[[Evidence], bool],
        kinds: Collection[str] | None = None,
    ) -> Sequence[Evidence]:
        """Return the records of an agent that a verdict at a moment can rest on, oldest first."""
        with self.database.read() as connection:
            return evidence.read_standing(
                connection, agent, at, version=version, decides=decides, kinds=kinds
            )

    def save_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Store the current outcome of each task; a later one replaces a `pending` one."""
        with self.database.write() as connection:
            save_outcomes(connection, outcomes)

    def outcomes(self, agent: str, *, from_ns: int, to_ns: int) -> Sequence[Outcome]:
        """Return outcomes of tasks that started in the half-open window, by start."""
        with self.database.read() as connection:
            return outcomes.outcomes_in_window(connection, agent, from_ns, to_ns)

    def outcomes_of(self, trace_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return current outcomes of some tasks, by trace id (at most 10,000 ids)."""
        with self.database.read() as connection:
            return outcomes.outcomes_of(connection, trace_ids)

    def outcomes_holding(self, subject: str) -> Sequence[str]:
        """Return the traces of outcomes in whose claim or finding a subject stands, at most 10,000."""
        with self.database.read() as connection:
            return outcomes.outcomes_holding(connection, subject)

    def erase_claims(self, claims: Mapping[str, str | None], *, at: datetime, actor: str) -> int:
        """Overwrite what outcomes of some traces say in words; their status stays, and about which claim it is."""
        with self.database.write() as connection:
            return outcomes.erase_claims(connection, claims, at=at, actor=actor)

    def save_verdict(self, *, agent: str, at: datetime, status: str, document: str, digest: str) -> None:
        """Freeze a verdict (canonical JSON) with its digest."""
        with self.database.write() as connection:
            verdicts.save_verdict(
                connection, agent=agent, at=at, status=status, document=document, digest=digest
            )

    def latest_verdict(self, agent: str, *, at: datetime | None = None) -> str | None:
        """Return the newest frozen verdict at or before a moment, as JSON text, or None."""
        with self.database.read() as connection:
            return verdicts.latest_verdict(connection, agent, at)

    def record(
        self, *, kind: str, agent: str, at: datetime, actor: str, document: str, after: int | None = None
    ) -> int:
        """Append one decision (JSON text) and return its sequence number; another one of its kind since `after` is a conflict."""
        with self.database.write() as connection:
            if after is not None:
                decisions.refuse_later(connection, kind, agent, after)
            return decisions.append_decision(
                connection, kind=kind, agent=agent, at=at, actor=actor, document=document
            )

    def decisions(
        self, agent: str, *, kind: str | None = None, limit: int = 100, before: int | None = None
    ) -> Sequence[Decision]:
        """Return decisions about an agent, newest first, at most `limit` (1..1,000), of sequences below `before`."""
        with self.database.read() as connection:
            return decisions.read_decisions(connection, agent, kind, limit, before)

    def add_prices(self, prices: Sequence[Price], *, at: datetime, actor: str) -> int:
        """Store prices and return how many were new."""
        with self.database.write() as connection:
            return add_prices(connection, prices, at=at, actor=actor)

    def prices(self) -> Sequence[Price]:
        """Return every price by provider, model, class and start."""
        with self.database.read() as connection:
            return prices.read_prices(connection)

    def price(self, *, provider: str, model: str, token_class: TokenClass, at: datetime) -> Price | None:
        """Return the price in force at a moment, or None: unknown, which is not zero."""
        with self.database.read() as connection:
            return prices.price_at_moment(
                connection, provider=provider, model=model, token_class=token_class, at=at
            )

    def close(self) -> None:
        """Close every connection; the object is of no use afterwards."""
        self.database.close()


@contextmanager
def open_ledger(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Iterator[SqlLedger]:
    """Open the ledger, making or bringing up to date its tables, and close it again.

    Args:
        url: SQLAlchemy address, `Settings.ledger_url`.
        busy_timeout_s: How long to wait for another writer, seconds.

    Raises:
        StorageUnavailable: The folder cannot be made, or the ledger is newer than this program.
    """
    subject = database_subject(url)
    if url.startswith("sqlite"):
        _make_folder(subject)
    database = Database(make_engine(url, busy_timeout_s=busy_timeout_s), subject)
    try:
        with translated(subject):
            migrate(database.engine, subject)
        yield SqlLedger(database)
    finally:
        database.close()


def _make_folder(subject: str) -> None:
    try:
        Path(subject).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailable(
            f"the folder of the ledger {subject!r} cannot be made ({error.strerror})",
            remedy="Set PILOTHOUSE_HOME to a folder that this user may write.",
            subject=subject,
        ) from error
