# SPDX-License-Identifier: Apache-2.0
"""Rows of the table `tasks`, for tests of what becomes of its files."""

from __future__ import annotations

import pyarrow as pa
from deltalake import DeltaTable

from pilothouse.lake.columns import TASKS

DAY = 20_000
DAY_NS = 86_400 * 10**9


def rows(numbers, *, day=DAY, said="what was said"):
    """Rows of `tasks` in which only what these tests look at says something."""
    texts = {"agent": "triage", "input_preview": said, "reason": "root_ended"}
    columns = [
        pa.array([f"{number:032x}" for number in numbers])
        if field.name == "trace_id"
        else pa.array([day * DAY_NS + number for number in numbers])
        if field.name in ("start_ns", "end_ns")
        else pa.array([day] * len(numbers), pa.int32()).cast(field.type)
        if field.name == "day"
        else pa.array([0] * len(numbers), field.type)
        if field.name == "revision"
        else pa.array([texts.get(field.name)] * len(numbers), field.type)
        for field in TASKS
    ]
    return pa.table(columns, schema=TASKS)


def stored(folder):
    """All rows as another engine reads them, by trace."""
    return DeltaTable(str(folder)).to_pyarrow_table().sort_by("trace_id")
