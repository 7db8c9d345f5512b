# SPDX-License-Identifier: Apache-2.0
"""The charter's form as JSON Schema, so that an editor completes keys and marks mistakes.

The schema describes the file, not the model: task types may leave out what `task_defaults` says, and
"?" stands for an open question.
"""

from __future__ import annotations

from typing import Any

from pilothouse.core.charter.answers import OPEN
from pilothouse.core.charter.charter import Charter

__all__ = ["SCHEMA_ID", "charter_schema"]

SCHEMA_ID = "https://pilothouse.invalid/schemas/charter-v1.json"
"""A name, not an address: nothing is ever fetched."""


CLOSED = frozenset({"AgentFunction"})
"""Mappings that may not stay an open question."""


def charter_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a charter file."""
    schema = _plain(Charter.model_json_schema(by_alias=True))
    definitions: dict[str, Any] = schema["$defs"]
    _loosen_task_types(schema, definitions)
    for name, definition in definitions.items():
        definition["description"] = _first_sentence(definition.get("description", ""))
        if name not in CLOSED:
            _allow_open(definition)
    used = _referenced(schema["properties"], definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Pilothouse charter",
        "description": "What must hold for one agent.",
        "type": "object",
        "additionalProperties": False,
        "required": schema["required"],
        "properties": schema["properties"],
        "$defs": {name: definitions[name] for name in sorted(used)},
    }


def _plain(node: Any) -> Any:
    """Return the schema without generated titles and without null, because an empty value is never valid."""
    if isinstance(node, list):
        return [_plain(part) for part in node if part != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, part in node.items():
        if key == "title" and isinstance(part, str):
            continue
        if key == "default" and (part is None or isinstance(part, dict)):
            continue
        kept[key] = (
            {name: _plain(value) for name, value in part.items()} if key == "properties" else _plain(part)
        )
    if len(kept.get("anyOf", ())) == 1 and len(kept) == 1:
        return kept["anyOf"][0]
    return kept


def _loosen_task_types(schema: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Make fields of defaults and task types optional: missing ones are found after merging."""
    for name in ("TaskType", *sorted(_referenced(definitions["TaskType"], definitions))):
        part = _renamed(definitions[name])
        part.pop("required", None)
        definitions[f"Partial{name}"] = part
    properties = dict(schema["properties"])
    types = {"type": "object", "additionalProperties": {"$ref": "#/$defs/PartialTaskType"}}
    schema["properties"] = {}
    for key, value in properties.items():
        if key == "task_types":
            schema["properties"]["task_defaults"] = {"$ref": "#/$defs/PartialTaskType"}
        schema["properties"][key] = types if key == "task_types" else value


def _referenced(node: Any, definitions: dict[str, Any]) -> set[str]:
    """Return the names of all definitions that a part of the schema needs."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rsplit("/", 1)[-1]
            if name and name not in found:
                found.add(name)
                waiting.append(definitions[name])
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return found


def _renamed(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: f"#/$defs/Partial{part.rsplit('/', 1)[-1]}" if key == "$ref" else _renamed(part)
            for key, part in node.items()
        }
    return [_renamed(part) for part in node] if isinstance(node, list) else node


def _allow_open(definition: dict[str, Any]) -> None:
    """Let "?" stand for a whole mapping, as the charter does."""
    form = {key: definition.pop(key) for key in tuple(definition) if key not in ("title", "description")}
    definition["anyOf"] = [form, {"const": OPEN}]


def _first_sentence(text: str) -> str:
    return text.split("\n\n", maxsplit=1)[0].replace("\n", " ")
