# SPDX-License-Identifier: Apache-2.0
"""Which runs were under way when the server was killed whose events are written here: their record may lack its last calls, and says so."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence

from pilothouse.core.evidence.run_log import RunClosed, RunState, Tap
from pilothouse.runtime.runlog.coding import values_of
from pilothouse.runtime.runlog.group import Pending

__all__ = ["CutRuns"]

CUT_WITHIN_S = 120.0
"""Since the last event of a run: a whole call may take as long, and one that was answered in the last moment is on no record."""

RUNS_MAX = 20_000
"""Runs that are remembered, as many as a gateway knows the spending of; the one longest untouched is forgotten."""


class CutRuns:
    """Runs in the order in which something of them was written last."""

    def __init__(self) -> None:
        """Begin with none."""
        self._written: OrderedDict[str, float] = OrderedDict()

    def note(self, group: Sequence[Pending], now_s: float) -> None:
        """Note what was written.

        Args:
            group: Events in order.
            now_s: On the monotonic clock.
        """
        closed = RunClosed.kind
        for run, is_closed in {one.run: one.values[-1] == closed for one in group}.items():
            self._written.pop(run, None)
            if not is_closed:
                self._written[run] = now_s
        while len(self._written) > RUNS_MAX:
            self._written.popitem(last=False)

    def closing(self, now_s: float) -> list[Pending]:
        """Return an event for each run that was under way, which says that it was cut.

        Args:
            now_s: On the monotonic clock.
        """
        values = values_of(RunClosed(state=RunState.CUT))
        return [
            Pending(run, values, "", str(Tap.GATEWAY), time.time_ns(), time.monotonic_ns(), 0)
            for run, at_s in self._written.items()
            if now_s - at_s <= CUT_WITHIN_S
        ]
