# SPDX-License-Identifier: Apache-2.0
"""A ledger reads no fact whose place a newer one took, and finds one that was made to look newer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.errors import DigestMismatch
from pilothouse.ledger.ledger import open_ledger

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def fact(hours, *, passed=True):
    at = NOW - timedelta(hours=hours)
    return Evidence(
        kind="audit.verified",
        agent="triage",
        window_from=at,
        window_to=at,
        n=1,
        passed=passed,
        source=Source(command="pilothouse audit verify"),
        recorded_at=at,
    )


def test_only_the_newest_fact_is_read_and_a_forged_age_is_found(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.add_evidence([fact(3), fact(2, passed=False), fact(1)])
        assert ledger.standing_evidence("triage", at=NOW) == (fact(1),)
        assert ledger.standing_evidence("triage", at=NOW - timedelta(hours=2)) == (fact(2, passed=False),)
        forged = (
            "UPDATE evidence SET document = replace(document, '2026-11-20T09:00:00Z', '2026-11-20T11:30:00Z')"
        )
        with ledger.database.write() as connection:
            connection.execute(text(forged))
        with pytest.raises(DigestMismatch):
            ledger.standing_evidence("triage", at=NOW)
