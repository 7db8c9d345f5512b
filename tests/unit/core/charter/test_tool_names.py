# SPDX-License-Identifier: Apache-2.0
"""Names that model APIs accept: another one for each tool."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.charter.tool_names import CALL_NAME_MAX, call_name, known_as

ACCEPTED = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAMES = st.from_regex(r"[a-z0-9_-]{1,12}(\.[a-z0-9_-]{1,12}){0,6}@[0-9]{1,3}", fullmatch=True)


@given(NAMES, NAMES)
def test_a_name_is_accepted_belongs_to_one_tool(one, other):
    shown = call_name(one)
    assert ACCEPTED.fullmatch(shown)
    assert (shown == call_name(other)) == (one == other)


def test_a_long_name_is_cut_and_still_its_own():
    long = "a" * 100
    first, second = call_name(f"{long}@1"), call_name(f"{long}@2")
    assert first != second
    assert len(first) == CALL_NAME_MAX


def test_telemetry_may_name_a_tool_in_three_ways():
    assert known_as("crm.find@1") == ("crm.find@1", "crm.find", "crm_D_find_V1")
