# SPDX-License-Identifier: Apache-2.0
"""Which models of recent traffic have no price, under the names by which a price would be found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pilothouse.core.evidence.price import priced_as, tier_of
from pilothouse.core.evidence.task import CostState
from pilothouse.ports.lake import Lake, TaskFilter

__all__ = ["models_without_price"]

TASKS_LOOKED_THROUGH = 1_000
"""Newest tasks: who reads the list of prices asks about what runs now."""

TIERS = (
    "pilothouse.gateway.service_tier",
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
)
"""Attributes that name the tier in which a call was made, the first one counts."""

TRACES_LOOKED_THROUGH = 20
"""One trace for each set of models; a narrow agent has one or two."""


def models_without_price(lake: Lake) -> Sequence[tuple[str, str]]:
    """Return provider and model, as it is priced, of recent calls that used tokens and cost nobody knows what, each once.

    What cost something besides tokens is left out: no price of tokens makes that known.
    """
    newest = lake.tasks(TaskFilter(), limit=TASKS_LOOKED_THROUGH).tasks
    told = {CostState.UNKNOWN, CostState.PARTIAL}
    first_of = {tuple(task.models): task.trace_id for task in newest if task.cost_state in told}
    views = lake.traces(list(islice(first_of.values(), TRACES_LOOKED_THROUGH)))
    pairs = set()
    for span in (span for view in views.values() for span in view.spans):
        model = span.response_model or span.request_model
        if not (model and span.provider and span.tokens_total) or span.cost_usd_text is not None:
            continue
        said = _said(span.attributes)
        if "pilothouse.gateway.fees" not in said:
            tier = next((one for one in map(tier_of, map(said.get, TIERS)) if one is not None), "")
            pairs.add((span.provider, priced_as(model, tier)))
    return sorted(pairs)


def _said(attributes: str) -> dict[str, Any]:
    try:
        found = json.loads(attributes)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
