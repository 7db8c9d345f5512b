# SPDX-License-Identifier: Apache-2.0
"""Inserts credentials by name into requests to outside systems, and redacts them from the answers.

A secret is read for each call from where its operator keeps it, so a changed one is used at once; it goes to the one
host that it is for, or to a program which we start. Nothing that is recorded or shown passes without `without`.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pilothouse.core.dates import day
from pilothouse.errors import ToolError
from pilothouse.ports.credentials import Credential
from pilothouse.runtime.secret_source import read_secret

__all__ = ["LOOKED_EVERY_S", "CredentialBroker", "credentials_in"]

LOOKED_EVERY_S = 1.0
"""A removed credential stops within two seconds."""

SECRET_CHARACTERS_MIN = 6
"""A shorter text stands in ordinary answers by chance, so it is not taken out of them."""

_NAMED = re.compile(r"\$\{credential:([a-z0-9][a-z0-9_.-]{0,63})\}")


def credentials_in(text: str) -> tuple[str, ...]:
    """Return the names of the credentials that a text asks for.

    Example:
        >>> credentials_in("Bearer ${credential:erp-read}")
        ('erp-read',)
    """
    return tuple(_NAMED.findall(text))


class CredentialBroker:
    """Provides credentials to connections; safe to share between threads.

    Args:
        kept: Returns the credentials of the installation.
        now: Tells the time, aware UTC.
        environment: Variables of this process.
        on_trouble: Told once about each credential that cannot be used, with its name and what is wrong.
    """

    def __init__(
        self,
        kept: Callable[[], Sequence[Credential]],
        *,
        now: Callable[[], datetime],
        environment: Mapping[str, str] = os.environ,
        on_trouble: Callable[[str, str], None] = lambda _name, _what: None,
    ) -> None:
        self._kept = kept
        self._now = now
        self._environment = environment
        self._on_trouble = on_trouble
        self._known: Mapping[str, Credential] = {}
        self._looked_s = float("-inf")
        self._given: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def filled(self, text: str, *, host: str | None) -> str:
        """Return a text with its credentials in it.

        Args:
            text: With names, `${credential:NAME}`.
            host: `host:port` that it goes to; None for a program which we start.

        Raises:
            ToolError: A credential is unknown, has no secret, has expired, or is for somebody else.
        """
        return _NAMED.sub(lambda found: self._secret(found[1], host), text)

    @property
    def has_given(self) -> bool:
        """Whether a secret was given out that an answer could contain."""
        return bool(self._given)

    def without(self, text: str) -> str:
        """Return a text with each used secret replaced by a mark, the same for the same secret."""
        # The longest first: of one that begins with another the rest would stay. A copy, since others give meanwhile.
        given = list(self._given.items())
        for secret, name in sorted(given, key=lambda one: -len(one[0])):
            if secret in text:
                text = text.replace(secret, f"[credential {name}]")
        return text

    def refused(self, text: str) -> ToolError:
        """Return the error for a system that refuses the credentials named in a text, and report it."""
        names = ", ".join(credentials_in(text)) or "none"
        return self._trouble(names, "the system does not accept it")

    def _secret(self, name: str, host: str | None) -> str:
        if time.monotonic() - self._looked_s >= LOOKED_EVERY_S:
            self._known = {one.name: one for one in self._kept()}
            self._looked_s = time.monotonic()
        credential = self._known.get(name)
        if credential is None:
            raise self._trouble(name, "nobody has said where it stands")
        if credential.host != host:
            raise self._trouble(name, f"it is not for {host or 'programs that are started'}")
        if credential.expires_at is not None and credential.expires_at <= self._now():
            raise self._trouble(name, f"it expired on {day(credential.expires_at)}")
        secret, place = read_secret(credential.variable, credential.file, self._environment)
        if not secret:
            raise self._trouble(name, f"{place} of the server holds nothing usable")
        if len(secret) >= SECRET_CHARACTERS_MIN:
            self._given[secret] = self._given[json.dumps(secret)[1:-1]] = name
        self._told.pop(name, None)
        return secret

    def _trouble(self, name: str, what: str) -> ToolError:
        if self._told.get(name) != what:
            self._told[name] = what
            self._on_trouble(name, what)
        return ToolError(
            f"credential {name} cannot be used: {what}",
            remedy="Do not repeat it; the operator is told: `pilothouse credential list`.",
            kind="auth",
            subject=name,
        )
