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
        """Store the hash of a single-use sign-in link for one identity."""
        ...

    def read_link(self, link: str, now: datetime) -> str | None:
        """Return the identity that a link signs in, or None for an unknown, used or expired one; the link stays usable."""
        ...

    def redeem(self, link: str, session: str, *, now: datetime, expires_at: datetime) -> str | None:
        """Redeem a link and open a session in one step; return the identity, or None when the link is invalid."""
        ...

    def read(self, session: str, now: datetime) -> Session | None:
        """Return a live session, or None; its last use is recorded."""
        ...

    def end(self, session: str, *, now: datetime) -> str | None:
        """End a session and return its identity, or None."""
        ...
