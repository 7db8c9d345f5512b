# SPDX-License-Identifier: Apache-2.0
"""Whether a text has a schema is known soon or said to be not known, whatever schema and text are."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from pilothouse.runtime.gateway.guard import stated_confidence
from pilothouse.runtime.gateway.messages import FinalAnswer
from pilothouse.schemas import process as schema_process
from pilothouse.schemas.process import SchemaProcesses
from pilothouse.schemas.strict_json import strict_json
from pilothouse.schemas.text_check import data_problem, text_problem
from pilothouse.schemas.weight import is_quick

LIMITED = '{"properties": {"amount": {"type": "number", "maximum": 100}}}'
BRANCHES = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(40)}
BRANCHING = json.dumps({"$defs": {**BRANCHES, "d40": {}}, "$ref": "#/$defs/d0"})
DIFFERENT = '{"uniqueItems": true}'
REPEATING = '{"pattern": "^(a+)+$"}'


@pytest.fixture
def processes():
    made = SchemaProcesses()
    yield made
    made.close()


def asked(processes, *pairs):
    async def ask():
        return await asyncio.gather(*(processes.problem(*pair) for pair in pairs))

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"amount": NaN}', "NaN is no JSON"),
        ('{"amount": -Infinity}', "-Infinity is no JSON"),
        ('{"amount": 1e9, "amount": 1}', "a key stands twice"),
        ('{"amount": 5} {"amount": 1000}', "Extra data"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_what_is_no_json_for_every_reader_is_valid_by_no_schema(text, said):
    assert said in text_problem(LIMITED, text)


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        ("date", ["2026-11-20"], ["2026-02-30", "20.11.2026", "soon", ""]),
        ("date-time", ["2026-11-20T09:00:00Z", "2026-11-20T09:00:00"], ["2026-11-20T25:00:00Z", "tomorrow"]),
        ("time", ["09:00:00", "09:00:00+01:00"], ["25:00", "noon"]),
        ("uuid", ["5e5e5e5e-5e5e-4e5e-8e5e-5e5e5e5e5e5e"], ["5e5e"]),
        ("uri", ["whatever"], []),
    ],
)
def test_a_date_a_time_and_a_uuid_of_an_answer_are_some(form, right, wrong):
    """What Pydantic writes for such a field let any text go out as valid, and the agent failed on it."""
    schema = json.dumps({"properties": {"a": {"anyOf": [{"format": form}, {"type": "null"}]}}})
    for value in [*right, None, 7]:
        assert not text_problem(schema, json.dumps({"a": value}))
    for value in wrong:
        assert text_problem(schema, json.dumps({"a": value})).startswith("$.a: ")
        assert not data_problem(schema, {"a": value})


def test_a_confidence_that_is_said_twice_is_not_said():
    said = FinalAnswer('{"sure": 0.1, "sure": 0.99}', calls_tools=False, is_whole=True)
    assert stated_confidence(said, "sure") is None
    assert strict_json('{"sure": 0.99}') == {"sure": 0.99}


def test_a_reference_to_elsewhere_is_not_followed():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        schema = json.dumps({"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"})
        assert "cannot be applied" in text_problem(schema, "{}")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (REPEATING, "{}"),
        (BRANCHING, "{}"),
        (DIFFERENT, json.dumps(list(range(300)))),
        ('{"items": {"anyOf": [{"patternProperties": {"(a*)*": {}}}]}}', "[]"),
        ('{"type": "object"}', json.dumps([0] * 5_000)),
        ('{"unevaluatedProperties": false}', "{}"),
        ('{"properties": {"a": {"$id": "other", "$ref": "#/x"}}}', "{}"),
        ('{"$ref": "#/$defs/gone"}', "{}"),
        ('{"$ref": "https://example.com/schema"}', "{}"),
        ('{"$defs": {"node": {"items": {"$ref": "#/$defs/node"}}}, "$ref": "#/$defs/node"}', "[]"),
        ('{"pattern": "a+b"}', json.dumps("a" * 5_000)),
        ('{"pattern": "^a*b*c*d*e*$"}', '"a"'),
        ('{"pattern": "^(a|ab)+$"}', '"a"'),
        ('{"pattern": "^((ab)*)+$"}', '"a"'),
        ('{"pattern": "^(a?){40}b$"}', '"a"'),
        ('{"pattern": "^((a|b)){2,9}$"}', '"a"'),
        ('{"pattern": "^([a-z]{1,9}-?){1,9}$"}', '"a"'),
        (json.dumps({"pattern": "[a-z]{1,30}" * 6}), '"a"'),
        ('{"pattern": "^(?=a)a$"}', '"a"'),
        ('{"pattern": "(a)\\\\1"}', '"aa"'),
        ('{"pattern": "^a++$"}', '"a"'),
        (json.dumps({"pattern": "|".join("abcdefghij")}), '"a"'),
        (json.dumps({"items": {"anyOf": [{"const": 1}] * 100}}), json.dumps([0] * 60)),
    ],
)
def test_what_may_take_for_ever_is_known_before(schema, text):
    assert not is_quick(schema, text)


NESTED = json.dumps(
    {
        "$defs": {
            "Line": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}},
            },
            "Order": {
                "type": "object",
                "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}}},
            },
        },
        "type": "object",
        "properties": {"order": {"$ref": "#/$defs/Order"}, "tags": {"type": "array", "uniqueItems": True}},
    }
)
"""As Pydantic writes models that hold models, and a set."""

ROUTING = '{"type": "object", "properties": {"document": {"type": "string", "pattern": "^D-[0-9]{5}$"}}}'


@pytest.mark.parametrize(
    ("schema", "text", "problem"),
    [
        (NESTED, '{"order": {"lines": [{"sku": "a", "count": 1}]}, "tags": ["x", "y"]}', ""),
        (
            NESTED,
            '{"order": {"lines": [{"sku": "a", "count": "1"}]}}',
            "$.order.lines[0].count: '1' is not of",
        ),
        (NESTED, '{"tags": ["x", "x"]}', "$.tags: ['x', 'x'] has non-unique elements"),
        (ROUTING, '{"document": "D-04711"}', ""),
        (ROUTING, '{"document": "D-4711"}', "$.document: 'D-4711' does not match"),
        ('{"pattern": "^(?:net|gross) [0-9.,]+ (EUR|USD)$"}', '"net 1.00 EUR"', ""),
        ('{"pattern": "[a-z]+@[a-z]+"}', '"me@here"', ""),
        ('{"pattern": "^[A-Z]{2}(-[0-9]+)?(?:[a-z]{3}){2,4}$"}', '"AB-12abcabc"', ""),
        (json.dumps({"pattern": "^[A-Z]+-[0-9]{1,4}-[a-z]{1,9}-[0-9]{0,3}-[0-9]+$"}), '"A-1-a-1-1"', ""),
        ('{"properties": {"pattern": {"type": "string"}}}', '{"pattern": 1}', "$.pattern: 1 is not of type"),
        ('{"enum": ["a", "b"]}', '"a"', ""),
        ("{", "{}", "$: the schema cannot be applied"),
    ],
)
def test_the_usual_is_checked_in_place(schema, text, problem):
    assert is_quick(schema, text)
    found = text_problem(schema, text)
    assert found.startswith(problem) if problem else found == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "make"),
    [
        ({"items": {"anyOf": [{"const": 1}] * 20}}, lambda size: json.dumps([0] * size)),
        ({"items": {"allOf": [{"type": "string"}] * 20}}, lambda size: json.dumps([0] * size)),
        ({"items": {"oneOf": [{"not": {"type": "string"}}] * 20}}, lambda size: json.dumps([0] * size)),
        (
            {"allOf": [{"propertyNames": {"maxLength": 9}}] * 20},
            lambda size: json.dumps({f"k{at}": 0 for at in range(size)}),
        ),
        ({"uniqueItems": True}, lambda size: json.dumps([{"a": at} for at in range(size)])),
        ({"pattern": "a*a*a*b"}, lambda size: json.dumps("a" * size)),
        ({"pattern": "[a-z]+[0-9]"}, lambda size: json.dumps("a" * size)),
        ({"pattern": "[a-z]{1,9}[a-z]{0,9}[a-z]?5"}, lambda size: json.dumps("a" * size)),
        ({"pattern": "(?:aa)*(?:aa)+b"}, lambda size: json.dumps("a" * size)),
        ({"pattern": "^(?:a[a-z]*)?(?:a[a-z]*)?(?:a[a-z]*)?b$"}, lambda size: json.dumps("a" * size)),
        ({"pattern": "^(a|a)(a|a)(a|a)(a|a)[a-z]*b$"}, lambda size: json.dumps("a" * size)),
    ],
)
def test_the_largest_that_counts_as_quick_ends_in_the_time_of_a_process(processes, schema, make):
    written, size = json.dumps(schema), 1
    while is_quick(written, make(2 * size)):
        size *= 2
    assert size > 8
    (told,) = asked(processes, (written, make(size)))
    assert "was not applied" not in told


@pytest.mark.slow
def test_what_takes_for_ever_ends_and_others_are_answered(processes, monkeypatch):
    many = "[" + ",".join(f'{{"a": {number}}}' for number in range(60_000)) + "]"
    endless = [(REPEATING, json.dumps("a" * 40 + "!")), (BRANCHING, "{}"), (DIFFERENT, many)]
    began = time.monotonic()
    *hopeless, good, bad = asked(processes, *endless, (REPEATING, '"aa"'), (LIMITED, '{"amount": 500}'))
    assert all("was not applied within 2 s" in one for one in hopeless)
    assert (good, bad) == ("", "$.amount: 500 is greater than the maximum of 100")
    assert time.monotonic() - began < 60

    monkeypatch.setattr(schema_process, "start_module", _none_left)
    processes.close()
    (told,) = asked(processes, (LIMITED, "{}"))
    assert "not applied (OSError)" in told


def _none_left(*_, **__):
    raise OSError("no more processes")


@pytest.mark.parametrize(
    ("schema", "text", "problem"),
    [
        ('{"type": "string"}', "Order A-1 is on its way.", ""),
        ('{"type": "string"}', "42", ""),
        ('{"type": "string", "enum": ["paid"]}', "paid", ""),
        ('{"type": "string", "enum": ["paid"]}', '"paid"', ""),
        ('{"type": "string", "enum": ["paid"]}', "unpaid", "$: 'unpaid' is not one of"),
        ('{"type": "string", "minLength": 1}', "", "$: '' "),
        ('{"type": "object"}', "Order A-1 is on its way.", "$: no JSON"),
        ("{", "text", "$: no JSON"),
        ("{", "{}", "$: the schema cannot be applied"),
    ],
)
def test_a_schema_of_a_string_is_held_against_the_text_itself(schema, text, problem):
    found = text_problem(schema, text)
    assert found.startswith(problem) if problem else found == ""
