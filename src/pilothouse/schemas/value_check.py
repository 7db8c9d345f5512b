# SPDX-License-Identifier: Apache-2.0
"""Holds values against one JSON Schema many times: in place where that surely ends soon, else in a process of its own."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from pilothouse.schemas.process import shared_processes
from pilothouse.schemas.sure import surely_valid
from pilothouse.schemas.text_check import data_problem
from pilothouse.schemas.weight import ends_soon, looks_for_no_pattern

__all__ = ["DEPTH_MAX", "SchemaInvalid", "ValueCheck"]

DEPTH_MAX = 64
"""Deeper nesting is no argument a model writes, and it would cost a stack."""


class SchemaInvalid(ValueError):
    """It is no JSON Schema; says where and why."""


class ValueCheck:
    """One schema, ready to be used many times; safe to share between threads.

    Args:
        schema: JSON Schema, 2020-12 where it names no draft.

    Raises:
        SchemaInvalid: It is none, or one of its patterns cannot be read.

    Example:
        >>> check = ValueCheck({"type": "object", "required": ["a"]})
        >>> check.problem({"a": 1}), check.problem({})
        (None, "$: 'a' is a required property")
        >>> endless = ValueCheck({"type": "string", "pattern": "^(a+)+$"})
        >>> endless.problem("a").result()
        ''
    """

    def __init__(self, schema: Any) -> None:
        try:
            wrong = _wrong_in(schema)
            self._schema = json.dumps(schema)
            sure = surely_valid(schema) if not wrong else None
        except (RecursionError, ValueError, TypeError, AttributeError) as error:
            raise SchemaInvalid(f"$: it cannot be read ({type(error).__name__})") from error
        if wrong:
            raise SchemaInvalid(wrong)
        self._sure = sure if looks_for_no_pattern(self._schema) else None

    def problem(self, value: Any) -> str | Future[str] | None:
        """Return what is wrong with a value, with its JSON path, or None; a future where that does not surely end soon.

        Returns:
            A future gives an empty text for a valid value, and fails with `CheckUnfinished` where that is not known in time.
        """
        if self._sure is not None and self._sure(value):
            return None
        if _depth_over(value, DEPTH_MAX):
            return f"$: nested deeper than {DEPTH_MAX}"
        characters, values = _size(value)
        if ends_soon(self._schema, characters=characters, values=values):
            return data_problem(self._schema, value) or None
        try:
            text = json.dumps(value)
        except (ValueError, TypeError) as error:  # a whole number of thousands of digits
            return f"$: it cannot be written as JSON ({type(error).__name__})"
        return shared_processes().ask(self._schema, text, is_data=True)


def _wrong_in(schema: Any) -> str:
    """Return where and why a schema is none, or empty; patterns count too, or one that Python cannot read is met at a call."""
    dialect = validator_for(schema, default=Draft202012Validator)
    form = validator_for(dialect.META_SCHEMA)(dialect.META_SCHEMA, format_checker=dialect.FORMAT_CHECKER)
    first = next(form.iter_errors(schema), None)
    return "" if first is None else f"{first.json_path}: {first.message[:300]}"


def _size(value: Any) -> tuple[int, int]:
    """Return how many characters its texts have together, and how many values and keys there are."""
    characters, values, waiting = 0, 0, [value]
    while waiting:
        one = waiting.pop()
        values += 1
        if isinstance(one, str):
            characters += len(one)
        elif isinstance(one, dict):
            values += len(one)
            characters += sum(len(str(key)) for key in one)
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)
    return characters, values


def _depth_over(value: Any, left: int) -> bool:
    """Whether a value is nested deeper than `left`; goes level by level, so that no stack is needed."""
    level = [value]
    while level:
        if left < 0:
            return True
        level = [
            part
            for one in level
            if isinstance(one, dict | list | tuple)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        left -= 1
    return False
