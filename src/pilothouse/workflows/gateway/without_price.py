# SPDX-License-Identifier: Apache-2.0
"""Which models of recent traffic have no price, under the names by which a price would be found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from pilothouse.core.evidence.task import CostState
from pilothouse.ports.lake import Lake, TaskFilter

__all__ = ["models_without_price"]

TASKS_LOOKED_THROUGH = 1_000
"""Newest tasks: who reads the list of prices asks about what runs now."""

TRACES_LOOKED_THROUGH = 20
"""One trace for each set of models; a narrow agent has one or two."""


def models_without_price(lake: Lake) -> Sequence[tuple[str, str]]:
    """Return provider and model of recent calls that used tokens and cost nobody knows what, each once."""
    newest = lake.tasks(TaskFilter(), limit=TASKS_LOOKED_THROUGH).tasks
    told = {CostState.UNKNOWN, CostState.PARTIAL}
    first_of = {tuple(task.models): task.trace_id for task in newest if task.cost_state in told}
    views = lake.traces(list(islice(first_of.values(), TRACES_LOOKED_THROUGH)))
    pairs = {
        (span.provider, span.response_model or span.request_model or "")
        for view in views.values()
        for span in view.spans
        if span.provider and span.tokens_total and span.cost_usd_text is None
    }
    return sorted(pair for pair in pairs if pair[1])
