# SPDX-License-Identifier: Apache-2.0
"""Holds arguments and results against their JSON Schema; the usual call is checked without the full validator.

`jsonschema` decides. In front of it stand closures for the plain keywords that can only say "surely
valid"; whatever they are not sure of goes to the validator. A property test holds one against the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from referencing.jsonschema import EMPTY_REGISTRY

from pilothouse.errors import CharterInvalid

__all__ = ["DEPTH_MAX", "SchemaCheck"]

DEPTH_MAX = 64
"""Deeper nesting is no argument a model writes, and it would cost a stack."""

Sure = Callable[[Any], bool]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "string": lambda value: type(value) is str,
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) is int or type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
}
_SILENT = frozenset({"title", "description", "$schema", "examples", "default", "$comment"})


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
        self._sure = _closure(schema)

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


def _closure(schema: Any, depth: int = 0) -> Sure | None:
    """Return a test that is true only for valid values, or None when the schema says more than it knows."""
    if schema is True or schema == {}:
        return lambda _value: True
    if not isinstance(schema, dict) or depth > 8:
        return None
    tests: list[Sure] = []
    for word, terms in schema.items():
        if word in _SILENT or word in ("properties", "additionalProperties", "required"):
            continue
        test = _keyword(word, terms, schema, depth)
        if test is None:
            return None
        tests.append(test)
    if not {"properties", "additionalProperties", "required"}.isdisjoint(schema):
        test = _object(schema, depth)
        if test is None:
            return None
        tests.append(test)
    if not tests:
        return lambda _value: True
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _keyword(word: str, terms: Any, schema: dict[str, Any], depth: int) -> Sure | None:
    if word == "type" and isinstance(terms, str):
        return _TYPES.get(terms)
    if word == "enum":
        strings = frozenset(one for one in terms if type(one) is str)
        return lambda value: type(value) is str and value in strings
    if word in ("minLength", "maxLength", "pattern") and schema.get("type") == "string":
        if word == "pattern":
            found = re.compile(terms).search
            return lambda value: type(value) is str and found(value) is not None
        if word == "minLength":
            return lambda value: type(value) is str and len(value) >= terms
        return lambda value: type(value) is str and len(value) <= terms
    if word in ("minimum", "maximum") and schema.get("type") in ("integer", "number"):
        if word == "minimum":
            return lambda value: type(value) in (int, float) and value >= terms
        return lambda value: type(value) in (int, float) and value <= terms
    if word == "items" and schema.get("type") == "array":
        each = _closure(terms, depth + 1)
        return None if each is None else lambda value: type(value) is list and all(map(each, value))
    return None


def _object(schema: dict[str, Any], depth: int) -> Sure | None:
    if schema.get("type") != "object" or schema.get("additionalProperties", True) not in (True, False):
        return None
    fields: dict[str, Sure] = {}
    for name, terms in schema.get("properties", {}).items():
        test = _closure(terms, depth + 1)
        if test is None:
            return None
        fields[name] = test
    needed = frozenset(schema.get("required", ()))
    open_ended = schema.get("additionalProperties", True)

    def sure(value: Any) -> bool:
        if type(value) is not dict or not needed <= value.keys():
            return False
        for name, part in value.items():
            test = fields.get(name)
            if test is None:
                if not open_ended:
                    return False
            elif not test(part):
                return False
        return True

    return sure
