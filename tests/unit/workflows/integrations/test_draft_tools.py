# SPDX-License-Identifier: Apache-2.0
"""A draft of tools from a description is a charter with open questions and contracts that the runtime takes, and nothing more."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

from pilothouse.connectors.charter_file import look_at_files, read_charter_text
from pilothouse.connectors.openapi import read_openapi
from pilothouse.core.charter.contract import file_digest, parse_contract
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.findings import FindingKind
from pilothouse.core.charter.parse import check_charter
from pilothouse.errors import Conflict, UnknownName, UsageError
from pilothouse.workflows.integrations.draft_tools import TOOLS_MAX, draft_tools, write_contracts

HOSTILE = 'x"\n  evil: {effect: read} # \u202e "?"'
DESK = {
    "openapi": "3.0.3",
    "info": {"title": HOSTILE},
    "servers": [{"url": "https://crm.example"}],
    "paths": {
        "/orders/{id}": {
            "get": {
                "operationId": "getOrder",
                "description": f"Find an order. {HOSTILE}",
                "parameters": [
                    {"name": "id", "in": "path", "schema": {"type": "string", "maxLength": 20}},
                    {"name": HOSTILE, "in": "query", "schema": {"type": "string"}},
                    {"name": "state", "in": "query", "schema": {"$ref": "#/components/schemas/State"}},
                    {"name": "since", "in": "query", "schema": {"type": "string", "format": "date"}},
                    {"name": "count", "in": "query", "schema": {"type": ["integer", "null"]}},
                    {"name": "open", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                ],
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "object"}}}}},
            },
        },
        "/refunds": {
            "post": {
                "operationId": "createRefund",
                "parameters": [{"name": "Idempotency-Key", "in": "header"}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"properties": {"amount": {"type": "number"}}, "required": ["amount"]}}},
                },
                "responses": {},
            },
            "get": {"operationId": "get-order", "responses": {}},
        },
    },
    "components": {"schemas": {"State": {"type": "string", "enum": ["open", "closed"]}}},
}  # fmt: skip
EXAMPLE = Path(__file__).parents[4] / "examples" / "plain_python" / "charter.yaml"


@pytest.fixture
def api(tmp_path):
    path = tmp_path / "api.json"
    path.write_text(json.dumps(DESK))
    return read_openapi(path)


def charter_with(entries):
    """Put the entries in place of those of the example's charter, as a person does."""
    text = EXAMPLE.read_text(encoding="utf-8")
    begin, end = text.index("integrations:\n"), text.index("model:\n")
    return text[:begin] + entries + "\n" + text[end:].replace("integrations: [orders]", "integrations: [crm]")


def test_the_entries_are_a_charter_with_questions_and_no_mistakes(api, tmp_path):
    drafted = draft_tools(api, "crm", ["getOrder", "POST /refunds"])
    write_contracts(drafted, tmp_path)
    text = charter_with(drafted.charter)
    tree = read_charter_text(text, file="charter.yaml")
    assert not tree.problems
    names = {path: path for path in re.findall(r"contract: (\S+)", drafted.charter)}
    files = look_at_files(tmp_path, names)
    found = check_charter(tree, CharterFacts(today=date(2026, 11, 30), files=files))
    errors = found.of_kind(FindingKind.ERROR)
    assert [one.text for one in errors if one.path.startswith(("integrations", "tools"))] == []
    tools = check_charter(tree, CharterFacts(today=date(2026, 11, 30))).charter.tools
    assert set(tools) == {"crm.get_order@1", "crm.create_refund@1"}
    assert (tools["crm.get_order@1"].effect, tools["crm.create_refund@1"].effect) == ("read", "?")
    assert {tool.task_types for tool in tools.values()} == {"?"}
    given = tools["crm.get_order@1"].args
    assert {name: one.type for name, one in given.items()} == {
        "id": "text", HOSTILE: "text", "state": "enum", "since": "date", "count": "int", "open": "bool", "tags": "?",
    }  # fmt: skip
    assert (given["id"].max, given["id"].required, given["state"].values) == (20, True, ("open", "closed"))
    assert {one.role for one in given.values()} == {"?"}
    assert drafted.questions == len(re.findall(r'(?<!\\)"\?(?<!\\)"', drafted.charter))


def test_the_contracts_are_those_that_the_entries_pin(api, tmp_path):
    drafted = draft_tools(api, "crm", ["getOrder", "createRefund"])
    first, second = write_contracts(drafted, tmp_path)
    read, write = (parse_contract(path.read_text(), path=str(path)) for path in (first, second))
    assert (read.tool, write.tool) == drafted.tools
    assert (read.repeatable("read"), write.repeatable("external")) == ("natural", "key")
    for path in (first, second):
        assert f"manifest_hash: {file_digest(path.read_bytes())}" in drafted.charter
        assert path.read_bytes().isascii()  # what is hidden in a text is seen by whoever reviews it


def test_nothing_foreign_leaves_its_line(api):
    drafted = draft_tools(api, "crm", ["getOrder"])
    assert not re.search(r"(?m)^\s*evil:", drafted.charter)
    assert "\u202e" not in drafted.charter


def test_a_contract_that_is_there_is_not_overwritten(api, tmp_path):
    drafted = draft_tools(api, "crm", ["getOrder", "createRefund"])
    _, second = write_contracts(drafted, tmp_path)
    write_contracts(drafted, tmp_path)
    second.write_text("{}")
    (tmp_path / "contracts" / "crm.get_order.json").unlink()
    with pytest.raises(Conflict, match="another contract"):
        write_contracts(drafted, tmp_path)
    assert second.read_text() == "{}"
    assert not (tmp_path / "contracts" / "crm.get_order.json").exists()


def test_what_cannot_be_drafted_is_refused(api):
    with pytest.raises(UnknownName, match="'getOrder'"):
        draft_tools(api, "crm", ["getOrdr"])
    with pytest.raises(UsageError, match="would both become"):
        draft_tools(api, "crm", ["getOrder", "get-order"])
    with pytest.raises(UsageError, match="no name of an integration"):
        draft_tools(api, "C R M", ["getOrder"])
    with pytest.raises(UsageError, match="at most 40"):
        draft_tools(api, "crm", [f"o{n}" for n in range(TOOLS_MAX + 1)])
