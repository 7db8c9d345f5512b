# SPDX-License-Identifier: Apache-2.0
"""Composes erasure: the ledger that records the request, the run log, results of calls, and a lake without a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock
from pilothouse.app.runs import open_run_log
from pilothouse.core.evidence.spellings import spellings

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.settings import Settings
    from pilothouse.workflows.curation.erasure import Forgotten

__all__ = ["forgetting"]


def forgetting(settings: Settings, ledger: SqlLedger) -> Callable[[str, Sequence[str], str], Forgotten]:
    """Return what erases the traces, recorded runs and results of a subject; a server erases telemetry within a minute.

    Args:
        settings: Values in force.
        ledger: Where it is asked and put on record.
    """

    def forget(subject: str, traces: Sequence[str], actor: str) -> Forgotten:
        from pilothouse.lake.lock import find_holder
        from pilothouse.lake.node import open_node
        from pilothouse.lake.quarantine import erase_quarantine
        from pilothouse.ledger.tool_calls import erase_results
        from pilothouse.workflows.curation.erasure import Forgotten, ask_to_empty, carry_out_erasures

        # A run is encrypted by the key of its trace, or by that of the subject which its caller named.
        with open_run_log(settings) as log:
            runs = sum(log.erase(one) for one in dict.fromkeys((subject, *traces)))
        results = erase_results(ledger.database, (subject, *traces))
        beside = erase_quarantine(settings.lake_folder, spellings(subject), traces)
        forgotten = Forgotten(rows=0, runs=runs, results=results, aside=beside.deleted, unread=beside.unread)
        clock = SystemClock()
        ask_to_empty(ledger, traces, actor=actor, now=clock.now())
        if find_holder(settings.lake_folder) is not None:
            return replace(forgotten, rows=None) if traces else forgotten
        if not settings.lake_folder.is_dir():
            return forgotten
        # Also without traces: a server that emptied them and was stopped since left the files of before.
        node = open_node(settings.lake_folder, clock)
        try:
            rows = carry_out_erasures(node, ledger, clock.now())
            node.purge()  # no server runs that would do so tomorrow
            return replace(forgotten, rows=rows)
        finally:
            node.stop(drain=True)

    return forget
