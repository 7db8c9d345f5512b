# SPDX-License-Identifier: Apache-2.0
"""Joins what forgets traces: the ledger in which it is asked, the run log, and the lake when no server writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock
from pilothouse.app.runs import open_run_log

if TYPE_CHECKING:
    from pilothouse.ports.ledger import Ledger
    from pilothouse.settings import Settings
    from pilothouse.workflows.erasure import Forgotten

__all__ = ["forgetting"]


def forgetting(settings: Settings, ledger: Ledger) -> Callable[[Sequence[str], str], Forgotten]:
    """Return what empties traces and recorded runs; a running server empties telemetry within a minute.

    Args:
        settings: Values in force.
        ledger: Where it is asked and put on record.
    """

    def forget(traces: Sequence[str], actor: str) -> Forgotten:
        from pilothouse.lake.lock import find_holder
        from pilothouse.lake.node import open_node
        from pilothouse.workflows.erasure import Forgotten, ask_to_empty, carry_out_erasures

        if not traces:
            return Forgotten(rows=0, runs=0)
        clock = SystemClock()
        ask_to_empty(ledger, traces, actor=actor, now=clock.now())
        with open_run_log(settings) as log:
            runs = sum(log.erase(trace) for trace in traces)
        if find_holder(settings.lake_folder) is not None:
            return Forgotten(rows=None, runs=runs)
        node = open_node(settings.lake_folder, clock)
        try:
            return Forgotten(rows=carry_out_erasures(node, ledger, clock.now()), runs=runs)
        finally:
            node.stop(drain=True)

    return forget
