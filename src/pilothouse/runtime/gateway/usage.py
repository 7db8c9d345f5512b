# SPDX-License-Identifier: Apache-2.0
"""What an answer used: a provider's count in classes that do not overlap, and whether it cost something besides tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.gateway.caller import BODY_BYTES_MAX

__all__ = ["TOKENS_MAX", "has_fees", "has_sound", "is_absurd", "read_usage"]

TOKENS_MAX = BODY_BYTES_MAX
"""Tokens beyond this are no count of anything: one is a byte at least, and no request has more of them."""

ITERATIONS_MAX = 1_000
"""Steps on the way to one answer; more of them are counted by nobody here."""

FREE = frozenset({"web_fetch_requests"})
"""What a provider does for an answer and takes nothing for but the tokens of what came."""


def read_usage(given: Any, begun: TokenCount | None = None) -> TokenCount | None:
    """Put a provider's usage into disjoint classes; None when it is missing, negative or absurd.

    Anthropic's input leaves the cache out, OpenAI's includes it; reasoning is part of OpenAI's output, and stands beside xAI's: where it
    is more than the output, or the total says that it was added.

    Args:
        given: The `usage` of an answer, decoded; None where tokens of another price are in it: sound, or another model's.
        begun: What the stream counted before its content; Anthropic's last event may count only what was written since.

    Example:
        >>> read_usage({"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}})
        TokenCount(input=4, cache_read=6, cache_creation=0, output=4, reasoning=0)
        >>> beside = {"prompt_tokens": 37, "completion_tokens": 530, "total_tokens": 800}
        >>> read_usage({**beside, "completion_tokens_details": {"reasoning_tokens": 233}}).output
        530
        >>> read_usage({"input_tokens": 10, "cache_read_input_tokens": 6, "output_tokens": 4}).input
        10
        >>> read_usage({"input_tokens": 10, "output_tokens": 4, "input_tokens_details": {"cache_write_tokens": 7}})
        TokenCount(input=3, cache_read=0, cache_creation=7, output=4, reasoning=0)
    """
    if not isinstance(given, dict):
        return None
    if "iterations" not in given:
        return _counted(given, begun)
    used, beside = _counted(given, begun), _compactions(given)
    return None if used is None or beside is None else _sum(used, beside)


def _counted(given: dict[str, Any], begun: TokenCount | None) -> TokenCount | None:
    """Return what a usage counts by itself, without what it lists as done on the way."""
    if "prompt_tokens" in given:
        names = ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details")
    else:
        names = ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")
    fed, made = _tokens(given, names[0]), _tokens(given, names[1], missing=0)
    if begun is not None and made is not None and given.get(names[0]) is None:
        return replace(begun, output=made)
    if fed is None or made is None:
        return None
    if "cache_read_input_tokens" in given or "cache_creation_input_tokens" in given:
        cached = _tokens(given, "cache_read_input_tokens", missing=0)
        created = _tokens(given, "cache_creation_input_tokens", missing=0)
        if cached is None or created is None:
            return None
        return TokenCount(input=fed, cache_read=cached, cache_creation=created, output=made)
    read: int | None = 0
    written: int | None = 0
    reasoning: int | None = 0
    parts = given.get(names[2])
    if isinstance(parts, dict):
        if parts.get("audio_tokens"):
            return None
        read = _tokens(parts, "cached_tokens", missing=0)
        written = _tokens(parts, "cache_write_tokens", missing=0) if "cache_write_tokens" in parts else 0
    parts = given.get(names[3])
    if isinstance(parts, dict):
        if parts.get("audio_tokens"):
            return None
        reasoning = _tokens(parts, "reasoning_tokens", missing=0)
    if read is None or written is None or reasoning is None or read > fed:
        return None
    written = min(written, fed - read)  # what was read from a cache is written to none
    output = made
    if reasoning and reasoning <= made and _tokens(given, "total_tokens") != fed + made + reasoning:
        output = made - reasoning
    return TokenCount(
        input=fed - read - written,
        cache_read=read,
        cache_creation=written,
        output=output,
        reasoning=reasoning,
    )


def _is_heard(parts: Any) -> bool:
    """Whether tokens of sound are among others: they cost several times as much, and no price is known of them."""
    return isinstance(parts, dict) and bool(parts.get("audio_tokens"))


def has_sound(usage: Any) -> bool:
    """Return whether tokens of sound are in the usage of an answer.

    Example:
        >>> has_sound({"completion_tokens_details": {"audio_tokens": 40}}), has_sound({"prompt_tokens_details": {"audio_tokens": 0}})
        (True, False)
    """
    return isinstance(usage, dict) and any(map(_is_heard, usage.values()))


def is_absurd(usage: Any) -> bool:
    """Return whether a usage counts what cannot be: less than nothing, more than any request has, or no number.

    Args:
        usage: Of an answer, decoded. One that leaves its input out is missing, and one of sound or of another model has no price.

    Example:
        >>> is_absurd({"input_tokens": -1, "output_tokens": 4}), is_absurd({"output_tokens": 4}), is_absurd(None)
        (True, False, False)
    """
    if not isinstance(usage, dict) or (
        usage.get("prompt_tokens") is None and usage.get("input_tokens") is None
    ):
        return False
    return not has_sound(usage) and _compactions(usage) is not None and read_usage(usage) is None


def has_fees(usage: Any, tool_usage: Any = None) -> bool:
    """Return whether an answer cost something that its own tokens do not say.

    Args:
        usage: Of an answer, decoded.
        tool_usage: What tools of the provider used for it, as OpenAI says it beside.

    Example:
        >>> has_fees({"server_tool_use": {"web_search_requests": 2}}), has_fees({}, {"web_search": {"num_requests": 0}})
        (True, False)
    """
    if isinstance(usage, dict) and ("server_tool_use" in usage or "iterations" in usage):
        done = usage.get("server_tool_use")
        charged = done.items() if isinstance(done, dict) else ()
        if (
            any(_any_count(count) for name, count in charged if name not in FREE)
            or _compactions(usage) is None
        ):
            return True
    return tool_usage is not None and _any_count(tool_usage)


def _any_count(value: Any, depth: int = 3) -> bool:
    """Whether a number of something stands in a value."""
    if isinstance(value, dict):
        return depth > 0 and any(_any_count(inner, depth - 1) for inner in value.values())
    return type(value) is int and value > 0


def _compactions(usage: dict[str, Any]) -> TokenCount | None:
    """Return what was used on the way to an answer and is not in its own count; None where it was another model's.

    Anthropic leaves what shortened a conversation out of the count, and lists it among the iterations.
    """
    listed = usage.get("iterations")
    if not isinstance(listed, list):
        return _NOTHING
    if len(listed) > ITERATIONS_MAX:
        return None
    found: TokenCount | None = _NOTHING
    for one in listed:
        kind = one.get("type") if isinstance(one, dict) else None
        if kind == "message" or found is None:
            continue
        used = _counted(one, None) if kind == "compaction" else None
        found = None if used is None else _sum(found, used)
    return found


_NOTHING = TokenCount()


def _sum(one: TokenCount, other: TokenCount) -> TokenCount:
    if other is _NOTHING:
        return one
    return TokenCount(
        input=one.input + other.input,
        cache_read=one.cache_read + other.cache_read,
        cache_creation=one.cache_creation + other.cache_creation,
        output=one.output + other.output,
        reasoning=one.reasoning + other.reasoning,
    )


def _tokens(given: Any, name: str, *, missing: int | None = None) -> int | None:
    """Return a count, `missing` when it is not said, None when it is no count."""
    value = given.get(name) if isinstance(given, dict) else None
    if value is None:
        return missing
    return value if type(value) is int and 0 <= value < TOKENS_MAX else None  # True is no count
