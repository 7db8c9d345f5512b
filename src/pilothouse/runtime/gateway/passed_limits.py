# SPDX-License-Identifier: Apache-2.0
"""Which lower limits of a charter a run or a day has reached: its calls go on, and somebody is told.

Only agents whose charter says such limits are looked at, when a call is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pilothouse.ports.gateway import Spent
from pilothouse.runtime.gateway.policy import Budget
from pilothouse.runtime.gateway.untold import Untold
from pilothouse.runtime.recent import Recent

__all__ = ["PassedLimit", "PassedLimits"]

TOLD_MAX = 20_000
"""Runs and days that are remembered as told, as many as runs whose spending is known; one that is forgotten is told anew, and the ledger knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedLimit:
    """A lower limit that was reached, or cannot be held against for want of a price.

    Attributes:
        agent: Agent id.
        limit: Its key under `model.limits.alert`.
        of: Run id, or day (UTC).
        spent: Pico-dollars or tokens; None where nobody has said what the calls cost.
        most: The limit, in the same.
    """

    agent: str
    limit: str
    of: str
    spent: int | None
    most: int


class PassedLimits:
    """Collects them on the event loop.

    Attributes:
        untold: Those that nobody has put on record.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._told = Recent[tuple[str, str, str, int, bool], bool](TOLD_MAX)
        self.untold = Untold[PassedLimit]()

    def note(
        self,
        agent: str,
        alert: Budget,
        *,
        run: tuple[str, Spent],
        day: tuple[date, Spent],
        is_priced: bool,
    ) -> None:
        """Look at what a call has added to.

        Args:
            agent: Agent id.
            alert: Its lower limits.
            run: Run id, and what the run has spent at all gateways.
            day: The day, and what the agent has spent on it.
            is_priced: Whether it is known what the call cost.
        """
        on = day[0].isoformat()
        for limit, of, spent, most, is_counted in (
            ("usd_per_run", run[0], run[1].usd_pico, alert.pico_per_run, is_priced),
            ("usd_per_day", on, day[1].usd_pico, alert.pico_per_day, is_priced),
            ("tokens_per_run", run[0], run[1].tokens, alert.tokens_per_run, True),
            ("tokens_per_day", on, day[1].tokens, alert.tokens_per_day, True),
        ):
            if most is None or (spent < most and is_counted):
                continue
            is_reached = spent >= most
            of_what = of if is_reached else on
            told = (agent, limit, of_what, most, is_reached)
            if not self._told.get(told) and self.untold.has_room:
                self._told.put(told, True)
                self.untold.add(
                    PassedLimit(
                        agent=agent, limit=limit, of=of_what, spent=spent if is_reached else None, most=most
                    )
                )
