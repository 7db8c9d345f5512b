# SPDX-License-Identifier: Apache-2.0
"""Turn rows into Arrow batches, decimals from whole pico-dollars."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa

from pilothouse.lake.columns import SPANS
from pilothouse.lake.span_block import Column, SpanBlock

__all__ = ["span_batch", "to_batch"]

CODES = {
    kind.id: code
    for kind, code in (
        (pa.int64(), "q"),
        (pa.int32(), "i"),
        (pa.int16(), "h"),
        (pa.int8(), "b"),
        (pa.date32(), "i"),
    )
}
"""Kind of whole number → how the standard library packs it."""

SAME_ROWS_MAX = 1_024
"""Rows of a column of one value that is kept to be cut from: a request has some hundreds of spans."""

BLOCK_ROWS_MIN = 16
"""Mean rows of a block below which rows one by one cost less than its columns."""

SAME_CHARS_MAX = 256
"""Longest text that is kept so: with 128 columns at most 32 MiB, and in practice a few hundred KiB."""


def to_batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as one batch.

    Args:
        rows: Tuples in the order of the schema, at least one.
        schema: Names and types; decimal columns are given as whole pico-dollars.

    Example:
        >>> to_batch([("a", 1)], pa.schema([("x", pa.string()), ("y", pa.int64())])).num_rows
        1
    """
    columns = zip(*rows, strict=True)
    arrays = [_column(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def span_batch(blocks: Sequence[SpanBlock]) -> pa.RecordBatch:
    """Return rows of `spans` as one batch, block after block.

    Args:
        blocks: With at least one row.
    """
    counts = [len(block) for block in blocks]
    if len(blocks) * BLOCK_ROWS_MIN > sum(counts):
        return to_batch([row for block in blocks for row in zip(*block.columns, strict=False)], SPANS)
    columns = zip(*[block.columns for block in blocks], strict=True)
    arrays = [_joined(parts, counts, field.type) for parts, field in zip(columns, SPANS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SPANS)


def _joined(parts: Sequence[Column], counts: Sequence[int], kind: Any) -> Any:
    """Return a column of all blocks; a block with one constant value is not iterated."""
    said = [next(part) if isinstance(part, repeat) else _VARIED for part in parts]
    first = said[0]
    if first is not _VARIED and said.count(first) == len(said):
        return _same(first, kind, sum(counts))
    return pa.concat_arrays(
        [
            _same(value, kind, count) if isinstance(part, repeat) else _column(part, kind)
            for part, value, count in zip(parts, said, counts, strict=True)
        ]
    )


_VARIED = object()


def _column(values: Sequence[Any], kind: Any) -> Any:
    first = values[0]
    if first is values[-1] and values.count(first) == len(values):  # half of the columns
        return _same(first, kind, len(values))
    if kind.id in CODES:
        return _numbers(values, kind)
    return _decimals(values, kind) if pa.types.is_decimal(kind) else pa.array(values, type=kind)


def _numbers(values: Sequence[int | None], kind: Any) -> Any:
    """Return a column of whole numbers, packed first: a third of the time of passing them one by one."""
    code, mask = CODES[kind.id], None
    numbers: Any = values  # without None, mostly
    try:
        packed = array(code, numbers)
    except TypeError:
        packed, mask = array(code, [0 if value is None else value for value in values]), _mask(values)
    return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(packed)])


def _mask(values: Sequence[Any]) -> pa.Buffer:
    """Return the validity bitmap of values."""
    present = np.fromiter((value is not None for value in values), dtype=bool, count=len(values))
    return pa.py_buffer(np.packbits(present, bitorder="little").tobytes())


def _same(value: Any, kind: Any, count: int) -> Any:
    """Return a column of one constant value, sliced from a cached one where possible, at a fifth of the cost."""
    is_short = (
        value is None or value.__class__ is int or (value.__class__ is str and len(value) <= SAME_CHARS_MAX)
    )
    return (
        _kept(value, kind).slice(0, count)
        if is_short and count <= SAME_ROWS_MAX
        else _made(value, kind, count)
    )


@lru_cache(maxsize=128)
def _kept(value: str | int | None, kind: Any) -> Any:
    return _made(value, kind, SAME_ROWS_MAX)


def _made(value: Any, kind: Any, count: int) -> Any:
    if value is None:
        return pa.nulls(count, kind)
    if pa.types.is_decimal(kind):
        return _decimals([value] * count, kind)
    return pa.repeat(pa.scalar(value, kind), count)


def _decimals(values: Sequence[int | None], kind: Any) -> Any:
    """Build 128-bit decimals of scale 12 by sign extension, without a Python Decimal for each."""
    wide = np.zeros((len(values), 2), dtype="<i8")
    numbers = [value or 0 for value in values]
    try:
        wide[:, 0] = numbers
        wide[:, 1] = wide[:, 0] >> 63
    except OverflowError:  # nine million dollars: nobody pays them, and somebody may claim the tokens
        wide[:, 0] = np.array([number & _LOW for number in numbers], dtype="<u8").view("<i8")
        wide[:, 1] = [number >> 64 for number in numbers]
    return pa.Array.from_buffers(kind, len(values), [_mask(values), pa.py_buffer(wide.tobytes())])


_LOW = (1 << 64) - 1
"""The lower half of such a number."""
