# SPDX-License-Identifier: Apache-2.0
"""The identity of a record of evidence: equal content is one record, whoever wrote it and when."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import cast

from pilothouse.core.charter.digest import INTEGER_EXACT_MAX, canonical_json
from pilothouse.core.evidence.evidence import Basis, Evidence

__all__ = ["evidence_digest"]

_encode_plain = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""RFC 8785 for documents with ASCII keys and plain numbers: a verdict checks the digest of each record that it reads, and
this is four times as fast."""

_FRACTIONS = ("value", "low", "high")
_WRITTEN_OUT_MIN, _WRITTEN_OUT_MAX = 1e-4, 1e16
"""Between these Python writes a fraction without an exponent, and so as ECMAScript does."""


def evidence_digest(record: Evidence) -> str:
    """Return the digest that makes a record count once.

    When it was written and on which machine do not belong to what was measured, so the same
    measurement from two nodes is one record; the same moment written in two time zones is one moment.
    Fields at their default are left out, so that a field added later leaves old digests as they are.

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
    document = _document(record)
    text = _encode_plain(document) if _is_plain(record, document) else canonical_json(document)
    return hashlib.sha256(text.encode()).hexdigest()


def _document(record: Evidence) -> dict[str, object]:
    """Return the measured fields without those at their default, as `model_dump` does, in a fifth of the time."""
    document: dict[str, object] = {
        "kind": record.kind,
        "agent": record.agent,
        "window_from": _moment(record.window_from),
        "window_to": _moment(record.window_to),
        "n": record.n,
        "source": {"command": record.source.command},
    }
    if record.source.run_id:
        document["source"] = {"command": record.source.command, "run_id": record.source.run_id}
    for name in ("binds", "scope"):
        said = {key: value for key, value in getattr(record, name).__dict__.items() if value is not None}
        if said:
            document[name] = said
    fields = record.__dict__
    for name in ("good", "value", "low", "high", "passed", "signer"):
        if fields[name] is not None:
            document[name] = fields[name]
    for name in ("method", "detail", "items", "counts"):
        if fields[name]:
            document[name] = fields[name]
    if record.basis is not Basis.MEASURED:
        document["basis"] = record.basis.value
    return document


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _is_plain(record: Evidence, document: dict[str, object]) -> bool:
    """Whether the standard encoder writes a record as RFC 8785 does; whole fractions are made whole numbers for that.

    Numbers and the order of keys are where the two differ: `1.0` for `1`, and exponents.
    """
    for name in _FRACTIONS:
        value = document.get(name)
        if value is None:
            continue
        size = abs(cast("float", value))
        if size.is_integer() and size <= INTEGER_EXACT_MAX:
            document[name] = int(cast("float", value))
        elif not _WRITTEN_OUT_MIN <= size < _WRITTEN_OUT_MAX:
            return False
    whole = (record.n, record.good or 0, *record.counts.values())
    return max(whole) <= INTEGER_EXACT_MAX and all(map(str.isascii, record.counts))
