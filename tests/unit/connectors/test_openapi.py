# SPDX-License-Identifier: Apache-2.0
"""What an OpenAPI description says becomes schemas that stand alone; what cannot be read is refused with its place."""

from __future__ import annotations

import json
from concurrent.futures import Future
from copy import deepcopy

import pytest

from pilothouse.connectors.openapi import DOCUMENT_BYTES_MAX, read_openapi
from pilothouse.errors import MalformedRecord, UsageError
from pilothouse.schemas.value_check import ValueCheck

CUSTOMER = {
    "type": "object",
    "required": ["id", "secret"],
    "properties": {
        "id": {"type": "string"},
        "parent": {"$ref": "#/components/schemas/Customer"},
        "email": {"type": "string", "format": "email", "nullable": True},
        "tier": {"type": "string", "enum": ["a", "b"], "nullable": True},
        "secret": {"type": "string", "writeOnly": True},
    },
    "x-internal": {"owner": "desk"},
}
REFUND = {
    "type": "object",
    "required": ["id", "amount"],
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "amount": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False},
        "example": {"type": "string", "example": "late"},
    },
}  # fmt: skip
DESK = {
    "openapi": "3.0.3",
    "info": {"title": "Customer desk"},
    "servers": [{"url": "https://crm.example/api"}, {"url": "http://old.example:8080"}, {"url": "https://{region}.crm.example"}, {"url": "/v1"}],
    "paths": {
        "/customers/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getCustomer",
                "summary": "Find a customer.",
                "description": "By id.",
                "parameters": [
                    {"name": "id", "in": "path", "description": "As printed.", "required": True, "schema": {"type": "string", "maxLength": 20}},
                    {"$ref": "#/components/parameters/Fields"},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                    {"name": "session", "in": "cookie", "schema": {"type": "string"}},
                ],
                "responses": {"404": {}, "200": {"$ref": "#/components/responses/Found"}},
            },
        },
        "/refunds": {
            "post": {
                "operationId": "createRefund",
                "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
                "requestBody": {"required": True, "content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Refund"}}}},
                "responses": {"201": {"content": {"application/hal+json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Refund"}}}}}},
            },
            "put": {
                "parameters": [{"name": "amount", "in": "query", "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refund"}}}},
                "responses": {"204": {}},
            },
        },
    },
    "components": {
        "parameters": {"Fields": {"name": "fields", "in": "query", "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}}},
        "responses": {"Found": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Customer"}}}}},
        "schemas": {"Customer": CUSTOMER, "Refund": REFUND},
        "securitySchemes": {"b": {"type": "http", "scheme": "bearer"}, "k": {"type": "apiKey"}, "o": {"type": "oauth2"}, "m": {"type": "mutualTLS"}},
    },
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def read(document, name="api.json"):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return read_openapi(path)

    return read


@pytest.fixture
def operations(read):
    return {one.ident: one for one in read(DESK).operations}


def problem(schema, value):
    found = ValueCheck(schema).problem(value)
    return found.result() or None if isinstance(found, Future) else found


def test_who_it_is_and_how_one_signs_in(read):
    api = read(DESK)
    assert (api.title, api.hosts) == ("Customer desk", ("crm.example:443", "old.example:8080"))
    assert api.sign_in == ("bearer", "api key", "oauth2", "mtls")
    assert [one.ident for one in api.operations] == ["getCustomer", "put /refunds", "createRefund"]


def test_a_read_takes_its_parameters_and_no_header_that_the_function_sends(operations):
    found = operations["getCustomer"]
    assert (found.method, found.reads, found.says) == ("GET", True, "Find a customer.\nBy id.")
    assert set(found.input["properties"]) == {"id", "fields"}
    assert found.input["properties"]["id"] == {
        "description": "As printed.",
        "type": "string",
        "maxLength": 20,
    }
    assert problem(found.input, {"id": "C-7", "fields": ["tier"]}) is None
    assert problem(found.input, {"fields": []})
    assert problem(found.input, {"id": "C-7", "page": 1})
    assert problem(found.input, {"id": "C" * 21})


def test_an_answer_refers_to_itself_and_leaves_out_what_only_a_request_holds(operations):
    output = operations["getCustomer"].output
    assert problem(output, {"id": "C-7", "parent": {"id": "C-1"}, "email": None, "tier": None}) is None
    assert problem(output, {"id": "C-7", "parent": {"email": "a@b.example"}})
    assert problem(output, {"id": "C-7", "tier": "c"})
    assert "secret" not in json.dumps(output)
    assert "x-internal" not in json.dumps(output)


def test_only_what_refers_to_itself_or_is_too_large_keeps_references(read, operations):
    assert "$ref" in json.dumps(operations["getCustomer"].output)
    assert "$ref" not in json.dumps(operations["createRefund"].output)
    document = deepcopy(DESK)
    twice = {
        f"T{n}": {"properties": {side: {"$ref": f"#/components/schemas/T{n + 1}"} for side in "ab"}}
        for n in range(40)
    }
    document["components"]["schemas"] |= twice | {
        "T40": {"type": "string"},
        "Refund": {"$ref": "#/components/schemas/T0"},
    }
    found = {one.ident: one for one in read(document).operations}["createRefund"]
    assert len(json.dumps(found.output)) < 10_000
    assert problem(found.output, [{"a": {"b": {}}}]) is None


def test_the_fields_of_a_body_are_arguments_with_the_bounds_of_3_0_written_as_json_schema(operations):
    found = operations["createRefund"]
    assert (found.key_header, found.reads) == ("Idempotency-Key", False)
    assert set(found.input["properties"]) == {"amount", "example"}
    assert problem(found.input, {"amount": 9}) is None
    assert problem(found.input, {"amount": 0})
    assert problem(found.input, {"amount": 10})
    assert problem(found.input, {})
    assert problem(found.output, [{"id": "R-1", "amount": 1}]) is None
    assert problem(found.output, [{"amount": 1}])


def test_a_body_whose_names_are_taken_stands_by_itself(operations):
    found = operations["put /refunds"]
    assert set(found.input["properties"]) == {"amount", "body"}
    assert "required" not in found.input
    assert problem(found.input, {"amount": "all", "body": {"amount": 2}}) is None
    assert found.output == {}


def test_the_newer_version_is_json_schema_already(read):
    document = deepcopy(DESK) | {"openapi": "3.1.0"}
    document["components"]["schemas"]["Refund"] = {
        "allOf": [{"type": "object", "properties": {"amount": {"type": ["number", "null"], "exclusiveMinimum": 0}}}, True],
        "unevaluatedProperties": False,
    }  # fmt: skip
    found = {one.ident: one for one in read(document).operations}["createRefund"]
    assert problem(found.input, {"body": {"amount": None}}) is None
    assert problem(found.input, {"body": {"amount": 0}})
    assert problem(found.input, {"body": {"other": 1}})


def test_a_value_that_looks_like_a_reference_is_a_value(read):
    document = deepcopy(DESK)
    document["components"]["schemas"]["Refund"]["properties"]["amount"]["default"] = {"$ref": "#/elsewhere"}
    found = {one.ident: one for one in read(document).operations}["createRefund"]
    assert found.input["properties"]["amount"]["default"] == {"$ref": "#/elsewhere"}


def test_yaml_is_read_without_anchors(read):
    text = "openapi: 3.0.0\ninfo: {title: T}\npaths: {/a: {get: {operationId: a, responses: {200: {content: {application/json: {schema: {default: 2026-11-30}}}}}}}}\n"
    (found,) = read(text, "api.yaml").operations
    assert (found.ident, found.output) == ("a", {"default": "2026-11-30"})
    with pytest.raises(MalformedRecord, match=r"api\.yaml:2") as caught:
        read("a: &a [1]\nb: *a\n", "api.yaml")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("document", "error", "says"),
    [
        ({"swagger": "2.0"}, UsageError, "it is Swagger 2"),
        ({"openapi": 3}, UsageError, "no OpenAPI 3"),
        ("[]", UsageError, "no OpenAPI 3"),
        ("", UsageError, "no OpenAPI 3"),
        ("{", MalformedRecord, "cannot be read"),
        ("[" * 100_000, MalformedRecord, "cannot be read"),
        ('{"a":' * 100_000, MalformedRecord, "cannot be read"),
        ('{"openapi": ' + "[" * 300 + "]" * 300 + "}", MalformedRecord, "cannot be read"),
        ("a: b: c", MalformedRecord, "cannot be read"),
        ("a: .nan", MalformedRecord, "cannot be read"),
        ("a: !!binary eA==", MalformedRecord, "cannot be read"),
        ("a: !!python/object/apply:os.getcwd []", MalformedRecord, "cannot be read"),
    ],
)
def test_what_is_none_is_refused(read, document, error, says):
    with pytest.raises(error, match=says):
        read(document)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("https://evil.example/schema.json", "leads out of the file"),
        ("other.yaml#/components/schemas/A", "leads out of the file"),
        ("#/paths/~1refunds", "leads out of the file"),
        ("#/components/schemas/Missing", "leads nowhere"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_refused(read, reference, says):
    document = deepcopy(DESK)
    document["components"]["schemas"]["Customer"] = {"properties": {"a": {"$ref": reference}}}
    with pytest.raises(MalformedRecord, match=says) as caught:
        read(document)
    assert caught.value.subject == reference


def test_references_in_a_circle_and_too_many_of_them_are_refused(read):
    document = deepcopy(DESK)
    document["components"]["parameters"]["Fields"] = {"$ref": "#/components/parameters/Fields"}
    with pytest.raises(MalformedRecord, match="in a circle"):
        read(document)
    document = deepcopy(DESK)
    many = {f"S{n}": {"items": {"$ref": f"#/components/schemas/S{n + 1}"}} for n in range(600)}
    document["components"]["schemas"] |= many | {"S600": {}, "Customer": {"$ref": "#/components/schemas/S0"}}
    with pytest.raises(MalformedRecord, match="more than 500 schemas"):
        read(document)


def test_a_file_that_is_missing_or_too_large_is_refused(read, tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_openapi(tmp_path / "none.json")
    with pytest.raises(UsageError, match="more than 16 MiB"):
        read("{" + " " * DOCUMENT_BYTES_MAX + "}")


@pytest.mark.parametrize("odd", [None, 7, "x", [], [None], {"": None}, {"get": []}])
def test_parts_of_the_wrong_shape_are_left_out(read, odd):
    document = {
        "openapi": "3.0.0",
        "info": odd,
        "servers": odd,
        "components": odd,
        "paths": {
            "/a": odd,
            "/b": {
                "parameters": odd,
                "post": {"parameters": odd, "requestBody": odd, "responses": odd},
                "get": {"operationId": odd, "responses": {"200": odd}},
            },
        },
    }
    assert [one.path for one in read(document).operations][-2:] == ["/b", "/b"]
