# SPDX-License-Identifier: Apache-2.0
"""Sign people in: a link that works once, or a proxy that vouches for them; every refusal is recorded."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.powers import Action
from pilothouse.errors import Denied
from pilothouse.ports.clock import Clock
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.sessions import SessionStore
from pilothouse.workflows.people.people import Directory, Visitor

__all__ = ["LINK_LIFE", "SESSION_LIFE", "Proxy", "SignIn", "form_token"]

LINK_LIFE = timedelta(minutes=15)
"""How long a link works: long enough to be pasted into a chat, too short to be found later."""

SESSION_LIFE = timedelta(hours=12)
"""How long a session lasts in any case: one working day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A reverse proxy that signs people in.

    Attributes:
        header: Header in which it names the identity, lower case.
        secret: What it must send as `x-pilothouse-proxy`, so that nobody beside it can name an identity.
    """

    header: str
    secret: str


class SignIn:
    """Links, sessions and powers of people, as pages and commands ask for them.

    Args:
        store: Where links and sessions are kept.
        directory: Who people are.
        ledger: Where refusals are recorded.
        clock: The time.
        open_reading: Whether pages can be read without signing in, as on a loopback address.
        proxy: A proxy that vouches for people, or None.
    """

    def __init__(
        self,
        store: SessionStore,
        directory: Directory,
        ledger: Ledger,
        clock: Clock,
        *,
        open_reading: bool = True,
        proxy: Proxy | None = None,
    ) -> None:
        self.directory = directory
        self.open_reading = open_reading
        self.proxy = proxy
        self._store = store
        self._ledger = ledger
        self._clock = clock

    def issue_link(self, who: str, *, actor: str) -> tuple[Visitor, str]:
        """Return a person and the secret of a link that signs this person in once.

        Args:
            who: Person id or identity.
            actor: Who asked for it.

        Raises:
            UnknownName: No charter in force names such a person.
        """
        visitor, secret, now = self.directory.find(who), secrets.token_urlsafe(32), self._clock.now()
        self._store.issue_link(
            _hashed(secret), visitor.identity, actor=actor, at=now, expires_at=now + LINK_LIFE
        )
        return visitor, secret

    def expected(self, link: str) -> Visitor | None:
        """Return whom a link would sign in, or None; the link still works afterwards."""
        identity = self._store.read_link(_hashed(link), self._clock.now())
        return None if identity is None else self.directory.visitor(identity)

    def enter(self, link: str) -> str:
        """Use a link up and return the secret of a new session.

        Raises:
            Denied: The link was used, is too old, or never was one.
        """
        session, now = secrets.token_urlsafe(32), self._clock.now()
        identity = self._store.redeem(_hashed(link), _hashed(session), now=now, expires_at=now + SESSION_LIFE)
        if identity is None:
            raise Denied(
                "this link does not work: it was used, or it is older than 15 minutes",
                remedy="Ask for another one: `pilothouse sign-in PERSON`.",
            )
        return session

    def leave(self, session: str) -> None:
        """End a session."""
        self._store.end(_hashed(session), now=self._clock.now())

    def visitor(self, session: str | None, vouched: tuple[str, str] | None = None) -> Visitor | None:
        """Return who sends a request, or None.

        Args:
            session: Secret of a session, or None.
            vouched: Identity and secret that a proxy sent, or None.
        """
        if self.proxy is not None and vouched is not None:
            identity, secret = vouched
            return self.directory.visitor(identity) if self._is_of_proxy(secret) else None
        found = self._store.read(_hashed(session), self._clock.now()) if session else None
        return None if found is None else self.directory.visitor(found.identity)

    def nobody(self, named: Sequence[str], secret: str) -> Denied:
        """Return why a request is nobody's, and what to do: who is signed in at the proxy must not be told to sign in.

        Args:
            named: Identities in the proxy's header, none where there is no proxy.
            secret: What was sent with them.
        """
        if self.proxy is None or not any(named):
            remedy = "Open a link from `pilothouse sign-in PERSON`, then come back here."
            return Denied("sign in first", remedy=remedy)
        if not self._is_of_proxy(secret):
            remedy = "Let the proxy send the text of PILOTHOUSE_PROXY_SECRET as `x-pilothouse-proxy`."
            return Denied(f"whoever names you in {self.proxy.header} is not our proxy", remedy=remedy)
        if len(named) > 1:
            remedy = "Let the proxy replace what a browser sends in it, not add to it."
            return Denied(f"the proxy sends {self.proxy.header} {len(named)} times", remedy=remedy)
        if not self.directory.charters():
            remedy = "Put one into force on the server: `pilothouse up --charter charter.yaml`."
            return Denied(
                f"you are {named[0]}, and no charter is in force that says who that is", remedy=remedy
            )
        return Denied(
            f"you are {named[0]}, whom no charter in force names, or several for different people",
            remedy="Ask the owner of an agent for an entry in `people` of its charter with this `identity`.",
        )

    def _is_of_proxy(self, secret: str) -> bool:
        return self.proxy is not None and hmac.compare_digest(secret.encode(), self.proxy.secret.encode())

    def need(self, visitor: Visitor, agent: str | None, action: Action, *, path: str) -> None:
        """Let a request of a person pass or refuse it, with a record of the refusal.

        Raises:
            Denied: The person may not.
        """
        if self.directory.may(visitor, agent, action):
            return
        self._ledger.record(
            kind="action.denied",
            agent=agent or "pilothouse",
            at=self._clock.now(),
            actor=visitor.identity,
            document=canonical_json({"action": action.value, "path": path[:200]}),
        )
        where = f" for {agent}" if agent else ""
        who = self.directory.who_may(agent, action) if agent else "the owner of the agent"
        raise Denied(
            f"{visitor.name} may not {action.value}{where}",
            remedy=f"Ask {who}; `raci` of the charter gives duties, `pilothouse check charter.yaml` checks it.",
            subject=agent,
        )


def form_token(session: str) -> str:
    """Return what a form of this session must carry, so that no other site can send it.

    Args:
        session: Secret of the session, or of the proxy's identity.

    Example:
        >>> len(form_token("a")), form_token("a") == form_token("b")
        (64, False)
    """
    return hashlib.sha256(f"pilothouse form {session}".encode()).hexdigest()


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
