# SPDX-License-Identifier: Apache-2.0
"""Erase a person from quarantine: requests that could not be flattened and damaged logs, kept beside the tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pilothouse.errors import PilothouseError
from pilothouse.lake.inflate import inflate
from pilothouse.lake.wal_record import WalRecord, read_file

__all__ = ["QuarantineErased", "erase_quarantine"]

QUARANTINE = "quarantine"
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineErased:
    """What an erasure did with quarantined files.

    Attributes:
        deleted: Files that held a subject and are gone, whole: nobody could read them anyway.
        unread: Files whose compressed or damaged parts cannot be looked through; they stay, and are named.
    """

    deleted: tuple[str, ...]
    unread: tuple[str, ...]


def erase_quarantine(
    lake_folder: Path, spelled: tuple[str, ...], traces: Sequence[str] = ()
) -> QuarantineErased:
    """Delete quarantined files that contain a subject.

    Args:
        lake_folder: Folder of the lake; every node's log is looked at.
        spelled: How the subject may be written.
        traces: Ids of its traces; requests carry them as sixteen bytes or as text.
    """
    sought = [one.encode("utf-8", "surrogatepass").lower() for one in (*spelled, *traces)]
    # Lower case as well, since what is looked through is put into it: a byte that is a capital letter.
    sought += [bytes.fromhex(one).lower() for one in traces if _TRACE_ID.fullmatch(one)]
    deleted, unread = [], []
    for path in sorted(lake_folder.glob(f"wal/*/{QUARANTINE}/*")):
        if path.suffix == ".txt":  # the fault of a request may repeat its words, and goes with it
            continue
        try:
            held, is_whole = _looked_through(path, sought)
            if held:
                path.unlink(missing_ok=True)
                path.with_suffix(".txt").unlink(missing_ok=True)
                deleted.append(str(path))
            elif not is_whole:
                unread.append(str(path))
        except OSError:
            unread.append(str(path))
    unread += map(
        str, sorted(lake_folder.glob(f"{QUARANTINE}/*/*"))
    )  # files of tables, taken out since they are damaged
    return QuarantineErased(deleted=tuple(deleted), unread=tuple(unread))


def _looked_through(path: Path, sought: Sequence[bytes]) -> tuple[bool, bool]:
    """Return whether a file contains a subject, and whether all of it could be searched."""
    raw = path.read_bytes()
    fault = path.with_suffix(".txt")
    texts = [raw, fault.read_bytes() if fault.is_file() else b""]
    log = read_file(path)
    is_whole = log.good_bytes == len(raw)  # behind the damage a compressed body looks like anything
    for record in log.records:
        plain = _plain(record)
        is_whole = is_whole and plain is not None
        texts.append(plain or b"")
    return any(one in text.lower() for text in texts for one in sought), is_whole


def _plain(record: WalRecord) -> bytes | None:
    try:
        return inflate(record.body) if record.is_gzip else record.body
    except PilothouseError:
        return None
