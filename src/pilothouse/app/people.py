# SPDX-License-Identifier: Apache-2.0
"""Joins what people need: sign-in, the review queue and held outputs, over one ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock

if TYPE_CHECKING:
    from pilothouse.interfaces.web.routing import Room
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.settings import Settings
    from pilothouse.workflows.sign_in import SignIn

__all__ = ["open_sign_in", "people_rooms", "sign_in_of"]


def sign_in_of(settings: Settings, ledger: SqlLedger) -> SignIn:
    """Return sign-in over an opened ledger.

    Args:
        settings: Values in force; pages can be read without signing in where only this machine reaches them.
        ledger: The opened ledger.
    """
    from pilothouse.ledger.sessions import SqlSessions
    from pilothouse.workflows.people import Directory
    from pilothouse.workflows.sign_in import Proxy, SignIn

    proxy = (
        Proxy(header=settings.proxy_header, secret=settings.proxy_secret) if settings.proxy_header else None
    )
    return SignIn(
        SqlSessions(ledger.database),
        Directory(ledger),
        ledger,
        SystemClock(),
        open_reading=settings.is_loopback,
        proxy=proxy,
    )


def people_rooms(ledger: SqlLedger, sign_in: SignIn) -> tuple[Room, ...]:
    """Return the rooms in which people sign and review.

    Args:
        ledger: The opened ledger.
        sign_in: Who people are.
    """
    from pilothouse.interfaces.web.signing import SigningRoom

    return (SigningRoom(ledger, sign_in.directory, SystemClock()),)


@contextmanager
def open_sign_in(settings: Settings) -> Iterator[SignIn]:
    """Open sign-in for the time of a command.

    Args:
        settings: Values in force.
    """
    from pilothouse.ledger.ledger import open_ledger

    with open_ledger(settings.ledger_url) as ledger:
        yield sign_in_of(settings, ledger)
