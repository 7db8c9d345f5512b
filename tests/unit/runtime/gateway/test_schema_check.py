# SPDX-License-Identifier: Apache-2.0
"""Whether a text has a schema is known soon or said to be not known, whatever schema and text are."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from pilothouse.runtime.gateway import schema_process
from pilothouse.runtime.gateway.guard import stated_confidence
from pilothouse.runtime.gateway.messages import FinalAnswer
from pilothouse.runtime.gateway.schema_check import is_quick, strict_json, text_problem
from pilothouse.runtime.gateway.schema_process import SchemaProcesses

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
        (DIFFERENT, "[]"),
        ('{"items": {"anyOf": [{"patternProperties": {}}]}}', "[]"),
        ('{"type": "object"}', "x" * (1 << 20)),
    ],
)
def test_what_may_take_for_ever_is_known_before(schema, text):
    assert not is_quick(schema, text)


@pytest.mark.slow
def test_what_takes_for_ever_ends_and_others_are_answered(processes, monkeypatch):
    many = "[" + ",".join(f'{{"a": {number}}}' for number in range(60_000)) + "]"
    endless = [(REPEATING, json.dumps("a" * 40 + "!")), (BRANCHING, "{}"), (DIFFERENT, many)]
    began = time.monotonic()
    *hopeless, good, bad = asked(processes, *endless, (REPEATING, '"aa"'), (LIMITED, '{"amount": 500}'))
    assert all("was not applied within 2 s" in one for one in hopeless)
    assert (good, bad) == ("", "$.amount: 500 is greater than the maximum of 100")
    assert time.monotonic() - began < 60

    monkeypatch.setattr(schema_process.subprocess, "Popen", _none_left)
    processes.close()
    (told,) = asked(processes, (LIMITED, "{}"))
    assert "cannot be applied (OSError)" in told


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
        ("{", "{}", "$: the output schema cannot be applied"),
    ],
)
def test_a_schema_of_a_string_is_held_against_the_text_itself(schema, text, problem):
    found = text_problem(schema, text)
    assert found.startswith(problem) if problem else found == ""
