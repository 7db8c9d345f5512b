# SPDX-License-Identifier: Apache-2.0
"""A ledger with its audit log and no agents, at a moment that stands still."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys

__all__ = ["NOW", "Clock", "opened"]

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


class Clock:
    def now(self):
        return NOW


def opened(ledger, folder):
    log = SqlAuditLog(ledger.database, load_keys(folder), Clock())
    return SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())
