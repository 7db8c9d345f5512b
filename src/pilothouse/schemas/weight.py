# SPDX-License-Identifier: Apache-2.0
"""Tell whether holding a text or a value against a JSON Schema surely ends soon, from the sizes of both.

Some schemas take longer than anybody waits, for one text among thousands: a pattern that tries every way to divide it, references
that branch, a list whose items must differ. What can be bounded is, by what the slowest case of its kind was seen to take: each keyword
meets each value at most, references are followed and counted as often as they are used, and a plain pattern costs no more than the text's
length to the power of what in it may vary.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["ends_soon", "is_quick", "looks_for_no_pattern"]

WORST_US = 100_000
"""What a check may take at the worst where other calls wait for it, microseconds. The usual answer takes a thousandth."""

KEYWORD_US = 20.0
"""A keyword that meets a value: one of `anyOf`, whose failure is put into words."""

CHOICE_US = 1.0
"""One of the values of an `enum`."""

PAIR_US = 3.0
"""Two items that must differ."""

STEP_US = 0.006
"""A step of a pattern."""

ENDLESS = frozenset(
    {
        "$dynamicRef",
        "$dynamicAnchor",
        "$recursiveRef",
        "$recursiveAnchor",
        "$anchor",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords that are not bounded here; `$id` inside of a schema, which moves what references mean, is one more."""

PATTERN_CHARACTERS_MAX = 1_000
BRANCHES_MAX = 8
"""Bars in a pattern: each may double the ways to match it."""

LENGTHS_MAX = 32
"""Of a part such as `[0-9]{1,9}`: so many ways more, whatever the text's length. With more it counts as any length."""

POWER_MAX = 4
"""Beyond it no text is short enough: 64 characters are the most for four."""

TOKEN = re.compile(
    r"""(?P<atom>\\[dDwWsSbBtnrf.^$*+?()\[\]{}|/\\\-_:,;@#%&'"!=<>~` ] | \[\^?(?:\\[dDwWsStnrf.^$*+?()\[\]{}|/\\\-]|[^\]\\\[])+\]
            | [^\\^$*+?()\[\]{}|])
        (?P<repeat>[*+?]|\{\d{1,4}(?:,\d{0,4})?\})?(?![*+?{])
    | (?P<open>\((?:\?:)?)
    | (?P<close>\))(?P<again>[*+?]|\{\d{1,4}(?:,\d{0,4})?\})?(?![*+?{])
    | (?P<bar>\|)""",
    re.VERBOSE,
)
"""One step of a plain pattern: nothing that repeats repeats anything that varies, and nothing looks back or ahead."""

FIXED = re.compile(r"\{(\d+)(?:,\1)?\}")


class _Slow(Exception):
    """The time is not bounded here."""


def is_quick(schema: str, text: str) -> bool:
    """Return whether holding a text against a schema surely ends soon.

    Args:
        schema: JSON Schema as text; one that is no JSON says so at once.
        text: Any text.

    Example:
        >>> is_quick('{"type": "object"}', "{}"), is_quick('{"pattern": "^D-[0-9]{5}$"}', '"D-04711"')
        (True, True)
        >>> is_quick('{"pattern": "^(a+)+$"}', '"aaaa"'), is_quick('{"$ref": "#"}', "{}")
        (False, False)
    """
    return ends_soon(schema, characters=len(text), values=1 + sum(map(text.count, ",[{")))


def ends_soon(schema: str, *, characters: int, values: int) -> bool:
    """Return whether holding so much against a schema surely ends soon.

    Args:
        schema: JSON Schema as text.
        characters: Of all texts together, keys among them.
        values: Values and keys, those inside of others among them.

    Example:
        >>> ends_soon('{"pattern": "a+b"}', characters=100, values=1)
        True
        >>> ends_soon('{"pattern": "a+b"}', characters=100_000, values=1)
        False
    """
    weight = _weight(schema)
    if weight is None:
        return False
    worst_us = weight.value_us * values + weight.unique_lists * PAIR_US * values**2 / 2
    for power, ways in weight.powers:
        worst_us += ways * STEP_US * characters**power
    return worst_us <= WORST_US


def looks_for_no_pattern(schema: str) -> bool:
    """Return whether a schema is bounded and has no pattern: what surely fits it is known in the time that reading it takes."""
    weight = _weight(schema)
    return weight is not None and not weight.powers


@dataclass(frozen=True, slots=True)
class _Weight:
    """What a schema costs at the worst.

    Attributes:
        value_us: For each value of a text, microseconds.
        unique_lists: How often items must differ.
        powers: Powers of the text's length that patterns cost, and in how many ways each.
    """

    value_us: float
    unique_lists: int = 0
    powers: tuple[tuple[int, int], ...] = ()


