# SPDX-License-Identifier: Apache-2.0
"""A record of what was measured keeps the first of a long detail and of many examples, whoever wrote it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pilothouse.core.evidence.evidence import ITEMS_MAX, Binding, Scope
from pilothouse.core.evidence.recorded import DETAIL_CHARS_MAX, bound_record

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def test_a_record_of_what_was_measured_keeps_the_first_of_what_is_too_much():
    binds = Binding(version="v1", dataset="d1")
    made = bound_record(
        "eval.baseline",
        "invoices",
        NOW,
        command="pilothouse eval import run.json",
        binds=binds,
        scope=Scope(task_type="triage"),
        since=NOW - timedelta(days=1),
        run_id="run-7",
        n=100,
        good=40,
        detail="x" * (DETAIL_CHARS_MAX + 1),
        items=tuple(f"case-{number}" for number in range(ITEMS_MAX + 10)),
    )
    assert (made.binds, made.scope.task_type, made.source.run_id) == (binds, "triage", "run-7")
    assert (made.window_from, made.window_to, made.recorded_at) == (NOW - timedelta(days=1), NOW, NOW)
    assert (len(made.detail), len(made.items), made.items[0]) == (DETAIL_CHARS_MAX, ITEMS_MAX, "case-0")


def test_a_record_bound_to_nothing_ends_where_it_begins():
    made = bound_record("canary.trace", "invoices", NOW, command="pilothouse up", n=1, passed=True)
    assert (made.binds, made.window_from) == (Binding(), NOW)
