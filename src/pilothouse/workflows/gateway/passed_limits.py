# SPDX-License-Identifier: Apache-2.0
"""Put on record that an agent's model calls have reached a lower limit of its charter; a running server calls people of it.

A day is told once for each limit. Of runs one an hour is told for each limit: an agent whose every run passes its limit says so with the first.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

from pilothouse.ports.ledger import Ledger
from pilothouse.runtime.gateway.passed_limits import PassedLimit
from pilothouse.runtime.gateway.policy import PICO
from pilothouse.workflows.gateway.notes import put_on_record

__all__ = ["PASSED_KIND", "note_passed"]

PASSED_KIND = "budget.passed"
"""Kind of the records."""

RUNS_EVERY = timedelta(hours=1)
"""How often a run is told that has passed the same limit as another."""

READ_MAX = 100
"""Records that are looked at: an agent makes two a day and at most two an hour."""


def note_passed(ledger: Ledger, passed: PassedLimit, now: datetime) -> bool:
    """Put a reached limit on record that is not there yet; return whether it was written.

    Args:
        ledger: Where it is put.
        passed: The limit, and what was spent.
        now: The moment, aware UTC.

    Raises:
        Conflict: Another process wrote one at this moment.
    """
    is_money = passed.limit.startswith("usd")
    document = {
        "limit": passed.limit,
        "of": passed.of,
        "spent": None if passed.spent is None else _amount(passed.spent, is_money=is_money),
        "most": _amount(passed.most, is_money=is_money),
    }
    listed = ledger.decisions(passed.agent, kind=PASSED_KIND, limit=READ_MAX)
    alike = [
        (one.at, said)
        for one in listed
        if all((said := json.loads(one.document))[key] == document[key] for key in ("limit", "most"))
        and (said["spent"] is None) == (passed.spent is None)
    ]
    if any(said["of"] == passed.of for _, said in alike):
        return False
    if passed.limit.endswith("run") and any(timedelta() <= now - at < RUNS_EVERY for at, _ in alike):
        return False
    put_on_record(ledger, PASSED_KIND, passed.agent, document, now, listed=listed)
    return True


def _amount(counted: int, *, is_money: bool) -> str:
    """Return an amount as text: pico-dollars are more than JSON keeps exactly."""
    if not is_money:
        return f"{counted:,} tokens"
    return f"{Decimal(counted) / PICO:,.4f}".rstrip("0").rstrip(".") + " USD"
