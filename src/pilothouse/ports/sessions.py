# SPDX-License-Identifier: Apache-2.0
"""The port of sign-in: links that work once, and sessions, both known by the hash of a secret only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["Session", "SessionStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        identity: Sign-in identity as the charters name it, for example `oidc:dana@corp.example`.
        created_at: Since when, aware UTC.
        seen_at: When it was last used.
        expires_at: When it ends in any case.
    """

    identity: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@runtime_checkable
class SessionStore(Protocol):
    """Links and sessions; whoever reads the ledger's file learns no secret from it."""

    def issue_link(self, link: str, identity: str, *, actor: str, at: datetime, expires_at: datetime) -> None:
        """Keep the hash of a link that signs one identity in, once."""
        ...

    def read_link(self, link: str, now: datetime) -> str | None:
        """Return whom a link signs in, or None when it is unknown, used or too old; using it is another step."""
        ...

    def redeem(self, link: str, session: str, *, now: datetime, expires_at: datetime) -> str | None:
        """Use a link up and open a session in one step; return the identity, or None when it does not work."""
        ...

    def read(self, session: str, now: datetime) -> Session | None:
        """Return a session that has not ended, or None; notes that it was used."""
        ...

    def end(self, session: str, *, now: datetime) -> str | None:
        """End a session and return whose it was, or None."""
        ...
