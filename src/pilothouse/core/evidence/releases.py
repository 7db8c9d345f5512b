# SPDX-License-Identifier: Apache-2.0
"""Which release verdict of each version stands: the newest one, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.writing_order import standing_record

__all__ = ["RELEASE_VERDICT", "standing_releases"]

RELEASE_VERDICT = "release.verdict"
"""Kind of the record that a release gate writes about a version."""


def standing_releases(records: Iterable[Evidence]) -> dict[str, Evidence]:
    """Return the newest release verdict of each version, the version that was judged last at the end.

    A verdict that failed and was written after one that passed stands, also where the clock had gone back between them.

    Args:
        records: Evidence of one agent, oldest first; what was judged at the same moment counts in this order.

    Example:
        >>> standing_releases([])
        {}
    """
    judged: dict[str, list[Evidence]] = {}
    for record in records:
        if record.kind == RELEASE_VERDICT and record.binds.version is not None:
            judged.setdefault(record.binds.version, []).append(record)
    found = {version: standing_record(own) for version, own in judged.items()}
    return dict(sorted(((version, one) for version, one in found.items() if one), key=_moment))


def _moment(found: tuple[str, Evidence]) -> datetime:
    return found[1].window_to
