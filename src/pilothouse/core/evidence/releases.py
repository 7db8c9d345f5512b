# SPDX-License-Identifier: Apache-2.0
"""Which release verdict of each version stands: the newest one, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.core.evidence.evidence import Evidence

__all__ = ["RELEASE_VERDICT", "standing_releases"]

RELEASE_VERDICT = "release.verdict"
"""Kind of the record that a release gate writes about a version."""


def standing_releases(records: Iterable[Evidence]) -> dict[str, Evidence]:
    """Return the newest release verdict of each version, the version that was judged last at the end.

    Args:
        records: Evidence of one agent, oldest first; what was judged at the same moment counts in this order.

    Example:
        >>> standing_releases([])
        {}
    """
    judged = (one for one in records if one.kind == RELEASE_VERDICT and one.binds.version is not None)
    standing: dict[str, Evidence] = {}
    for record in sorted(judged, key=lambda one: one.window_to):
        version = record.binds.version or ""
        standing.pop(version, None)
        standing[version] = record
    return standing
