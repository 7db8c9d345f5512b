# SPDX-License-Identifier: Apache-2.0
"""Say where a credential of an outside system stands, for whom it is, and how long it lives."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.core.dates import calendar_day, minute
from pilothouse.errors import UnknownName, UsageError
from pilothouse.ports.credentials import Credential, CredentialStore

__all__ = ["EXPIRES_SOON", "add_credential", "remove_credential", "state_of"]

EXPIRES_SOON = timedelta(days=14)
"""Time enough to have another made, also where somebody is on holiday."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HOST = re.compile(r"(?:[a-z0-9.-]{1,253}|\[[0-9a-f:]+\]):[0-9]{1,5}")


def add_credential(
    store: CredentialStore,
    name: str,
    *,
    variable: str | None,
    file: Path | None,
    host: str | None,
    expires_at: datetime | None,
    actor: str,
    now: datetime,
) -> Credential:
    """Keep a credential's name and place; another of that name is replaced.

    Args:
        store: Where it is kept.
        name: What lists of servers call it.
        variable: Variable of the server's environment that holds it, or None.
        file: File that holds it, or None.
        host: `host:port` that it may be sent to, or None.
        expires_at: When it stops working, aware UTC, or None.
        actor: Who asks.
        now: The moment, aware UTC.

    Raises:
        UsageError: It has no place, two of them, a name or host that is none, or has expired already.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is no name of a credential",
            remedy="Use small letters, digits and dashes: `pilothouse credential add erp-read --env ERP_TOKEN`.",
            subject="name",
        )
    if (variable is None) is (file is None):
        raise UsageError(
            f"credential {name} needs one place, where the server finds it",
            remedy=f"Type `pilothouse credential add {name} --env VARIABLE`, or `--file PATH`.",
            subject=name,
        )
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise UsageError(
            f"{variable[:80]!r} is no name of a variable",
            remedy=f"Type `pilothouse credential add {name} --env ERP_TOKEN`, up to 128 letters, digits and underscores.",
            subject="variable",
        )
    if host is not None and not _HOST.fullmatch(host.lower()):
        raise UsageError(
            f"{host[:80]!r} is no host with a port",
            remedy=f"Type `pilothouse credential add {name} … --host erp.example:443`.",
            subject="host",
        )
    if expires_at is not None and expires_at <= now:
        last = (expires_at - timedelta(microseconds=1)).date()
        raise UsageError(
            f"credential {name} would have expired already: its last day is {calendar_day(last)}, and it is {minute(now)}",
            remedy=f"Say its last day as its maker says it, for example `--expires {now + timedelta(days=90):%Y-%m-%d}`.",
            subject="--expires",
        )
    credential = Credential(
        name=name,
        variable=variable,
        file=None if file is None else file.expanduser().absolute(),
        host=None if host is None else host.lower(),
        expires_at=expires_at,
    )
    store.save(credential, at=now, actor=actor)
    return credential


def remove_credential(store: CredentialStore, name: str, *, actor: str, now: datetime) -> None:
    """Forget a credential; whatever needs it is refused within two seconds.

    Raises:
        UnknownName: There is none of that name.
    """
    if not store.remove(name, at=now, actor=actor):
        raise UnknownName.among(
            "credential",
            name,
            [one.name for one in store.all()],
            remedy="List them: `pilothouse credential list`.",
        )


def state_of(credential: Credential, now: datetime) -> str:
    """Return `expired`, `expires soon`, `valid`, or `no end is known`."""
    if credential.expires_at is None:
        return "no end is known"
    if credential.expires_at <= now:
        return "expired"
    return "expires soon" if credential.expires_at - now < EXPIRES_SOON else "valid"
