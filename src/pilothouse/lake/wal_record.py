# SPDX-License-Identifier: Apache-2.0
"""The format of a log record, and reading a log file up to its end, a torn tail, or its first damage."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pilothouse.lake.inflate import crc32
from pilothouse.lake.limits import LIMITS_REVISION
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.ports.intake import Signal

__all__ = ["WalFault", "WalFile", "WalRecord", "read_file", "read_folder"]

MAGIC = b"PHW1"
HEADER = struct.Struct("<4sBBBBHHQqIIII")
"""magic, format, signal, encoding, gzip, limits revision, source bytes, seq, received_ns, items,
rejected, body bytes, crc32 of all before + source + body."""

FORMAT = 1
_SIGNALS = (Signal.TRACES, Signal.LOGS, Signal.METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalRecord:
    """One request in the log.

    Attributes:
        seq: Its number on this node, from 1.
        signal: What it carries.
        encoding: How the body is written.
        is_gzip: Whether the body is compressed.
        limits_revision: Limits it was checked under.
        source: Ingest key or place it came from.
        received_ns: When, Unix nanoseconds UTC.
        items: Items in it.
        rejected: Broken ones among them.
        body: The body as received, or without the secrets that were in it.
    """

    seq: int
    signal: Signal
    encoding: Encoding
    is_gzip: bool
    limits_revision: int = LIMITS_REVISION
    source: str
    received_ns: int
    items: int
    rejected: int
    body: bytes

    def to_bytes(self) -> list[bytes]:
        """Serialize the record: header, source and body."""
        source = self.source.encode()[:255]
        head = HEADER.pack(
            MAGIC,
            FORMAT,
            _SIGNALS.index(self.signal),
            self.encoding,
            self.is_gzip,
            self.limits_revision,
            len(source),
            self.seq,
            self.received_ns,
            self.items,
            self.rejected,
            len(self.body),
            0,
        )[:-4]
        check = crc32(self.body, crc32(source, crc32(head)))
        return [head + check.to_bytes(4, "little") + source, self.body]


class WalFault(StrEnum):
    """What is wrong with a log file after its valid records."""

    TORN = "torn"
    """Nothing valid follows: the end of a write that was cut."""

    DAMAGED = "damaged"
    """A valid record follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalFile:
    """The valid records of a log file, and its fault.

    Attributes:
        records: Records up to the end or the first damage, in order.
        good_bytes: Length of the part that holds them.
        fault: What is wrong behind that part, or None.
    """

    records: tuple[WalRecord, ...]
    good_bytes: int
    fault: WalFault | None


def read_file(path: Path) -> WalFile:
    """Read the records of one log file up to its end or its first damage."""
    data = path.read_bytes()
    records: list[WalRecord] = []
    at = 0
    while at + HEADER.size <= len(data):
        head = data[at : at + HEADER.size]
        if not any(head):
            return WalFile(records=tuple(records), good_bytes=at, fault=None)
        found = _record_at(data, at)
        if found is None:
            fault = WalFault.DAMAGED if _valid_record_follows(data, at) else WalFault.TORN
            return WalFile(records=tuple(records), good_bytes=at, fault=fault)
        record, at = found
        records.append(record)
    is_torn = any(data[at:])
    return WalFile(records=tuple(records), good_bytes=at, fault=WalFault.TORN if is_torn else None)


def _record_at(data: bytes, at: int) -> tuple[WalRecord, int] | None:
    if at + HEADER.size > len(data):
        return None
    (
        magic,
        form,
        signal,
        encoding,
        gzip,
        revision,
        source_size,
        seq,
        received_ns,
        items,
        rejected,
        size,
        check,
    ) = HEADER.unpack_from(data, at)
    start = at + HEADER.size
    end = start + source_size + size
    if magic != MAGIC or form != FORMAT or end > len(data) or signal >= len(_SIGNALS) or encoding > 1:
        return None
    rest = data[start:end]
    if crc32(rest, crc32(data[at : start - 4])) != check:
        return None
    record = WalRecord(
        seq=seq,
        signal=_SIGNALS[signal],
        encoding=Encoding(encoding),
        is_gzip=bool(gzip),
        limits_revision=revision,
        source=rest[:source_size].decode("utf-8", "replace"),
        received_ns=received_ns,
        items=items,
        rejected=rejected,
        body=rest[source_size:],
    )
    return record, end


def _valid_record_follows(data: bytes, at: int) -> bool:
    found = data.find(MAGIC, at + 1)
    while found >= 0:
        if _record_at(data, found) is not None:
            return True
        found = data.find(MAGIC, found + 1)
    return False


def read_folder(folder: Path, on_damage: Callable[[Path, str], None]) -> Iterator[WalRecord]:
    """Read every record of a node's log in order.

    A torn tail of the last file is the mark of a kill: nobody was told that it arrived, it is cut. Any
    other damage quarantines the file under `quarantine/` after its good records were read.

    Args:
        folder: The node's folder.
        on_damage: Told the quarantined file and what is wrong with it.

    Yields:
        Records, oldest first.
    """
    files = sorted(folder.glob("*.wal"))
    for number, path in enumerate(files):
        read = read_file(path)
        if read.fault is WalFault.TORN and number == len(files) - 1:
            os.truncate(path, read.good_bytes)
        elif read.fault is not None:
            quarantine = folder / "quarantine"
            quarantine.mkdir(exist_ok=True)
            kept = quarantine / f"{path.name}.{read.fault}"
            kept.write_bytes(path.read_bytes())
            os.truncate(path, read.good_bytes)
            on_damage(kept, read.fault)
        yield from read.records