@lru_cache(maxsize=256)
def _weight(schema: str) -> _Weight | None:
    try:
        root = json.loads(schema)
    except (ValueError, RecursionError):
        return _Weight(KEYWORD_US)
    weighing = _Weighing(root)
    try:
        weighing.add(root, frozenset({"#"}))
    except (_Slow, RecursionError):
        return None
    return _Weight(weighing.value_us, weighing.unique_lists, tuple(weighing.powers.items()))


class _Weighing:
    """Adds up what a schema costs."""

    def __init__(self, root: Any) -> None:
        self.value_us = KEYWORD_US
        self.unique_lists = 0
        self.powers: Counter[int] = Counter()
        self._root = root

    def add(self, node: Any, inside: frozenset[str]) -> None:
        """Add what is in a node; `inside` are the references that led here.

        Raises:
            _Slow: It is not bounded.
        """
        if isinstance(node, dict):
            for name, value in node.items():
                self._count(KEYWORD_US)
                self._add_keyword(name, value, inside, is_root=node is self._root)
        elif isinstance(node, list):
            for one in node:
                self._count(CHOICE_US)
                self.add(one, inside)

    def _add_keyword(self, name: str, value: Any, inside: frozenset[str], *, is_root: bool) -> None:
        if name in ENDLESS or (name == "$id" and not is_root):
            raise _Slow
        if name in {"$defs", "definitions"} and is_root:
            return  # counted where they are used
        if name == "$ref":
            if not isinstance(value, str) or value in inside:
                raise _Slow
            self.add(_at(self._root, value), inside | {value})
            return
        if name == "pattern" and isinstance(value, str):
            self._add_pattern(value)
        elif name == "patternProperties" and isinstance(value, dict):
            for pattern in value:
                self._add_pattern(pattern)
        elif name == "uniqueItems" and value is True:
            self.unique_lists += 1
        self.add(value, inside)

    def _add_pattern(self, pattern: str) -> None:
        power, ways = _power(pattern)
        self.powers[power] += ways

    def _count(self, more_us: float) -> None:
        self.value_us += more_us
        if self.value_us > WORST_US:
            raise _Slow


def _at(root: Any, reference: str) -> Any:
    """Return what a reference within a schema means."""
    found = root
    if not reference.startswith("#/") or "%" in reference:
        raise _Slow
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            raise _Slow  # the check itself says that it leads nowhere
        found = found[name]
    return found


def _power(pattern: str) -> tuple[int, int]:
    """Return the power of the text's length that a plain pattern costs at most, and in how many ways.

    Each part that may vary in length can end anywhere, and so can the beginning, unless it is tied to that of the text.
    """
    at = 1 if pattern.startswith("^") else 0
    end = len(pattern) - (pattern.endswith("$") and not pattern.endswith("\\$"))
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise _Slow
    varying, bars, ways, is_tied = 0, 0, 1, at == 1
    opened: list[tuple[int, int, int]] = []
    while at < end:
        step = TOKEN.match(pattern, at, end)
        if step is None:
            raise _Slow
        at = step.end()
        if step["open"] is not None:
            opened.append((varying, bars, ways))
        elif step["bar"] is not None:
            bars += 1
            is_tied = is_tied and bool(opened)
        elif step["close"] is not None:
            before = opened.pop() if opened else (varying, bars, ways)
            more = _again(step["again"], varies=(varying, bars, ways) != before)
            varying, bars = varying + more[0], bars + more[1]
        elif step["repeat"] is not None and not FIXED.fullmatch(step["repeat"]):
            few = _lengths(step["repeat"])
            varying, ways = (varying + 1, ways) if few is None else (varying, ways * few)
    power = max(1, varying + (not is_tied))
    if power > POWER_MAX or bars > BRANCHES_MAX:
        raise _Slow
    return power, ways << bars


def _lengths(repeat: str) -> int | None:
    """Return how many lengths a part may have that is repeated so, or None for more than a few."""
    if repeat == "?":
        return 2
    least, comma, most = repeat[1:-1].partition(",")
    few = int(most) - int(least) + 1 if comma and most else LENGTHS_MAX + 1
    return few if few <= LENGTHS_MAX else None


def _again(repeat: str | None, *, varies: bool) -> tuple[int, int]:
    """Return what more may vary, and how many more bars there are, where a group is repeated.

    Raises:
        _Slow: It repeats what varies, so that there are many ways to divide a text among its turns.
    """
    if repeat is None:
        return 0, 0
    if repeat == "?":
        return 0, 1
    if varies:
        raise _Slow
    return (0, 0) if FIXED.fullmatch(repeat) else (1, 0)
