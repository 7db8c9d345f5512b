# SPDX-License-Identifier: Apache-2.0
"""The query line reads what people type, and says what to type instead where it cannot."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.errors import PilothouseError, UnknownName, UsageError
from pilothouse.ports.lake import SAID_SPAN_MAX_NS, TaskFilter
from pilothouse.workflows.ground.query_line import _READERS, QUERY_KEYS, narrow_query, parse_query

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
DAY_NS = 86_400 * 10**9


def test_the_whole_line_of_the_manual_is_read():
    line = (
        'agent:triage type:po_invoice result:failed tool:erp.find model:gpt* cost:>0.05 since:7d "free text"'
    )
    assert parse_query(line, NOW) == TaskFilter(
        agent="triage", task_type="po_invoice", result="failed", tool="erp.find", model="gpt*",
        cost_over=Decimal("0.05"), from_ns=NOW_NS - 7 * DAY_NS, text="free text",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", TaskFilter()),
        ("  two  words ", TaskFilter(text="two words")),
        ('agent:"stray agent"', TaskFilter(agent="stray agent")),
        ("cost:<$1 cost:>0", TaskFilter(cost_under=Decimal(1), cost_over=Decimal(0))),
        ("took:>1.5s took:<2m", TaskFilter(took_ns_over=1_500_000_000, took_ns_under=120 * 10**9)),
        ("took:>250ms", TaskFilter(took_ns_over=250_000_000)),
        ("tokens:>10000", TaskFilter(tokens_over=10_000)),
        ("trace:4BF9", TaskFilter(trace_prefix="4bf9")),
        (
            "since:2026-11-19 until:12h",
            TaskFilter(from_ns=NOW_NS - 3 * DAY_NS // 2, to_ns=NOW_NS - DAY_NS // 2),
        ),
        ("since:2026-11-20T11:00:00+01:00", TaskFilter(from_ns=NOW_NS - 2 * 3600 * 10**9)),
        ("said:late", TaskFilter(said="late", from_ns=NOW_NS + 1 - DAY_NS, to_ns=NOW_NS + 1)),
        (
            'said:"not paid" since:6d',
            TaskFilter(said="not paid", from_ns=NOW_NS - 6 * DAY_NS, to_ns=NOW_NS + 1),
        ),
        ('"http://x"', TaskFilter(text="http://x")),
    ],
)
def test_lines_and_what_they_ask_for(line, wanted):
    assert parse_query(line, NOW) == wanted


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tol:erp.find", "`tool:erp.find`"),
        ("resutl:failed", "`result:failed`"),
        ("result:faild", "failed"),
        ("state:open", "complete"),
        ("cost:0.05", "cost:>0.05"),
        ("cost:>many", "cost:>0.05"),
        ("cost:>nan", "cost:>0.05"),
        ("took:>5 parsecs took:>5x", "took:>30s"),
        ("since:yesterday", "since:7d"),
        ("since:1d until:2d", "since:7d until:1d"),
        ("agent:a agent:b", "Keep one"),
        ('"open', "quotes"),
        ("agent:", "name of the agent"),
        ('""', "quotes"),
        ("trace:xyz", "hex"),
        ("said:x since:30d", "since:7d"),
        ("x" * 501, "fewer"),
        ("http://x", "quote"),
    ],
)
def test_what_cannot_be_read_says_what_to_type(line, said):
    with pytest.raises((UsageError, UnknownName)) as caught:
        parse_query(line, NOW)
    assert re.search(said, caught.value.message + caught.value.remedy)


def test_every_key_that_is_read_is_explained():
    assert set(QUERY_KEYS) == set(_READERS)


@given(st.text(max_size=120))
def test_any_text_is_a_filter_or_one_of_our_errors(line):
    found = None
    with suppress(PilothouseError):  # anything else is a defect
        found = parse_query(line, NOW)
    assert found is None or found.said is None or found.to_ns - found.from_ns <= SAID_SPAN_MAX_NS


def test_fields_beside_the_line_must_agree_with_it():
    wanted = parse_query("result:failed late", NOW)
    assert narrow_query(wanted, {"agent": "a", "result": "failed", "text": "order"}) == TaskFilter(
        agent="a", result="failed", text="late order"
    )
    with pytest.raises(UsageError, match="result 'failed'"):
        narrow_query(wanted, {"result": "completed"})
