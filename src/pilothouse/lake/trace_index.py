# SPDX-License-Identifier: Apache-2.0
"""Which files hold rows of a trace: 64 bits of each id, sorted, by file, in bounded memory.

Trace ids are random, so neither time nor minimum and maximum tell their file. Asking the Bloom filter of every
file costs a query about a quarter of a millisecond each; this costs microseconds. A file that is not in here
yet is simply asked as before.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from itertools import compress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pilothouse.lake.parquet_files import GROUP_ROWS

__all__ = ["TraceIndex"]

BYTES_MAX = 64 << 20
"""Eight million traces; beyond it the files that were asked for longest ago are forgotten."""

FULL_SHARE = 0.9
"""From here on files of earlier processes are not read any more; the rest is for those that are written next."""

DIGITS = 16
"""Last hexadecimal digits that are kept: some senders begin ids with the time, none ends them with it. Two ids of one file share them once in 10^12 files."""

Prints = np.ndarray[tuple[int], np.dtype[np.uint64]]
"""Fingerprints of the traces of a file, sorted, each once."""


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
        self._files: OrderedDict[str, Prints] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, path: str, trace_ids: Iterable[str | None]) -> None:
        """Index the traces of a file.

        Args:
            path: The file.
            trace_ids: Ids of its rows, repeated or not; those that are no hexadecimal number are left out.
        """
        self._keep(path, _prints(trace_ids))

    def add_rows(self, path: str, rows: pa.Table) -> None:
        """Index the traces of a file that was just written."""
        self.add(path, rows.column("trace_id").unique().to_pylist())

    def merge(self, merged: str, paths: Collection[str]) -> None:
        """Index a merged file from its sources; it stays unknown when a source is unknown."""
        with self._lock:
            parts = [self._files[path] for path in paths if path in self._files]
        if len(parts) == len(paths):
            self._keep(merged, np.unique(np.concatenate(parts)))

    def read(self, path: str) -> None:
        """Index the traces of an existing file."""
        with pq.ParquetFile(path) as opened:
            groups = opened.iter_batches(GROUP_ROWS, columns=["trace_id"], use_threads=False)
            parts = [_prints(group.column(0).unique().to_pylist()) for group in groups]
        self._keep(path, np.unique(np.concatenate([*parts, _prints(())])))

    def keep(self, paths: Iterable[str]) -> list[str]:
        """Drop every other file, and return the files that are not indexed yet and fit into memory."""
        wanted = set(paths)
        with self._lock:
            for path in [path for path in self._files if path not in wanted]:
                self._bytes -= self._files.pop(path).nbytes
            # What had to be forgotten once would be forgotten again, whoever read it.
            return [] if self._bytes > FULL_SHARE * BYTES_MAX else sorted(wanted - self._files.keys())

    def split(self, paths: Sequence[str], *trace_ids: str) -> tuple[list[str], list[str]]:
        """Return the files that almost certainly hold one of some traces, and the files that are not indexed.

        Args:
            paths: Files to look among.
            trace_ids: Of 32 hexadecimal digits each.
        """
        wanted = np.array([int(ident[-DIGITS:], 16) for ident in trace_ids], dtype=np.uint64)
        with self._lock:
            known = [(path, self._files.get(path)) for path in paths]
        holding = [
            path
            for path, prints in known
            if prints is not None
            and len(prints)
            and bool((prints.take(np.searchsorted(prints, wanted), mode="clip") == wanted).any())
        ]
        return holding, [path for path, prints in known if prints is None]

    def stored(self, paths: Sequence[str], trace_ids: Sequence[str], *, surely: bool = False) -> set[str]:
        """Return the traces that are, or may be, in one of the files; all of them when a file is not indexed.

        Args:
            paths: Files to look among.
            trace_ids: Of 32 hexadecimal digits each.
            surely: Pass over the files that are not known.
        """
        with self._lock:
            known = [self._files.get(path) for path in paths]
        wanted = np.array([int(ident[-DIGITS:], 16) for ident in trace_ids], dtype=np.uint64)
        is_stored = np.zeros(len(wanted), dtype=bool)
        for prints in known:
            if prints is None and not surely:
                return set(trace_ids)
            if prints is not None and len(prints):
                is_stored |= prints.take(np.searchsorted(prints, wanted), mode="clip") == wanted
        return set(compress(trace_ids, is_stored))

    def _keep(self, path: str, prints: Prints) -> None:
        with self._lock:
            if path in self._files:
                self._bytes -= self._files.pop(path).nbytes
            self._files[path] = prints
            self._bytes += prints.nbytes
            while self._bytes > BYTES_MAX and len(self._files) > 1:
                self._bytes -= self._files.popitem(last=False)[1].nbytes


def _prints(trace_ids: Iterable[str | None]) -> Prints:
    prints = {int(ident[-DIGITS:], 16) for ident in set(trace_ids) if ident}
    return np.sort(np.fromiter(prints, dtype=np.uint64, count=len(prints)))
