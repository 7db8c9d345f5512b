# SPDX-License-Identifier: Apache-2.0
"""A value is held against a schema in place, elsewhere, or not at all; whoever asks is answered in time."""

from __future__ import annotations

import os
from concurrent.futures import Future

import pytest

from pilothouse.schemas import process as schema_process
from pilothouse.schemas.process import CheckUnfinished, SchemaProcesses, shared_processes
from pilothouse.schemas.value_check import SchemaInvalid, ValueCheck

REPEATING = {"type": "string", "pattern": "^(a+)+$"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nothing"},
        {"properties": {"a": {"type": "string", "pattern": "("}}},
        {"patternProperties": {"\\p{L}+": {}}},
        {"type": "object", "properties": {"a": {"pattern": 5}}},
        5,
    ],
)
def test_what_cannot_be_applied_is_no_schema(schema):
    with pytest.raises(SchemaInvalid):
        ValueCheck(schema)


def test_a_schema_is_read_in_the_draft_that_it_names():
    tuple_of = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert ValueCheck(tuple_of).problem([1]) == "$[0]: 1 is not of type 'string'"


@pytest.mark.parametrize(
    ("value", "problem"), [("aa", ""), ("b", "$: 'b' does not match"), (5, "$: 5 is not of type 'string'")]
)
def test_what_may_take_for_ever_is_asked_elsewhere_and_means_the_same(value, problem):
    found = ValueCheck(REPEATING).problem(value)
    assert isinstance(found, Future)
    assert found.result().startswith(problem) if problem else found.result() == ""


def test_what_is_not_known_in_time_is_said_to_be_unknown():
    with pytest.raises(CheckUnfinished, match="within 2 s"):
        ValueCheck(REPEATING).problem("a" * 60 + "!").result()


def test_a_value_that_no_json_can_hold_is_wrong():
    check = ValueCheck({"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})
    assert "cannot be written" in check.problem({"a": 10**5000})
    deep = []
    for _ in range(100):
        deep = [deep]
    assert "deeper" in check.problem(deep)


def test_too_many_that_wait_are_not_known_at_once(monkeypatch):
    monkeypatch.setattr(schema_process, "WAITING_MAX", 0)
    processes = SchemaProcesses()
    with pytest.raises(CheckUnfinished, match="others wait"):
        processes.ask("{}", "1", is_data=True).result()


def test_a_forked_process_begins_with_none():
    before = shared_processes()
    assert ValueCheck(REPEATING).problem("aa").result() == ""
    child = os.fork()
    if child == 0:
        os._exit(0 if shared_processes() is not before else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert shared_processes() is before
