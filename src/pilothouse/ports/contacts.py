# SPDX-License-Identifier: Apache-2.0
"""The ports of paging people: their addresses, and what delivers a message to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["Contact", "ContactStore", "Message", "Notifier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One address of one person.

    Attributes:
        identity: Sign-in identity of the charter, for example `oidc:dana@corp.example`.
        channel: One of `core.charter.people.CHANNELS`.
        url: Address with its credential; never shown.
        zone: Time zone of the person, for on-call hours.
        actor: Who set it.
        at: When, aware UTC.
    """

    identity: str
    channel: str
    url: str
    zone: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to one person.

    Attributes:
        key: Recognises a repetition of the same message.
        title: The first sentence.
        body: The rest, plain text.
    """

    key: str
    title: str
    body: str


@runtime_checkable
class ContactStore(Protocol):
    """Addresses of people; one for each person and channel."""

    def put(self, contact: Contact) -> None:
        """Set an address, replacing an earlier one."""
        ...

    def remove(self, identity: str, channel: str, *, at: datetime, actor: str) -> bool:
        """Delete an address; return whether there was one."""
        ...

    def of(self, identity: str) -> Sequence[Contact]:
        """Return the addresses of a person, by channel."""
        ...

    def all(self) -> Sequence[Contact]:
        """Return every address, by person and channel."""
        ...


@runtime_checkable
class Notifier(Protocol):
    """Delivers a message to one address; every try ends within its timeout."""

    def send(self, url: str, message: Message) -> str:
        """Send a message; return an empty text on success, else the reason of the failure."""
        ...

    def masked(self, url: str) -> str:
        """Return the address without its credential.

        Raises:
            UsageError: It is no address of a known service.
        """
        ...
