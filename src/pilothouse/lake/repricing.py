# SPDX-License-Identifier: Apache-2.0
"""Price stored model calls whose cost was unknown; a known cost never changes."""

from __future__ import annotations

from pilothouse.core.evidence.task import TokenCount
from pilothouse.lake.columns import COST_PRICED, COST_UNPRICED, CoreSpan
from pilothouse.lake.prices import PriceSource, cost_pico

__all__ = ["priced_now"]


def priced_now(span: CoreSpan, prices: PriceSource) -> CoreSpan:
    """Return a span with its cost, where it had none and there is a price now for when it ended.

    Args:
        span: A stored span.
        prices: Where the price of a call is asked.
    """
    model = span.response_model or span.request_model
    if span.cost_state != COST_UNPRICED or span.tokens_basis is None or model is None:
        return span
    price = prices(span.provider or "", model, span.end_ns or span.start_ns)
    if price is None:
        return span
    tokens = TokenCount(
        input=span.tokens_input or 0,
        cache_read=span.tokens_cache_read or 0,
        cache_creation=span.tokens_cache_creation or 0,
        output=span.tokens_output or 0,
        reasoning=span.tokens_reasoning or 0,
    )
    cost = cost_pico(tokens, price)
    return span if cost is None else span._replace(cost_usd=cost, cost_state=COST_PRICED)
