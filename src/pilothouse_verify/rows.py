# SPDX-License-Identifier: Apache-2.0
"""Prices, outcomes, questions, labels, approvals, incidents, pauses, faults and keys: what came by the records of the log and did not go is what a bundle must show."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

__all__ = ["ROWS_ENTRY", "StandingRows"]

ROWS_ENTRY = "rows.changed"
_DIGEST_BYTES = 32


class StandingRows:
    """The rows that stand by the records, each by its SHA-256.

    Example:
        >>> rows = StandingRows()
        >>> digest = base64.b64encode(hashlib.sha256(b"{}").digest()).decode()
        >>> rows.add({"table": "prices", "added": 1, "removed": 0, "sha256": digest}, 0)
        >>> rows.compare([b"{}"]), rows.compare([])
        ([], ['record 0: a row of prices that it names is not in the bundle, or was changed'])
    """

    def __init__(self) -> None:
        self._named: Counter[bytes] = Counter()
        self._where: dict[bytes, tuple[int, str]] = {}

    def add(self, document: Any, position: int) -> str | None:
        """Take the document of one record; return what is wrong with it."""
        digests = base64.b64decode(document["sha256"], validate=True)
        added, removed, table = int(document["added"]), int(document["removed"]), str(document["table"])
        if min(added, removed) < 0 or len(digests) != _DIGEST_BYTES * (added + removed):
            return "it names another number of rows than it says"
        for at in range(added + removed):
            digest = digests[_DIGEST_BYTES * at : _DIGEST_BYTES * (at + 1)]
            self._named[digest] += 1 if at < added else -1
            self._where[digest] = position, table
            if not self._named[digest]:
                del self._named[digest], self._where[digest]
        return None

    def compare(self, lines: Iterable[bytes]) -> list[str]:
        """Return what is wrong with the rows of a bundle.

        Args:
            lines: The exact bytes of each.
        """
        problems, left = [], self._named.copy()
        for line in lines:
            digest = hashlib.sha256(line).digest()
            left[digest] -= 1
            if left[digest] < 0 <= self._named[digest]:
                problems.append(f"no record names the row {_said(line)} as it stands")
        for digest, count in left.items():
            position, table = self._where.get(digest, (0, ""))
            if self._named[digest] < 0:
                problems.append(
                    f"record {position} takes away a row of {table} that no record before it names"
                )
            elif count > 0:
                problems.append(
                    f"record {position}: a row of {table} that it names is not in the bundle, or was changed"
                )
        return problems


def _said(line: bytes) -> str:
    """Return the first part of a row, in one line of letters that every terminal shows."""
    try:
        return ascii(json.dumps(json.loads(line)))[1:200]
    except (ValueError, RecursionError):
        return ascii(line[:200].decode("utf-8", "replace"))
