# SPDX-License-Identifier: Apache-2.0
"""Keep the budget of a run over several gateways of one ledger: what each spent of it is told to all."""

from __future__ import annotations

from datetime import datetime, timedelta

from pilothouse.ports.gateway import RUN_SPENDING_LIFE, RunSpending
from pilothouse.runtime.gateway.run_spending import SharedRuns

__all__ = ["RunBudgets"]

CLOCKS_APART = timedelta(minutes=10)
"""How far the clocks of two hosts may differ, so that what the one wrote is read by the other."""


class RunBudgets:
    """Tells what this process spent of runs near a limit, and learns what others did.

    Args:
        store: Where it stands; shared with the other gateways.
        shared: What this process has spent.
        now: The moment, aware UTC: what was spent in the day before counts too, also by this one before a restart.
    """

    def __init__(self, store: RunSpending, shared: SharedRuns, now: datetime) -> None:
        self._store = store
        self._shared = shared
        self._looks_from = now - RUN_SPENDING_LIFE

    def save(self, now: datetime) -> None:
        """Tell what was spent since the last time, and learn.

        Args:
            now: The moment, aware UTC.
        """
        near = self._shared.take()
        untold = near
        try:
            self._store.add(near, now)
            untold = {}
        finally:
            self._shared.give_back(untold)
        self._shared.learn(self._store.since(self._looks_from))
        self._looks_from = now - CLOCKS_APART
