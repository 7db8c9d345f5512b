# SPDX-License-Identifier: Apache-2.0
"""The identity of a record of evidence: equal content is one record, whoever wrote it and when."""

from __future__ import annotations

import hashlib
from datetime import UTC

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Evidence

__all__ = ["evidence_digest"]


def evidence_digest(record: Evidence) -> str:
    """Return the digest that makes a record count once.

    When it was written and on which machine do not belong to what was measured, so the same
    measurement from two nodes is one record; the same moment written in two time zones is one moment.
    Fields at their default are left out, so that a field added later leaves old digests as they are.

    Args:
        record: The record.

    Returns:
        SHA-256 of its canonical JSON, lower-case hex.

    Example:
        >>> from datetime import datetime, timedelta
        >>> from pilothouse.core.evidence.evidence import Source
        >>> day = datetime(2026, 11, 20, tzinfo=UTC)
        >>> one = Evidence(kind="completion", agent="triage", window_from=day, window_to=day, n=1,
        ...                source=Source(command="pilothouse verdict", node="a"), recorded_at=day)
        >>> two = one.model_copy(update={"source": Source(command="pilothouse verdict", node="b"),
        ...                              "recorded_at": day + timedelta(hours=1)})
        >>> evidence_digest(one) == evidence_digest(two)
        True
    """
    document = record.model_dump(
        mode="json", exclude={"recorded_at": True, "source": {"node"}}, exclude_defaults=True
    )
    for name in ("window_from", "window_to"):
        document[name] = getattr(record, name).astimezone(UTC).isoformat()
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
