# SPDX-License-Identifier: Apache-2.0
"""The identity of a record of evidence: equal content is one record, whoever wrote it and when."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC

from pilothouse.core.charter.digest import INTEGER_EXACT_MAX, canonical_json
from pilothouse.core.evidence.evidence import Evidence

__all__ = ["evidence_digest"]

_encode_plain = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""RFC 8785 for documents without fractions and with ASCII keys: a verdict makes a digest for each of its 200 items, and this
is four times as fast."""


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
    text = _encode_plain(document) if _is_plain(record) else canonical_json(document)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_plain(record: Evidence) -> bool:
    """Whether the standard encoder writes a record as RFC 8785 does: numbers and the order of keys are where they differ."""
    if record.value is not None or record.low is not None or record.high is not None:
        return False
    whole = (record.n, record.good or 0, *record.counts.values())
    return max(whole) <= INTEGER_EXACT_MAX and all(key.isascii() for key in record.counts)
