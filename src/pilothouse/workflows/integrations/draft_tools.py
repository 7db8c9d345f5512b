# SPDX-License-Identifier: Apache-2.0
"""Draft contracts and charter entries for operations of a described web service (OpenAPI → files and text to review).

What a description says stands there; what nobody can read from it is an open question. No tool comes into being: a person
answers the questions, writes the function, and puts the charter into force.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilothouse.connectors.openapi import ApiDescription, Operation
from pilothouse.core.charter.contract import file_digest, parse_contract
from pilothouse.durable_file import replace_file
from pilothouse.errors import Conflict, UnknownName, UsageError

__all__ = ["Drafted", "draft_tools", "tool_of", "write_contracts"]

TOOLS_MAX = 40
"""Tools of one draft, as `pilothouse init` writes at most: an agent with more is no narrow one."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
NAME_CHARACTERS_MAX = 80
DESCRIPTION_CHARACTERS_MAX = 8_000
"""What a contract takes."""

ENUM_VALUES_MAX = 50
"""Values of one argument that are written out; a longer list is a registry."""

FORMATS = {
    "date": "date",
    "date-time": "datetime",
    "email": "email",
    "uri": "url",
    "url": "url",
    "uuid": "id",
}
"""Format of a text in a schema → type of an argument in a charter."""

OPEN = '"?"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A draft.

    Attributes:
        contracts: Text of each contract file by its path, relative to the charter.
        charter: Entries for `integrations:` and `tools:` of the charter.
        tools: Names of the tools, in order.
        questions: How many answers are still open.
    """

    contracts: dict[str, str]
    charter: str
    tools: tuple[str, ...]
    questions: int


def tool_of(operation: Operation, integration: str) -> str:
    """Return the name of the tool that an operation becomes, without its version.

    Args:
        operation: The operation.
        integration: Name of its system in the charter.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation.ident).lower()
    name = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    return f"{integration}.{name or 'operation'}"[:NAME_CHARACTERS_MAX]


def draft_tools(
    api: ApiDescription, integration: str, wanted: Sequence[str], *, folder: str = "contracts"
) -> Drafted:
    """Draft what a charter says about some operations of a service.

    Args:
        api: The description.
        integration: Name of the system in the charter.
        wanted: Operations by `operationId`, or by method and path: `GET /orders/{id}`.
        folder: Folder of the contracts, relative to the charter.

    Raises:
        UnknownName: The service has no such operation.
        UsageError: The name cannot stand in a charter, or too many are wanted, or two would have one name.
    """
    if not NAME.fullmatch(integration):
        raise UsageError(
            f"{integration!r} is no name of an integration",
            remedy="Use small letters, digits, `-` and `_`, for example `--as crm`.",
            subject=integration,
        )
    if len(wanted) > TOOLS_MAX:
        raise UsageError(
            f"{len(wanted)} operations are wanted, and a draft has at most {TOOLS_MAX}",
            remedy="Name those that the agent needs: each one is a right that somebody must answer for.",
        )
    chosen = [_operation(api, one) for one in dict.fromkeys(wanted)]
    contracts: dict[str, str] = {}
    entries: list[str] = []
    tools: list[str] = []
    for operation in chosen:
        tool = tool_of(operation, integration)
        path = f"{folder}/{tool}.json"
        if path in contracts:
            raise UsageError(
                f"two of the operations would both become {tool}",
                remedy="Draft them one after the other, and rename one.",
            )
        contracts[path] = _contract(operation, tool)
        entries += _entry(operation, integration, tool, path, contracts[path])
        tools.append(f"{tool}@1")
    charter = "\n".join([*_integration(api, integration), "tools:", *entries, ""])
    return Drafted(contracts=contracts, charter=charter, tools=tuple(tools), questions=charter.count(OPEN))


def write_contracts(drafted: Drafted, folder: Path) -> tuple[Path, ...]:
    """Write the contract files of a draft.

    Args:
        drafted: The draft.
        folder: Folder of the charter.

    Raises:
        Conflict: A file is there with something else in it; nothing was written.
    """
    files = {folder / relative: text.encode() for relative, text in drafted.contracts.items()}
    for path, content in files.items():
        if path.exists() and path.read_bytes() != content:
            raise Conflict(
                f"{str(path)!r} is there already, and is another contract",
                remedy="Compare it, and remove it or draft into another folder: `--into drafts`.",
                subject=str(path),
            )
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    return tuple(files)


