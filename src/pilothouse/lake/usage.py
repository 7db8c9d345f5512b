# SPDX-License-Identifier: Apache-2.0
"""Split a call's token totals into disjoint classes: every token in exactly one."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from pilothouse.lake.limits import TOKENS_MAX

__all__ = [
    "EXCLUSIVE",
    "EXCLUSIVE_SCOPES",
    "GATEWAY_SCOPE",
    "INCLUSIVE",
    "MEASURED",
    "NO_USAGE",
    "REASONING_BESIDE_SCOPES",
    "Usage",
    "split_usage",
]

INCLUSIVE = 1
"""Input includes its cached parts, as both conventions demand."""

EXCLUSIVE = 2
"""Input excludes its cached parts, as raw Anthropic usage does."""

MEASURED = 3
"""Counted by our gateway from the provider's own answer: of two spans of one response it is believed."""

GATEWAY_SCOPE = "pilothouse.gateway"
"""Scope of the spans that our gateway writes."""

EXCLUSIVE_SCOPES = frozenset(
    {
        "@traceloop/instrumentation-anthropic",
        "openlit.instrumentation.anthropic",
        "openlit.instrumentation.bedrock",
        "opentelemetry.instrumentation.bedrock",
        "opentelemetry.instrumentation.botocore.bedrock-runtime",
    }
)
"""Instrumentations that pass on what Anthropic and Bedrock call input, which is what no cache had, and the cached tokens beside it.

Read in their sources: @traceloop/instrumentation-anthropic 0.27.0 (`dist/index.js`, `result.usage.input_tokens`), openlit 1.45.0
(`instrumentation/anthropic/utils.py`, `bedrock/utils.py`: priced there as exclusive), opentelemetry-instrumentation-bedrock 0.62.4
(`span_utils.py`, `converse_usage_record`) and -botocore 0.66b2 (`extensions/bedrock.py`, `_converse_on_success`). Those that add the
parts up are not here: opentelemetry-instrumentation-anthropic 0.40.0 and 0.62.4, -genai-anthropic 1.3b0,
openinference-instrumentation-anthropic 0.1.18, 1.0.0 and 3.1.0 and its JavaScript twin 0.2.8, lmnr 0.8.2, langchain-aws 1.9.1,
strands-agents 1.62.0. Versions before prompt caching name no cached tokens, so that it makes no difference; a later version that
adds the parts up must leave this list.
"""

REASONING_BESIDE_SCOPES = frozenset({"openlit.instrumentation.google_ai_studio"})
"""Instrumentations whose output leaves reasoning out, as Gemini's `candidates_token_count` does: openlit 1.45.0
(`instrumentation/google_ai_studio/utils.py`). openinference-instrumentation-google-genai 1.4.14 and
opentelemetry-instrumentation-google-genai 1.3b0 add it."""


class Usage(NamedTuple):
    """Tokens by class; all None with basis None when the call reported no usable totals."""

    input: int | None
    cache_read: int | None
    cache_creation: int | None
    output: int | None
    reasoning: int | None
    basis: int | None


_new_usage = partial(tuple.__new__, Usage)
"""A third of the time of calling the class, once for each model call."""

NO_USAGE = Usage(None, None, None, None, None, None)


def split_usage(
    input_total: object,
    cache_read: object,
    cache_creation: object,
    output_total: object,
    reasoning: object,
    *,
    exclusive: bool = False,
    beside: bool = False,
) -> Usage:
    """Split totals that include their parts into classes that do not overlap.

    A part that is absent is 0, because producers leave zeros out. A total that is absent, and whatever is negative or
    absurd, leaves the whole usage unknown; an embedding may lack its output. More reasoning than output is no part of it: whoever
    says so counts it beside, as xAI and Gemini do.

    Args:
        input_total: Input tokens as sent, or None.
        cache_read: Part of them read from a cache, or None.
        cache_creation: Part of them written to a cache, or None.
        output_total: Output tokens as sent, or None.
        reasoning: Part of them spent on reasoning, or None.
        exclusive: Whether the producer is known to leave cached tokens out of the input.
        beside: Whether the producer is known to leave reasoning out of the output.

    Example:
        >>> split_usage(1000, 600, 100, 50, 20)
        Usage(input=300, cache_read=600, cache_creation=100, output=30, reasoning=20, basis=1)
        >>> split_usage(100, 600, None, 50, None).basis
        2
    """
    total_in = _count(input_total)
    if total_in is None:
        return NO_USAGE
    total_out = 0 if output_total is None else _count(output_total)
    if total_out is None:
        return NO_USAGE
    read = 0 if cache_read is None else _count(cache_read)
    written = 0 if cache_creation is None else _count(cache_creation)
    thought = 0 if reasoning is None else _count(reasoning)
    if read is None or written is None or thought is None:
        return NO_USAGE
    exclusive = exclusive or total_in < read + written
    return _new_usage(
        (
            total_in if exclusive else total_in - read - written,
            read,
            written,
            total_out if beside or thought > total_out else total_out - thought,
            thought,
            EXCLUSIVE if exclusive else INCLUSIVE,
        )
    )


def _count(sent: object) -> int | None:
    if sent.__class__ is int:
        return sent if 0 <= sent <= TOKENS_MAX else None
    if sent is None or isinstance(sent, bool):
        return None
    if (isinstance(sent, str) and sent.isascii() and sent.isdigit() and len(sent) < 12) or (
        isinstance(sent, float) and sent.is_integer()
    ):
        sent = int(sent)
    if not isinstance(sent, int):
        return None
    return sent if 0 <= sent <= TOKENS_MAX else None
