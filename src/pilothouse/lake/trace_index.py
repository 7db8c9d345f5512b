# SPDX-License-Identifier: Apache-2.0
"""Which files hold rows of a trace: 64 bits of each id, sorted, by file, in bounded memory.

Trace ids are random, so neither time nor minimum and maximum tell their file. Asking the Bloom filter of every
file costs a query about a quarter of a millisecond each; this costs microseconds. A file that is not in here
yet is simply asked as before.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["TraceIndex"]

BYTES_MAX = 64 << 20
"""Eight million traces; beyond it the files that were asked for longest ago are forgotten."""

DIGITS = 16
"""Last hexadecimal digits that are kept: some senders begin ids with the time, none ends them with it. Two ids of one file share them once in 10^12 files."""


class TraceIndex:
    """Fingerprints of trace ids by file; one thread adds, any thread asks.

    Example:
        >>> index = TraceIndex()
        >>> index.add("a", ["0" * 31 + "1"])
        >>> index.add("b", ["f" * 32])
        >>> index.split(["a", "b", "c"], "f" * 32)
        (['b'], ['c'])
    """

    def __init__(self) -> None:
        self._files: OrderedDict[str, np.ndarray[tuple[int], np.dtype[np.uint64]]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, path: str, trace_ids: Iterable[str | None]) -> None:
        """Note the traces of a file.

        Args:
            path: The file.
            trace_ids: Ids of its rows, repeated or not; those that are no hexadecimal number are left out.
        """
        prints = {int(ident[-DIGITS:], 16) for ident in set(trace_ids) if ident}
        made = np.sort(np.fromiter(prints, dtype=np.uint64, count=len(prints)))
        with self._lock:
            if path in self._files:
                self._bytes -= self._files.pop(path).nbytes
            self._files[path] = made
            self._bytes += made.nbytes
            while self._bytes > BYTES_MAX and len(self._files) > 1:
                self._bytes -= self._files.popitem(last=False)[1].nbytes

    def add_rows(self, path: str, rows: pa.Table) -> None:
        """Note the traces of a file that was just written.

        Args:
            path: The file.
            rows: What stands in it.
        """
        self.add(path, rows.column("trace_id").unique().to_pylist())

    def read(self, path: str) -> None:
        """Note the traces of a file that stands on the disk.

        Args:
            path: The file.
        """
        self.add_rows(path, pq.read_table(path, columns=["trace_id"], partitioning=None))

    def keep(self, paths: Iterable[str]) -> list[str]:
        """Forget every other file, and return those that are not known yet.

        Args:
            paths: The files of the table.
        """
        wanted = set(paths)
        with self._lock:
            for path in [path for path in self._files if path not in wanted]:
                self._bytes -= self._files.pop(path).nbytes
            return sorted(wanted - self._files.keys())

    def split(self, paths: Sequence[str], trace_id: str) -> tuple[list[str], list[str]]:
        """Return the files that hold a trace, as good as certainly, and those of which nothing is known.

        Args:
            paths: Files to look among.
            trace_id: 32 hexadecimal digits.
        """
        wanted = np.uint64(int(trace_id[-DIGITS:], 16))
        with self._lock:
            known = [(path, self._files.get(path)) for path in paths]
        holding = []
        for path, prints in known:
            if prints is not None:
                place = int(np.searchsorted(prints, wanted))
                if place < len(prints) and prints[place] == wanted:
                    holding.append(path)
        return holding, [path for path, prints in known if prints is None]
