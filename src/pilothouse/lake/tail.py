# SPDX-License-Identifier: Apache-2.0
"""Rows of one table that are in no file yet, committed exactly once (batches → commit)."""

from __future__ import annotations

import pyarrow as pa

from pilothouse.errors import StorageUnavailable
from pilothouse.lake.segments import SegmentTable

__all__ = ["Tail"]


class Tail:
    """Rows in memory. One thread owns it; any thread may read `batches`, which is replaced and never changed.

    A commit may fail after its entry stands in the log. So whoever was told that it failed looks there before anything
    is written again, and rows that could not be looked for stay in memory until they can.

    Args:
        table: Where the rows go.
        schema: Of the table.
        app_id: Application whose number is committed with them.

    Attributes:
        batches: The rows, oldest first.
        rows: How many they are.
        size_bytes: What they take in memory.
        reached: Number up to which everything is in the table.
    """

    def __init__(self, table: SegmentTable, schema: pa.Schema, app_id: str) -> None:
        self._table = table
        self._schema = schema
        self._app_id = app_id
        self._begun: tuple[int, int] | None = None
        self.batches: tuple[pa.RecordBatch, ...] = ()
        self.rows = self.size_bytes = 0
        self.reached = -1

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self.batches = (*self.batches, batch)
        self.rows += batch.num_rows
        self.size_bytes += batch.nbytes

    def commit(self, number: int) -> bool:
        """Commit every row to the table and remove it from memory.

        Args:
            number: The number that is reached with them.

        Returns:
            Whether there was any.

        Raises:
            StorageUnavailable: It failed; what is not in the table is still here.
        """
        was_open = self._settle()
        if not self.batches:
            return was_open
        self._begun = len(self.batches), number
        try:
            self._table.append(
                pa.Table.from_batches(self.batches, schema=self._schema), {self._app_id: number}
            )
        except StorageUnavailable:
            if not self._settle():
                raise
        else:
            self._drop()
        return True

    def _settle(self) -> bool:
        """Drop rows whose commit is in the log although it reported a failure; return whether there were any."""
        if self._begun is None:
            return False
        if self._table.holds_last():
            self._drop()
            return True
        self._begun = None
        return False

    def _drop(self) -> None:
        if self._begun is not None:
            count, self.reached = self._begun
            self.batches = self.batches[count:]
            self.rows = sum(batch.num_rows for batch in self.batches)
            self.size_bytes = sum(batch.nbytes for batch in self.batches)
            self._begun = None
