# SPDX-License-Identifier: Apache-2.0
"""Holds arguments and results against their JSON Schema; the usual call is checked without the full validator.

`jsonschema` decides what `surely_valid` is not sure of.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from referencing.jsonschema import EMPTY_REGISTRY

from pilothouse.errors import CharterInvalid
from pilothouse.runtime.sure_schema import surely_valid

__all__ = ["DEPTH_MAX", "SchemaCheck"]

DEPTH_MAX = 64
"""Deeper nesting is no argument a model writes, and it would cost a stack."""


class SchemaCheck:
    """One schema, ready to be used many times.

    Args:
        schema: JSON Schema 2020-12.
        where: What it describes, for messages: `arguments of crm.find@1`.

    Raises:
        CharterInvalid: It is no schema.

    Example:
        >>> check = SchemaCheck({"type": "object", "required": ["a"]}, where="arguments")
        >>> check.problem({"a": 1}), check.problem({})
        (None, "$: 'a' is a required property")
    """

    def __init__(self, schema: dict[str, Any], *, where: str) -> None:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise CharterInvalid(
                f"the schema of the {where} is no JSON Schema",
                remedy="Correct it in the contract file, then run `pilothouse check`.",
                findings=(f"{error.json_path}: {error.message[:300]}",),
                subject=where,
            ) from error
        # Without a registry of its own the validator would fetch what a reference names, wherever that is.
        self._validator = Draft202012Validator(schema, registry=EMPTY_REGISTRY)
        self._sure = surely_valid(schema)

    def problem(self, value: Any) -> str | None:
        """Return what is wrong with a value, with its JSON path, or None.

        Args:
            value: Plain JSON data.
        """
        if self._sure is not None and self._sure(value):
            return None
        if _depth_over(value, DEPTH_MAX):
            return f"$: nested deeper than {DEPTH_MAX}"
        first = next(self._validator.iter_errors(value), None)
        return None if first is None else f"{first.json_path}: {first.message[:200]}"


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
