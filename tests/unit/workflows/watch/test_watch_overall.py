# SPDX-License-Identifier: Apache-2.0
"""What the verdict judges is quiet on the Watch page while its evidence stands, and blind or learning while it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, everything_holds, load_charter, replaced, without

from pilothouse.core.verdict.readiness import decide
from pilothouse.workflows.watch.overall import overall_rows

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)
OLD = NOW - timedelta(days=30)


def row(evidence, title):
    verdict = decide(CHARTER, evidence, NOW, phase="1", version=V1)
    return next(one for one in overall_rows(CHARTER, {}, {}, verdict) if one.title == title)


@pytest.mark.parametrize(
    ("evidence", "state", "note"),
    [
        (HELD, "quiet", "each call is held against the pin and its stand-ins"),
        (
            replaced(HELD, "served_model", n=5_000, good=4_000),
            "alarm",
            "Calls served by another model: 1,000 in 5,000 calls",
        ),
        (
            replaced(HELD, "served_model", window_from=OLD, window_to=OLD),
            "blind",
            "Calls served by another model of ",
        ),
        (replaced(HELD, "served_model", n=1, good=1), "learning", "1 of about "),
        (
            without(HELD, "served_model"),
            "blind",
            "each call is held against the pin and its stand-ins; nothing",
        ),
    ],
)
def test_nothing_is_quiet_whose_evidence_is_over(evidence, state, note):
    found = row(evidence, "Served model")
    assert found.state == state
    assert found.note.startswith(note)
