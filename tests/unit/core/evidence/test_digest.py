# SPDX-License-Identifier: Apache-2.0
"""Equal content has one digest; anything that was measured differently has another."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Basis, Binding, Evidence, Scope, Source

DAY = datetime(2026, 11, 20, tzinfo=UTC)
RECORD = Evidence(
    kind="completion",
    agent="triage",
    binds=Binding(version="v1"),
    scope=Scope(task_type="po_invoice"),
    window_from=DAY - timedelta(days=7),
    window_to=DAY,
    n=1200,
    good=1164,
    counts={"failed": 36, "open": 2},
    source=Source(command="pilothouse verdict", node="a"),
    recorded_at=DAY,
)


@pytest.mark.parametrize(
    "change",
    [
        {"recorded_at": DAY + timedelta(hours=1)},
        {"source": Source(command="pilothouse verdict", node="b")},
        {"window_to": DAY.astimezone(timezone(timedelta(hours=-5)))},
        {"counts": {"open": 2, "failed": 36}},
    ],
)
def test_who_wrote_it_when_and_in_which_order_does_not_matter(change):
    assert evidence_digest(RECORD.model_copy(update=change)) == evidence_digest(RECORD)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 1201},
        {"good": None},
        {"binds": Binding(version="v2")},
        {"scope": Scope(task_type="credit_note")},
        {"window_to": DAY + timedelta(seconds=1)},
        {"source": Source(command="another")},
        {"counts": {"failed": 36, "open": 3}},
        {"basis": Basis.IMPORTED},
        {"source": Source(command="pilothouse verdict", run_id="r1")},
        {"value": 1e-9},
    ],
)
def test_what_was_measured_otherwise_is_another_record(change):
    assert evidence_digest(RECORD.model_copy(update=change)) != evidence_digest(RECORD)


@pytest.mark.parametrize("value", [1e-9, 0.5, 3.0, 2.0**80, 1e21])
def test_the_quick_way_to_a_digest_is_the_canonical_form(value):
    record = RECORD.model_copy(update={"value": value, "source": Source(command="x", run_id="r1")})
    plain = record.model_dump(mode="json", exclude_defaults=True, exclude={"recorded_at"})
    assert evidence_digest(record) == hashlib.sha256(canonical_json(_utc(plain)).encode()).hexdigest()


def _utc(plain):
    """Moments as the canonical form writes them: of UTC, with an offset."""
    moments = {name: plain[name].replace("Z", "+00:00") for name in ("window_from", "window_to")}
    return plain | moments
