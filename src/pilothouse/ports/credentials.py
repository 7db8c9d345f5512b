# SPDX-License-Identifier: Apache-2.0
"""The port of credentials for outside systems: their names, where each secret is read from, and who may use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

__all__ = ["CREDENTIALS_MAX", "Credential", "CredentialStore"]

CREDENTIALS_MAX = 500
"""Credentials of one installation; a narrow agent has a handful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A credential by its name; the secret itself is kept nowhere.

    Attributes:
        name: As lists of servers say it: `${credential:NAME}`.
        variable: Variable of the server's environment that holds it, or None.
        file: File that holds it, or None.
        host: `host:port` that it may be sent to; None for one that only a program which we start is given.
        expires_at: When the system stops accepting it, aware UTC, or None when nobody said.
    """

    name: str
    variable: str | None = None
    file: Path | None = None
    host: str | None = None
    expires_at: datetime | None = None


@runtime_checkable
class CredentialStore(Protocol):
    """Stores names and sources of credentials; durable when a method returns."""

    def save(self, credential: Credential, *, at: datetime, actor: str) -> None:
        """Store a credential, replacing an earlier one of that name."""
        ...

    def all(self) -> Sequence[Credential]:
        """Return every credential, by name."""
        ...

    def remove(self, name: str, *, at: datetime, actor: str) -> bool:
        """Delete a credential; return whether there was one."""
        ...
