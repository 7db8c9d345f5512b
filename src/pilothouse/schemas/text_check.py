# SPDX-License-Identifier: Apache-2.0
"""Hold a text or a value against a JSON Schema; how long that takes is for `weight` to say.

What is surely valid is known without the validator, as most answers are.
"""

from __future__ import annotations

import json
from datetime import datetime, time
from functools import lru_cache
from typing import Any

from jsonschema import FormatChecker
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing.jsonschema import EMPTY_REGISTRY

from pilothouse.schemas.strict_json import strict_json
from pilothouse.schemas.sure import Sure, surely_valid

__all__ = ["data_problem", "text_problem"]

PROBLEM_CHARACTERS_MAX = 400


def text_problem(schema: str, text: str) -> str:
    """Return what is wrong with a text, with its JSON path, or empty.

    A schema of a string is held against the text itself: an agent that writes to people writes no JSON. Dates, times and UUIDs must be some:
    a schema that is made of types, as by Pydantic, says them as formats.

    Args:
        schema: JSON Schema as text; a reference to anything outside it cannot be followed.
        text: What must be JSON of that schema, or the string that it asks for.

    Example:
        >>> text_problem('{"properties": {"a": {"type": "integer"}}}', '{"a": "x"}')
        "$.a: 'x' is not of type 'integer'"
        >>> text_problem("{}", '{"a": NaN}')
        '$: no JSON (NaN is no JSON)'
        >>> text_problem('{"properties": {"due": {"format": "date"}}}', '{"due": "2026-02-30"}')
        "$.due: '2026-02-30' is not a 'date'"
    """
    try:
        value = _string_in(text) if _wants_text(schema) else strict_json(text)
    except (ValueError, RecursionError) as error:
        return f"$: no JSON ({str(error)[:80]})"
    return data_problem(schema, value, holds_formats=True)


def data_problem(schema: str, value: Any, *, holds_formats: bool = False) -> str:
    """Return what is wrong with plain JSON data, with its JSON path, or empty.

    Args:
        schema: JSON Schema as text; 2020-12 where it names no draft.
        value: The data.
        holds_formats: Whether a format must hold; by the standard it only tells, and tools of others are written so.

    Example:
        >>> data_problem('{"type": "string"}', 1)
        "$: 1 is not of type 'string'"
    """
    sure = _sure(schema)
    if sure is not None and sure(value):
        return ""
    try:
        errors = sorted(
            _validator(schema, holds_formats=holds_formats).iter_errors(value),
            key=lambda one: (len(one.path), one.json_path),
        )
    except Exception as error:  # noqa: BLE001 - what is no schema ends in anything, and then no answer is delivered as valid
        return f"$: the schema cannot be applied ({type(error).__name__}), so nothing is known to be valid"
    return f"{errors[0].json_path}: {errors[0].message}"[:PROBLEM_CHARACTERS_MAX] if errors else ""


def _string_in(text: str) -> str:
    """Return the string that a text says in JSON, else the text itself."""
    try:
        value = strict_json(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


@lru_cache(maxsize=256)
def _wants_text(schema: str) -> bool:
    try:
        document = json.loads(schema)
    except (ValueError, RecursionError):
        return False  # `text_problem` says what is wrong with it
    return isinstance(document, dict) and document.get("type") == "string"


@lru_cache(maxsize=256)
def _sure(schema: str) -> Sure | None:
    try:
        return surely_valid(json.loads(schema))
    except Exception:  # noqa: BLE001 - what is no schema ends in anything, and the validator says so
        return None


FORMATS = FormatChecker(("date", "uuid"))
"""Of others what is right is disputed, or looked up elsewhere."""


@FORMATS.checks("date-time", ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


@FORMATS.checks("time", ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or time.fromisoformat(value) is not None


@lru_cache(maxsize=256)
def _validator(schema: str, *, holds_formats: bool) -> Validator:
    document = json.loads(schema)
    # Without a registry of its own the validator would fetch what a reference names, wherever that is.
    formats = FORMATS if holds_formats else None
    return validator_for(document)(document, registry=EMPTY_REGISTRY, format_checker=formats)
