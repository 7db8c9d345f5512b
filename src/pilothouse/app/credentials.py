# SPDX-License-Identifier: Apache-2.0
"""Composes the credentials of outside systems: their store, and the broker that puts them into calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.credentials import CredentialStore
    from pilothouse.runtime.tools.credentials import CredentialBroker
    from pilothouse.settings import Settings

__all__ = ["credential_broker", "open_credentials"]


@contextmanager
def open_credentials(settings: Settings) -> Iterator[CredentialStore]:
    """Open the credentials for the time of a command."""
    from pilothouse.ledger.credentials import SqlCredentials
    from pilothouse.ledger.ledger import open_ledger

    with open_ledger(settings.ledger_url) as ledger:
        yield SqlCredentials(ledger.database)


def credential_broker(ledger: SqlLedger, agent: str, on_note: Callable[[str], None]) -> CredentialBroker:
    """Return the broker of an agent's tools.

    Args:
        ledger: Where credentials are named, and where troubles with them are kept.
        agent: Agent id.
        on_note: Told about troubles.
    """
    from pilothouse.ledger.credentials import SqlCredentials
    from pilothouse.runtime.tools.credentials import CredentialBroker

    def tell(name: str, what: str) -> None:
        ledger.record(
            kind="credential.unusable",
            agent=agent,
            at=SystemClock().now(),
            actor="pilothouse",
            document=json.dumps({"credential": name, "what": what}),
        )
        on_note(f"credential {name} cannot be used: {what}")

    return CredentialBroker(SqlCredentials(ledger.database).all, now=SystemClock().now, on_trouble=tell)
