# SPDX-License-Identifier: Apache-2.0
"""Answers that are JSON and come as text: what a model writes, and what a function returns of it."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["both_as_values", "value_or_text"]


def value_or_text(text: str | None) -> Any:
    """Return the object or list that a text is; anything else stays the text it is.

    Example:
        >>> value_or_text(' {"n": 1}'), value_or_text("7"), value_or_text("{n")
        ({'n': 1}, '7', '{n')
    """
    try:
        return json.loads(text) if text and text.lstrip()[:1] in {"{", "["} else text
    except (ValueError, RecursionError):
        return text


def both_as_values(wanted: Any, found: Any) -> tuple[Any, Any]:
    """Return expectation and answer so that they can be compared: a text beside an object or a list is read as one.

    A label's expectation is a value, the answer of a function often the text that a model wrote.

    Example:
        >>> both_as_values({"queue": "a"}, '{"queue": "a"}'), both_as_values("{}", "{ }")
        (({'queue': 'a'}, {'queue': 'a'}), ('{}', '{ }'))
    """
    if isinstance(wanted, dict | list) and isinstance(found, str):
        return wanted, value_or_text(found)
    if isinstance(found, dict | list) and isinstance(wanted, str):
        return value_or_text(wanted), found
    return wanted, found
