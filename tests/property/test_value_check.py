# SPDX-License-Identifier: Apache-2.0
"""The quick check of arguments never lets through what the full validator refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pilothouse.errors import CharterInvalid
from pilothouse.runtime.tools.schema import check_of
from pilothouse.schemas.value_check import ValueCheck

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from(["", "a", "ab", "1"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=6,
)
LEAVES = st.one_of(
    st.just({}),
    st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"]).map(
        lambda name: {"type": name}
    ),
    st.just({"type": ["string", "null"]}),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.integers(0, 2).map(lambda n: {"type": "string", "minLength": n, "maxLength": 2}),
    st.just({"type": "string", "pattern": "^a"}),
    st.integers(-1, 2).map(lambda n: {"type": "number", "minimum": n, "maximum": 2}),
    st.integers(-1, 2).map(lambda n: {"minimum": n}),
    st.just({"const": 1}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        inner.map(lambda one: {"items": one}),
        st.builds(
            lambda fields, needed, more, typed: {
                **({"type": "object"} if typed else {}),
                "properties": fields,
                "required": needed,
                "additionalProperties": more,
            },
            st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
            st.one_of(st.booleans(), inner),
            st.booleans(),
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"anyOf": some}),
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=300)
@given(schema=SCHEMAS, value=VALUES)
def test_the_quick_check_agrees_with_the_validator(schema, value):
    expected = Draft202012Validator(schema).is_valid(value)
    assert (ValueCheck(schema).problem(value) is None) is expected


def test_a_value_nested_deep_is_refused_without_a_stack():
    value = []
    for _ in range(100_000):
        value = [value]
    assert "deeper" in ValueCheck({"type": "array", "maxItems": 5}).problem(value)


def test_a_broken_schema_is_refused_with_its_place():
    with pytest.raises(CharterInvalid) as caught:
        check_of({"type": "nothing"}, where="arguments of crm.find@1")
    assert "arguments of crm.find@1" in caught.value.message
