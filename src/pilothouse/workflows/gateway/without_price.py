# SPDX-License-Identifier: Apache-2.0
"""Why costs of recent traffic are unknown: models without a price, by the names under which one is found, and calls without usage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pilothouse.core.evidence.price import priced_as, tier_of
from pilothouse.core.evidence.task import CostState
from pilothouse.ports.lake import Lake, TaskFilter

__all__ = ["UnknownCosts", "unknown_costs"]

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


MODEL_CALLS = frozenset({"chat", "generate_content", "text_completion"})
"""Operations that use tokens of input and output, and whose answers say how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownCosts:
    """Why the cost of recent calls is unknown.

    Attributes:
        without_price: Provider and model, as it is priced, of calls that used tokens, each once.
        without_usage: Provider and model of calls that do not say what they used, each once; no price makes their cost known.
    """

    without_price: Sequence[tuple[str, str]]
    without_usage: Sequence[tuple[str, str]]


def unknown_costs(lake: Lake) -> UnknownCosts:
    """Return why the cost of recent calls is unknown.

    What cost something besides tokens is left out: no price of tokens makes that known.
    """
    newest = lake.tasks(TaskFilter(), limit=TASKS_LOOKED_THROUGH).tasks
    told = {CostState.UNKNOWN, CostState.PARTIAL}
    first_of = {
        (tuple(task.models), task.calls_without_usage > 0): task.trace_id
        for task in newest
        if task.cost_state in told
    }
    views = lake.traces(list(islice(first_of.values(), TRACES_LOOKED_THROUGH)))
    pairs: set[tuple[str, str]] = set()
    silent: set[tuple[str, str]] = set()
    for span in (span for view in views.values() for span in view.spans):
        model = span.response_model or span.request_model
        if not (model and span.provider) or span.cost_usd_text is not None:
            continue
        if not span.tokens_total:
            if span.operation in MODEL_CALLS and span.status != "error":
                silent.add((span.provider, model))
            continue
        said = _said(span.attributes)
        if "pilothouse.gateway.fees" not in said:
            tier = next((one for one in map(tier_of, map(said.get, TIERS)) if one is not None), "")
            pairs.add((span.provider, priced_as(model, tier)))
    return UnknownCosts(without_price=sorted(pairs), without_usage=sorted(silent))


def _said(attributes: str) -> dict[str, Any]:
    try:
        found = json.loads(attributes)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
