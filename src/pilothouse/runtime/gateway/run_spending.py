# SPDX-License-Identifier: Apache-2.0
"""What a run spends at several gateways of one ledger: told to the others once it comes near a limit, and learnt from them.

Most runs never come near, and of them nothing is written: sharing costs a call two comparisons.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol, TypeVar

from pilothouse.ports.gateway import RUNS_LEARNT_MAX, Spent
from pilothouse.runtime.gateway.policy import Budget

__all__ = ["RUN", "SharedRuns", "Spending"]

TOLD_FROM = 4
"""A run is told of from a quarter of a limit on: so much may be unknown of each other gateway at most, besides some seconds."""

RUN = tuple[str, str]
"""Agent and run."""

_NOTHING = Spent()
_Kept = TypeVar("_Kept")


class Spending(Protocol):
    """All that this process has spent of a run; grows with each call."""

    usd_pico: int
    tokens: int
    calls: int


class SharedRuns:
    """What this process has spent of runs near a limit, and what others have.

    `note` and `others` belong to the loop that serves; `take`, `give_back` and `learn` to whoever saves.
    """

    def __init__(self) -> None:
        self._near: OrderedDict[RUN, Spending] = OrderedDict()
        self._told: OrderedDict[RUN, tuple[Spending, Spent]] = OrderedDict()
        self._elsewhere: OrderedDict[RUN, Spent] = OrderedDict()

    def others(self, run: RUN) -> Spent:
        """Return what other gateways have spent of a run, as far as it is known here."""
        return self._elsewhere.get(run, _NOTHING)

    def note(self, run: RUN, spent: Spending, budget: Budget) -> None:
        """Note that a run has spent something, where it is near one of its limits.

        Args:
            run: The run.
            spent: What this process has spent of it.
            budget: Its limits.
        """
        if (
            spent.calls * TOLD_FROM >= budget.calls_per_run
            or (budget.tokens_per_run is not None and spent.tokens * TOLD_FROM >= budget.tokens_per_run)
            or (budget.pico_per_run is not None and spent.usd_pico * TOLD_FROM >= budget.pico_per_run)
        ):
            self._near[run] = spent

    def take(self) -> Mapping[RUN, Spent]:
        """Return what was spent of runs near a limit since the last time."""
        taken = {}
        while self._near:
            run, spent = self._near.popitem(last=False)
            now = Spent(usd_pico=spent.usd_pico, tokens=spent.tokens, calls=spent.calls)
            more = _minus(now, self._told_of(run, spent))
            if more != _NOTHING:
                taken[run] = more
                _keep(self._told, run, (spent, now))
        return taken

    def give_back(self, untold: Mapping[RUN, Spent]) -> None:
        """Take back what could not be saved, so that the next save includes it."""
        for run, more in untold.items():
            spent, told = self._told[run]
            self._told[run] = (spent, _minus(told, more))
            self._near.setdefault(run, spent)

    def learn(self, together: Mapping[RUN, Spent]) -> None:
        """Learn what runs have spent, by all gateways together; call it after saving."""
        for run, all_spent in together.items():
            known = self._told.get(run)
            others = all_spent if known is None else _minus(all_spent, known[1])
            if min(others.calls, others.tokens) < 0:
                others = _NOTHING  # what was told before is forgotten there, and counted here still
            if others != self.others(run):
                _keep(self._elsewhere, run, others)

    def _told_of(self, run: RUN, spent: Spending) -> Spent:
        """Return what others know of what is counted here; a count that was forgotten begins anew, and what was told stays told."""
        known = self._told.get(run)
        return known[1] if known is not None and known[0] is spent else _NOTHING


def _keep(into: OrderedDict[RUN, _Kept], run: RUN, value: _Kept) -> None:
    into[run] = value
    into.move_to_end(run)
    if len(into) > RUNS_LEARNT_MAX:
        into.popitem(last=False)


def _minus(one: Spent, other: Spent) -> Spent:
    return Spent(
        usd_pico=one.usd_pico - other.usd_pico,
        tokens=one.tokens - other.tokens,
        calls=one.calls - other.calls,
    )
