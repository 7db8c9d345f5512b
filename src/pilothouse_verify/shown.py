# SPDX-License-Identifier: Apache-2.0
"""The numbers that a verdict shows of one record: value, both ends of the interval, and cases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pilothouse_verify.rates import bad_without_largest, counts_of, jeffreys_lower, jeffreys_upper, worth_of

__all__ = ["ends_soon", "other_dates", "other_numbers"]

LEVEL = 0.95
TWO_SIDED = 1 - (1 - LEVEL) / 2
TOLERANCE = 1e-9
"""Bounds of two programs differ in the last digits."""

_WARNING = timedelta(days=7)
"""Evidence that ends this soon is a warning, or within a quarter of its life if that is shorter."""

Json = Mapping[str, Any]


def other_numbers(rule: Json, bound: float | None, item: Json, record: Json) -> str:
    """Return which number of an item is not the one that its record makes, in words; the empty text for none.

    Args:
        rule: The rule of the item.
        bound: Its bound, None where it has none.
        item: The item of the verdict.
        record: The record that it names.
    """
    if not _same(item["bound"], bound):
        return f"it is held against {item['bound']}, and the charter says {bound}"
    value, low, high, n = _numbers(rule, bound, record)
    if rule["name"] == "meanmax" and item["value"] is None and _nothing_is_known(record["counts"]):
        value = low = high = None  # a lower bound of nothing; verdicts from before show it as zero
    for name, number in (("value", value), ("low", low), ("high", high), ("n", n)):
        if not _same(item[name], number):
            return f"its {name} is {item[name]}, and the record makes {number}"
    return ""


def other_dates(item: Json, record: Json, ends: datetime | None, as_of: datetime) -> str:
    """Return which date of an item is not the one that its record makes, in words; the empty text for none.

    Args:
        item: The item of the verdict.
        record: The record that it names.
        ends: When the record counts no more, None for never.
        as_of: The moment of the verdict.
    """
    for name in ("window_from", "window_to"):
        if item[name] is None or datetime.fromisoformat(item[name]) != datetime.fromisoformat(record[name]):
            return f"its {name} is {item[name]}, and the record says {record[name]}"
    said = None if item["lapses_at"] is None else datetime.fromisoformat(item["lapses_at"])
    if said != ends:
        return f"it counts until {item['lapses_at']}, and its record until {ends and ends.isoformat()}"
    age = max(0.0, (as_of - datetime.fromisoformat(record["window_to"])).total_seconds() / 86_400)
    return "" if _same(item["age_days"], age) else f"it is {item['age_days']} days old, and its record {age}"


def ends_soon(ends: datetime, life: timedelta, as_of: datetime, *, early: bool = False) -> bool:
    """Whether what holds ends so soon that it is at risk.

    Args:
        ends: When the record counts no more.
        life: How long such evidence counts.
        as_of: The moment of the verdict.
        early: Whether the last quarter of its life warns in full.

    Example:
        >>> at = datetime(2026, 1, 1)
        >>> [ends_soon(at + timedelta(days=days), timedelta(days=20), at) for days in (5, 6)]
        [True, False]
    """
    return ends - as_of <= (life / 4 if early else min(_WARNING, life / 4))


def _numbers(
    rule: Json, bound: float | None, record: Json
) -> tuple[float | None, float | None, float | None, int]:
    name, n = rule["name"], record["n"]
    if name in {"fact", "derived"}:
        return None, None, None, n
    if name == "count":
        return float(n), None, None, n
    if name == "census":
        return (record["good"] or 0) / n, None, None, n
    if name not in {"floor", "ceiling", "zero"}:
        return record["value"], record["low"], record["high"], n
    good, bad, _, _ = counts_of(record)
    told = good + bad
    if told == 0:
        return None, None, None, 0
    apart = bad_without_largest(record, TWO_SIDED)
    if name == "floor":
        low, high = _ends(good, told, record)
        return good / told, low, min(high, 1 - apart), told
    if name == "zero" or bound == 0:
        if bad:
            return bad / told, *_ends(bad, told, record), told
        # Clopper and Pearson without a failure: the rate at which so many cases in a row come out well once in twenty times.
        cases = max(1, told * worth_of(record) // n)
        return 0.0, 0.0, 1 - (1 - LEVEL) ** (1 / cases), told
    low, high = _ends(bad, told, record)
    return bad / told, max(low, apart), high, told


def _nothing_is_known(counts: Mapping[str, int]) -> bool:
    """Whether no part of a cost is known in the unit of its bound."""
    unpriced = counts.get("tokens_unpriced", 0)
    return bool(counts.get("other_currency", 0)) or unpriced >= max(counts.get("tokens", 0), 1)


def _ends(count: int, told: int, record: Json) -> tuple[float, float]:
    """Ends of a rate among the cases that say what they are, of what these are worth."""
    n, worth = record["n"], worth_of(record)
    cases = max(1, -(-told * worth // n))
    worth_of_count = min(round(count * worth / n), cases)
    return (
        jeffreys_lower(worth_of_count, cases, TWO_SIDED),
        jeffreys_upper(worth_of_count, cases, TWO_SIDED),
    )


def _same(said: float | None, made: float | None) -> bool:
    if said is None or made is None:
        return said is made
    return abs(said - made) <= TOLERANCE * max(1.0, abs(made))
