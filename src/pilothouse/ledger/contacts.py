# SPDX-License-Identifier: Apache-2.0
"""Addresses at which people are paged, by person and channel; the audit log has each change, of the address a commitment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from pilothouse.ledger.database import Repository
from pilothouse.ledger.row_log import fresh_salt, logged_change
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.contacts import Contact

__all__ = ["SqlContacts", "contacts", "forget_contacts"]

contacts = Table(
    "contacts",
    METADATA,
    Column("identity", String(256), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("url", Text, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("salt", String(32), nullable=False, server_default=""),
)
"""Addresses of people, with the credential of the service: whoever can read the ledger can page them."""


class SqlContacts(Repository):
    """`ports.ContactStore` on the ledger."""

    def put(self, contact: Contact) -> None:
        """Set an address, replacing an earlier one."""
        here = _here(contact.identity, contact.channel)
        with (
            self.database.write() as connection,
            logged_change(connection, contacts, here, at=contact.at, actor=contact.actor),
        ):
            connection.execute(delete(contacts).where(here))
            connection.execute(
                insert(contacts).values(
                    identity=contact.identity,
                    channel=contact.channel,
                    url=contact.url,
                    zone=contact.zone,
                    actor=contact.actor,
                    at_us=to_micros(contact.at),
                    salt=fresh_salt(),
                )
            )

    def remove(self, identity: str, channel: str, *, at: datetime, actor: str) -> bool:
        """Delete an address; return whether there was one."""
        here = _here(identity, channel)
        with (
            self.database.write() as connection,
            logged_change(connection, contacts, here, at=at, actor=actor),
        ):
            return connection.execute(delete(contacts).where(here)).rowcount > 0

    def of(self, identity: str) -> Sequence[Contact]:
        """Return the addresses of a person, by channel."""
        return [one for one in self.all() if one.identity == identity]

    def all(self) -> Sequence[Contact]:
        """Return every address, by person and channel."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(contacts).order_by(contacts.c.identity, contacts.c.channel)
            ).all()
        return tuple(
            Contact(
                identity=row.identity,
                channel=row.channel,
                url=row.url,
                zone=row.zone,
                actor=row.actor,
                at=from_micros(row.at_us),
            )
            for row in rows
        )


def forget_contacts(connection: Connection, person: str, at: datetime, actor: str) -> int:
    """Erase every address of a person, and return how many.

    Args:
        connection: A transaction that writes.
        person: The person, as contacts name their identity.
        at: When.
        actor: Who erases.
    """
    theirs = contacts.c.identity == person
    with logged_change(connection, contacts, theirs, at=at, actor=actor):
        return connection.execute(delete(contacts).where(theirs)).rowcount


def _here(identity: str, channel: str) -> ColumnElement[bool]:
    return (contacts.c.identity == identity) & (contacts.c.channel == channel)
