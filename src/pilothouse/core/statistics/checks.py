# SPDX-License-Identifier: Apache-2.0
"""Refuse statistical input that cannot be what it claims, naming the field and the first bad index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pilothouse.errors import LimitExceeded, MalformedRecord

__all__ = [
    "ITEMS_MAX",
    "Floats",
    "Integers",
    "binary_array",
    "check_count",
    "check_fraction",
    "check_same_length",
    "count_array",
    "finite_array",
    "malformed",
]

ITEMS_MAX = 10_000_000
"""Items in one call: 80 MB as floats; whoever has more has counts."""

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

_REMEDY = "Correct the record and repeat; `pilothouse explain` says what each method needs."


def malformed(field: str, found: object, allowed: str, *, index: int | None = None) -> MalformedRecord:
    """Build the error for a value that is not allowed.

    Args:
        field: Name of the argument or field.
        found: The value.
        allowed: What would have been right, in words.
        index: Position of the value when the field is an array.

    Example:
        >>> malformed("good", -1, "a whole number from 0", index=3).message
        'good[3] is -1; allowed: a whole number from 0.'
    """
    where = field if index is None else f"{field}[{index}]"
    return MalformedRecord(f"{where} is {found}; allowed: {allowed}.", remedy=_REMEDY, subject=field)


def check_count(field: str, value: int, *, least: int = 0, most: int | None = None) -> int:
    """Return a whole number as `int`, or refuse it.

    Args:
        field: Name for the message.
        value: bool, int or numpy integer.
        least: Smallest allowed value.
        most: Largest allowed value, or None.

    Raises:
        MalformedRecord: Not a whole number, or outside the range.

    Example:
        >>> check_count("n", 3)
        3
    """
    is_whole = isinstance(value, (int, np.integer))
    if is_whole and value >= least and (most is None or value <= most):
        return int(value)
    allowed = f"a whole number from {least}" + ("" if most is None else f" to {most}")
    raise malformed(field, value if is_whole else repr(value), allowed)


def check_fraction(
    field: str, value: float, low: float = 0.0, high: float = 1.0, *, closed: bool = False
) -> float:
    """Return a number inside a range as `float`, or refuse it.

    Args:
        field: Name for the message.
        value: The number.
        low: Lower end of the range.
        high: Upper end of the range.
        closed: Whether the ends themselves are allowed.

    Raises:
        MalformedRecord: Not a number, NaN, infinite, or outside the range.

    Example:
        >>> check_fraction("level", 0.95)
        0.95
    """
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    number = float(value) if is_number else math.nan
    inside = low <= number <= high if closed else low < number < high
    if inside and math.isfinite(number):
        return number
    ends = "[]" if closed else "()"
    raise malformed(
        field, number if is_number else repr(value), f"a number in {ends[0]}{low:g}, {high:g}{ends[1]}"
    )


def check_same_length(**arrays: Sequence[object] | NDArray[np.generic]) -> int:
    """Return the common length of some arrays, or refuse them.

    Raises:
        MalformedRecord: The lengths differ.

    Example:
        >>> check_same_length(labels=[1, 0], scores=[0.5, 0.2])
        2
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise malformed(next(iter(lengths)), f"of another length ({shown})", "arrays of one length")
    return next(iter(lengths.values()))


def finite_array(
    field: str,
    values: Sequence[float] | NDArray[np.generic],
    low: float | None = None,
    high: float | None = None,
) -> Floats:
    """Return values as floats of shape (n,), or refuse the first that is not finite or not inside.

    Args:
        field: Name for the message.
        values: Numbers; shape (n,), at most `ITEMS_MAX`.
        low: Smallest allowed value, or None.
        high: Largest allowed value, or None.

    Raises:
        MalformedRecord: Not numbers, not one-dimensional, NaN, infinite, or outside [low, high].
        LimitExceeded: More than `ITEMS_MAX` values.

    Example:
        >>> finite_array("scores", [0.25, 1], 0.0, 1.0).tolist()
        [0.25, 1.0]
    """
    _check_size(field, len(values))
    raw = np.asarray(values)
    if raw.ndim != 1 or (raw.size and raw.dtype.kind not in "biuf"):
        raise malformed(field, f"of type {raw.dtype} and shape {raw.shape}", "a flat array of numbers")
    array = raw.astype(np.float64)
    bad = ~np.isfinite(array)
    if low is not None:
        bad |= array < low
    if high is not None:
        bad |= array > high
    if bad.any():
        index = int(np.argmax(bad))
        ends = f" in [{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
        allowed = "a finite number" + ("" if low is None and high is None else ends)
        raise malformed(field, float(array[index]), allowed, index=index)
    return array


def count_array(field: str, values: Sequence[int] | NDArray[np.generic]) -> Integers:
    """Return whole numbers from 0 as integers of shape (n,), or refuse the first that is not.

    Args:
        field: Name for the message.
        values: bool or int; shape (n,), at most `ITEMS_MAX`.

    Raises:
        MalformedRecord: Not integers, or negative.
        LimitExceeded: More than `ITEMS_MAX` values.

    Example:
        >>> count_array("wins", [3, 0]).tolist()
        [3, 0]
    """
    _check_size(field, len(values))
    raw = np.asarray(values)
    if raw.ndim != 1 or (raw.size and raw.dtype.kind not in "biu"):
        raise malformed(field, f"of type {raw.dtype} and shape {raw.shape}", "a flat array of bool or int")
    array = raw.astype(np.int64)
    if (array < 0).any():
        index = int(np.argmax(array < 0))
        raise malformed(field, int(array[index]), "a whole number from 0", index=index)
    return array


def binary_array(field: str, values: Sequence[int] | NDArray[np.generic]) -> Integers:
    """Return labels as integers 0 and 1 of shape (n,), or refuse the first that is neither.

    Args:
        field: Name for the message.
        values: bool or int; shape (n,), at most `ITEMS_MAX`.

    Raises:
        MalformedRecord: Not bool or int, or a value other than 0 and 1.
        LimitExceeded: More than `ITEMS_MAX` values.

    Example:
        >>> binary_array("labels", [True, 0]).tolist()
        [1, 0]
    """
    array = count_array(field, values)
    if (array > 1).any():
        index = int(np.argmax(array > 1))
        raise malformed(field, int(array[index]), "0 or 1", index=index)
    return array


def _check_size(field: str, size: int) -> None:
    if size > ITEMS_MAX:
        raise LimitExceeded(
            f"{field} has {size} items; the limit is {ITEMS_MAX}.",
            remedy="Give counts instead of items; `pilothouse explain` names the methods that take counts.",
            subject=field,
        )
