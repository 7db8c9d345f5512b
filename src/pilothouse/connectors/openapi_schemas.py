# SPDX-License-Identifier: Apache-2.0
"""Schemas of an OpenAPI description as JSON Schemas 2020-12 that refer to nothing outside of themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pilothouse.errors import MalformedRecord, Place

__all__ = ["Schemas", "Side", "object_of"]

COMPONENT = "#/components/"
SCHEMA = "#/components/schemas/"
DEFINITION = "#/$defs/"
HOPS_MAX = 16
"""References from one to the next: more are a circle."""

DEFINITIONS_MAX = 500
"""Schemas that one operation brings along; one with more cannot be reviewed."""

JOINED_VALUES_MAX = 5_000
"""Values of a schema whose references are put in their places: some twenty pages. A few references to each other make millions."""

ONE = frozenset({"additionalProperties", "contains", "items", "not", "propertyNames", "if", "then", "else"})
MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
"""Keywords that hold a schema, a list of them, or schemas by name."""

LEFT_OUT = frozenset(
    {
        "nullable",
        "discriminator",
        "xml",
        "externalDocs",
        "example",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$schema",
        "$id",
        "$anchor",
        "$dynamicAnchor",
    }
)
"""What JSON Schema does not know, or what would let a schema be another's base."""


class Side(StrEnum):
    """What a schema is of: fields that only the other side may hold are left out."""

    REQUEST = "readOnly"
    ANSWER = "writeOnly"


class _TooLarge(Exception):
    """With its references in their places a schema is too large, or has no end."""


class _Joining:
    """Puts definitions in the places that refer to them."""

    def __init__(self, definitions: Mapping[str, dict[str, Any]]) -> None:
        self._definitions = definitions
        self._left = JOINED_VALUES_MAX
        self._within: list[str] = []

    def joined(self, value: Any) -> Any:
        """Return a part of a schema without references.

        Raises:
            _TooLarge: It would have too many values.
        """
        self._left -= 1
        if self._left < 0:
            raise _TooLarge
        if isinstance(value, list):
            return [self.joined(one) for one in value]
        if not isinstance(value, dict):
            return value
        name = str(value.get("$ref", "")).removeprefix(DEFINITION)
        if name not in self._definitions:  # also where a default or an example speaks of a reference
            return {key: self.joined(one) for key, one in value.items()}
        if name in self._within:
            raise _TooLarge
        self._within.append(name)
        found = self.joined(self._definitions[name])
        self._within.pop()
        return {**found, **{key: one for key, one in value.items() if key != "$ref"}}


class Schemas:
    """Schemas of one operation, with what they refer to.

    Args:
        document: The whole description.
        side: What they are of.
        file: Path for messages.
    """

    def __init__(self, document: Mapping[str, Any], side: Side, *, file: str) -> None:
        self._document = document
        self._side = side
        self._file = file
        self._definitions: dict[str, dict[str, Any]] = {}
        self._waiting: list[tuple[str, Any]] = []
        """Those that were referred to and are not made plain yet: a chain of them is followed without a stack."""

    def followed(self, value: Any) -> dict[str, Any]:
        """Return an object of the description, or that to which it refers; empty where it is none.

        Raises:
            MalformedRecord: The reference leads nowhere, out of the file, or in a circle.
        """
        for _ in range(HOPS_MAX):
            if not isinstance(value, dict):
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            value = self._found(reference)
        raise self._refused("a reference leads in a circle", str(value)[:80])

    def plain(self, schema: Any) -> dict[str, Any]:
        """Return a schema in JSON Schema 2020-12; what it refers to is kept for `whole`.

        Raises:
            MalformedRecord: A reference cannot be followed.
        """
        if not isinstance(schema, dict):
            return {} if schema is not False else {"not": {}}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            beside = {name: value for name, value in schema.items() if name == "description"}
            return {**self._referred(reference), **beside}
        said: dict[str, Any] = {}
        for name, value in schema.items():
            if name in LEFT_OUT or str(name).startswith("x-"):
                continue
            if name in ONE and isinstance(value, dict):
                said[name] = self.plain(value)
            elif name in MANY and isinstance(value, list):
                said[name] = [self.plain(one) for one in value]
            elif name in NAMED and isinstance(value, dict):
                said[name] = {key: self.plain(one) for key, one in value.items() if not self._is_hidden(one)}
            else:
                said[name] = value
        self._limit(said)
        if schema.get("nullable") is True:
            _let_null(said)
        if isinstance(said.get("required"), list):
            hidden = {key for key, one in object_of(schema.get("properties")).items() if self._is_hidden(one)}
            said["required"] = [name for name in said["required"] if name not in hidden]
        return said

    def whole(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema with all that it refers to: in its place, or beside it where it refers to itself or becomes too large.

        Raises:
            MalformedRecord: A reference cannot be followed, or there are too many.
        """
        while self._waiting:
            name, found = self._waiting.pop()
            self._definitions[name] = self.plain(found)
        if not self._definitions:
            return schema
        try:
            # A schema without references is one that a person reads from top to bottom, and that is checked in place.
            joined: dict[str, Any] = _Joining(self._definitions).joined(schema)
        except (_TooLarge, RecursionError):
            return {**schema, "$defs": self._definitions}
        return joined

    def _is_hidden(self, schema: Any) -> bool:
        return isinstance(schema, dict) and schema.get(self._side.value) is True

    def _referred(self, reference: str) -> dict[str, Any]:
        found = self._found(reference)
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", reference.removeprefix(SCHEMA).removeprefix(COMPONENT))
        if name not in self._definitions:
            if len(self._definitions) >= DEFINITIONS_MAX:
                raise self._refused(f"an operation refers to more than {DEFINITIONS_MAX} schemas", name)
            self._definitions[name] = {}
            self._waiting.append((name, found))
        return {"$ref": f"{DEFINITION}{name}"}

    def _found(self, reference: str) -> Any:
        if not reference.startswith(COMPONENT):
            raise self._refused("a reference leads out of the file", reference)
        found: Any = self._document
        for step in reference.removeprefix("#/").split("/"):
            found = object_of(found).get(step.replace("~1", "/").replace("~0", "~"))
        if not isinstance(found, dict | bool):
            raise self._refused("a reference leads nowhere", reference)
        return found

    def _limit(self, said: dict[str, Any]) -> None:
        """Write the bounds of OpenAPI 3.0, which say of a bound whether it is excluded, as JSON Schema does."""
        for bound, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if said.get(excluded) is True and bound in said:
                said[excluded] = said.pop(bound)
            elif isinstance(said.get(excluded), bool):
                del said[excluded]

    def _refused(self, problem: str, what: str) -> MalformedRecord:
        return MalformedRecord(
            f"{problem}: {what}",
            remedy="Bundle the description into one file with the tool that made it, then try again.",
            place=Place(self._file),
            subject=what,
        )


def _let_null(said: dict[str, Any]) -> None:
    kind = said.get("type")
    if isinstance(kind, str):
        said["type"] = [kind, "null"]
    if isinstance(said.get("enum"), list) and None not in said["enum"]:
        said["enum"] = [*said["enum"], None]


def object_of(value: Any) -> dict[str, Any]:
    """Return a part of a description where it is an object, else an empty one.

    Example:
        >>> object_of({"a": 1}), object_of(None)
        ({'a': 1}, {})
    """
    return value if isinstance(value, dict) else {}