def _operation(api: ApiDescription, wanted: str) -> Operation:
    known = {operation.ident: operation for operation in api.operations}
    known |= {f"{operation.method} {operation.path}": operation for operation in api.operations}
    found = known.get(wanted)
    if found is None:
        raise UnknownName.among(
            "operation",
            wanted,
            [operation.ident for operation in api.operations],
            remedy="Run it without --operation to list them.",
        )
    return found


def _contract(operation: Operation, tool: str) -> str:
    contract: dict[str, Any] = {
        "name": tool,
        "version": 1,
        "description": (operation.says or f"{operation.method} {operation.path}")[
            :DESCRIPTION_CHARACTERS_MAX
        ],
        "input": operation.input,
        "output": operation.output,
    }
    if operation.key_header and not operation.reads:
        contract["idempotency"] = "key"
    # In ASCII, so that whoever reviews the file sees what a model would: hidden characters are written by their numbers.
    text = json.dumps(contract, indent=2) + "\n"
    parse_contract(text, path=tool)
    return text


def _integration(api: ApiDescription, name: str) -> list[str]:
    hosts = ", ".join(json.dumps(host) for host in api.hosts)
    sign_in = json.dumps(", ".join(dict.fromkeys(api.sign_in))) if api.sign_in else OPEN
    return [
        "integrations:",
        f"  {name}:                        # {_comment(api.title)}",
        "    kind: api",
        f"    hosts: [{hosts}]" if hosts else f"    hosts: {OPEN}",
        f"    auth: {sign_in}",
        *(
            f"    {key}: {OPEN}"
            for key in (
                "owner", "environment", "data", "region", "rate_limit", "freshness", "criticality", "failure_modes",
                "fallback", "fallback_drill",
            )
        ),
    ]  # fmt: skip


def _entry(operation: Operation, integration: str, tool: str, path: str, contract: str) -> list[str]:
    effect = "read" if operation.reads else f"{OPEN}                  # internal, external or irreversible"
    lines = [
        f"  {tool}@1:                      # {operation.method} {_comment(operation.path)}",
        f"    integration: {integration}",
        f"    effect: {effect}",
        f"    task_types: {OPEN}",
        f"    contract: {path}",
        f"    manifest_hash: {file_digest(contract.encode())}",
    ]
    properties, required = operation.input.get("properties", {}), operation.input.get("required", [])
    if properties:
        lines.append("    args:")
    for name, schema in properties.items():
        terms = [f"role: {OPEN}", *_type(operation.input, schema)]
        if name in required:
            terms.append("required: true")
        lines.append(f"      {json.dumps(name)}: {{{', '.join(terms)}}}")
    lines.append(f"    examples: {OPEN}")
    return lines


def _type(whole: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return what a schema says of an argument; a list, an object and a choice of several are for a person to say."""
    for _ in range(len(whole.get("$defs", {})) + 1):
        reference = schema.get("$ref", "")
        if not reference:
            break
        schema = whole["$defs"].get(reference.rpartition("/")[2], {})
    values = schema.get("enum")
    if isinstance(values, list) and values and all(isinstance(one, str) for one in values):
        if len(values) > ENUM_VALUES_MAX:
            return [f"type: {OPEN}"]
        return ["type: enum", f"values: {json.dumps(values)}"]
    kinds = schema.get("type")
    plain = [one for one in (kinds if isinstance(kinds, list) else [kinds]) if one != "null"]
    kind = plain[0] if len(plain) == 1 else None
    if kind == "string":
        of_format = FORMATS.get(str(schema.get("format", "")))
        if of_format is not None:
            return [f"type: {of_format}"]
        longest = schema.get("maxLength")
        return ["type: text", f"max: {longest if type(longest) is int and longest > 0 else OPEN}"]
    return [f"type: {({'integer': 'int', 'number': 'number', 'boolean': 'bool'}).get(str(kind), OPEN)}"]


def _comment(text: str) -> str:
    """Return foreign text as the end of a line of YAML."""
    return json.dumps(text[:NAME_CHARACTERS_MAX])[1:-1] or "no title"
