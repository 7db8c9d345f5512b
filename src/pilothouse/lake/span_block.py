# SPDX-License-Identifier: Apache-2.0
"""Rows of the table `spans` that were flattened together by column; values that all rows share are stored once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any, TypeAlias

from pilothouse.lake.columns import CoreSpan
from pilothouse.lake.rows import core_span

__all__ = ["Column", "SpanBlock"]

Column: TypeAlias = "Sequence[Any] | repeat[Any]"
"""One value for each row, or an endless `itertools.repeat` where all rows say the same."""

CORES = len(CoreSpan._fields)


@dataclass(frozen=True, slots=True)
class SpanBlock:
    """Some rows of one request.

    Attributes:
        columns: In the order of `columns.SPAN_COLUMNS`; the first is a list.
        places: Where each row stands among those of the request.
    """

    columns: tuple[Column, ...]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def cores(self) -> Iterator[CoreSpan]:
        """Return the core columns of each row."""
        return map(core_span, zip(*self.columns[:CORES], strict=False))

    def without(self, places: Collection[int]) -> SpanBlock:
        """Return the block without the rows at some positions.

        Args:
            places: Of rows of the request.
        """
        kept = [place not in places for place in self.places]
        columns = [one if isinstance(one, repeat) else list(compress(one, kept)) for one in self.columns]
        return SpanBlock(tuple(columns), list(compress(self.places, kept)))
