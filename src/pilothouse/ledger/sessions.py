# SPDX-License-Identifier: Apache-2.0
"""Sign-in links and sessions: only hashes are stored, a link works once, a session expires, and the audit log has each."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Column, Connection, String, Table, delete, insert, or_, select, update

from pilothouse.ledger.database import Repository
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.row_log import log_rows, logged_change
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.sessions import Session

__all__ = ["SqlSessions", "sessions", "sign_in_links"]

IDLE_MAX = timedelta(hours=2)
"""A session that nobody used for so long has ended: a screen left open over lunch is still signed in."""

SEEN_EVERY = timedelta(minutes=5)
"""How exactly the last use is known; a write for every page would cost more than the page."""

EVERYBODY = "pilothouse"
"""What decisions about no single agent are filed under."""

sign_in_links = Table(
    "sign_in_links",
    METADATA,
    Column("link_hash", String(64), primary_key=True),
    Column("identity", String(256), nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
"""Links that have not been used; using one removes it."""

sessions = Table(
    "sessions",
    METADATA,
    Column("session_hash", String(64), primary_key=True),
    Column("identity", String(256), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
"""Who is signed in."""


class SqlSessions(Repository):
    """`ports.SessionStore` on the ledger; every secret arrives hashed."""

    def issue_link(self, link: str, identity: str, *, actor: str, at: datetime, expires_at: datetime) -> None:
        """Store the hash of a single-use sign-in link; expired links are deleted."""
        with self.database.write() as connection:
            lapsed = sign_in_links.c.expires_us <= to_micros(at)
            with logged_change(connection, sign_in_links, lapsed, at=at, actor=actor):
                connection.execute(delete(sign_in_links).where(lapsed))
            row = {"link_hash": link, "identity": identity, "expires_us": to_micros(expires_at)}
            connection.execute(insert(sign_in_links).values(row))
            log_rows(connection, sign_in_links.name, added=[row], at=at, actor=actor)
            _record(connection, "sign_in.link_issued", identity, actor=actor, at=at)

    def read_link(self, link: str, now: datetime) -> str | None:
        """Return the identity that a link signs in, or None for an unknown, used or expired one."""
        with self.database.read() as connection:
            return _identity_of_link(connection, link, now)

    def redeem(self, link: str, session: str, *, now: datetime, expires_at: datetime) -> str | None:
        """Redeem a link and open a session in one step; return the identity, or None when the link is invalid."""
        at = to_micros(now)
        with self.database.write() as connection:
            identity = _identity_of_link(connection, link, now)
            if identity is None:
                return None
            used = sign_in_links.c.link_hash == link
            with logged_change(connection, sign_in_links, used, at=now, actor=identity):
                connection.execute(delete(sign_in_links).where(used))
            ended = or_(sessions.c.expires_us <= at, sessions.c.seen_us <= to_micros(now - IDLE_MAX))
            with logged_change(connection, sessions, ended, at=now, actor=identity):
                connection.execute(delete(sessions).where(ended))
            row = {
                "session_hash": session,
                "identity": identity,
                "created_us": at,
                "seen_us": at,
                "expires_us": to_micros(expires_at),
            }
            connection.execute(insert(sessions).values(row))
            log_rows(connection, sessions.name, added=[row], at=now, actor=identity)
            _record(connection, "person.signed_in", identity, actor=identity, at=now)
            return identity

    def read(self, session: str, now: datetime) -> Session | None:
        """Return a live session, or None; its last use is recorded every five minutes."""
        at = to_micros(now)
        with self.database.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.session_hash == session)).first()
        if row is None or row.expires_us <= at or row.seen_us <= to_micros(now - IDLE_MAX):
            return None
        if row.seen_us <= to_micros(now - SEEN_EVERY):
            with self.database.write() as connection:
                connection.execute(
                    update(sessions).where(sessions.c.session_hash == session).values(seen_us=at)
                )
        return Session(
            identity=row.identity,
            created_at=from_micros(row.created_us),
            seen_at=from_micros(row.seen_us),
            expires_at=from_micros(row.expires_us),
        )

    def end(self, session: str, *, now: datetime) -> str | None:
        """End a session and return its identity, or None."""
        with self.database.write() as connection:
            here = sessions.c.session_hash == session
            identity = connection.execute(select(sessions.c.identity).where(here)).scalar_one_or_none()
            if identity is None:
                return None
            with logged_change(connection, sessions, here, at=now, actor=identity):
                connection.execute(delete(sessions).where(here))
            _record(connection, "person.signed_out", identity, actor=identity, at=now)
            return str(identity)


def _identity_of_link(connection: Connection, link: str, now: datetime) -> str | None:
    found = connection.execute(
        select(sign_in_links.c.identity).where(
            sign_in_links.c.link_hash == link, sign_in_links.c.expires_us > to_micros(now)
        )
    ).scalar_one_or_none()
    return None if found is None else str(found)


def _record(connection: Connection, kind: str, identity: str, *, actor: str, at: datetime) -> None:
    document = {"identity": identity}
    append_decision(connection, kind=kind, agent=EVERYBODY, at=at, actor=actor, document=document)
