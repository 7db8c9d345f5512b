# SPDX-License-Identifier: Apache-2.0
"""Turn row tuples into Arrow batches (rows → columns), decimals from whole pico-dollars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from pilothouse.lake.columns import SPANS
from pilothouse.lake.rows import Row

__all__ = ["span_batch", "to_batch"]


def to_batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as one batch.

    Args:
        rows: Tuples in the order of the schema, at least one.
        schema: Names and types; decimal columns are given as whole pico-dollars.

    Example:
        >>> to_batch([("a", 1)], pa.schema([("x", pa.string()), ("y", pa.int64())])).num_rows
        1
    """
    return _batch(zip(*rows, strict=True), schema)


def span_batch(rows: Sequence[Row]) -> pa.RecordBatch:
    """Return rows of `spans` as one batch.

    Args:
        rows: At least one.
    """
    cores, rests = zip(*rows, strict=True)
    return _batch(chain(zip(*cores, strict=True), zip(*rests, strict=True)), SPANS)


def _batch(columns: Iterable[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [_column(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _column(values: Sequence[Any], kind: Any) -> Any:
    first = values[0]
    if first is values[-1] and values.count(first) == len(values):
        # Half of the columns are constant in a batch; repeating one value is far cheaper than reading all.
        if first is None:
            return pa.nulls(len(values), kind)
        if first.__class__ is str or (first.__class__ is int and not pa.types.is_decimal(kind)):
            return pa.repeat(pa.scalar(first, kind), len(values))
    return _decimals(values, kind) if pa.types.is_decimal(kind) else pa.array(values, type=kind)


def _decimals(values: Sequence[int | None], kind: Any) -> Any:
    """Build 128-bit decimals of scale 12 by sign extension, without a Python Decimal for each."""
    present = np.fromiter((value is not None for value in values), dtype=bool, count=len(values))
    if not present.any():
        return pa.nulls(len(values), kind)
    wide = np.zeros((len(values), 2), dtype="<i8")
    wide[:, 0] = [value or 0 for value in values]
    wide[:, 1] = wide[:, 0] >> 63
    mask = pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(wide.tobytes())])
