# SPDX-License-Identifier: Apache-2.0
"""Tests for plain JSON Schemas that can only say "surely valid": whatever they are not sure of goes to the validator.

The usual value is valid, and the validator takes a hundred times as long to say so. A property test holds one against the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["Sure", "surely_valid"]

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


def surely_valid(schema: Any, depth: int = 0) -> Sure | None:
    """Return a test that is true only for valid values, or None when the schema says more than it knows.

    Args:
        schema: JSON Schema, of whatever draft: only what all of them mean alike is known.
        depth: How deep it stands in another one.

    Example:
        >>> sure = surely_valid({"type": "object", "required": ["a"]})
        >>> sure({"a": 1}), sure({}), surely_valid({"not": {}})
        (True, False, None)
    """
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
        each = surely_valid(terms, depth + 1)
        return None if each is None else lambda value: type(value) is list and all(map(each, value))
    return None


def _object(schema: dict[str, Any], depth: int) -> Sure | None:
    if schema.get("type") != "object" or schema.get("additionalProperties", True) not in (True, False):
        return None
    fields: dict[str, Sure] = {}
    for name, terms in schema.get("properties", {}).items():
        test = surely_valid(terms, depth + 1)
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
