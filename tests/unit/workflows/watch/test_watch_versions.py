# SPDX-License-Identifier: Apache-2.0
"""What was counted of one version is no evidence of the next."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.ground.check import load_charter
from pilothouse.workflows.watch.evidence import _week
from pilothouse.workflows.watch.record import RecordWriter

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
TYPE = "po_invoice"


def reading(day, detector, document):
    return WatchReading(
        agent="ap-invoice-triage",
        task_type=TYPE,
        day=day,
        detector=detector,
        layer="quiet",
        settled=True,
        document=json.dumps(document),
        at=NOW,
    )


def overrides(versions, good=100):
    """The record of a fortnight of which each day was served by one version; None for a day without tasks."""
    readings = []
    for back, version in enumerate(reversed(versions), start=1):
        day = (NOW - timedelta(days=back)).date()
        traffic = {"tasks": 100 if version else 0, "version": version, "minutes": 0, "served": 0}
        readings.append(reading(day, "traffic", traffic))
        if version:
            readings.append(reading(day, "override", {"n": 100, "good": good if version == "a" else 80}))
    charter = load_charter(CHARTER, today=NOW.date())
    found = _week(RecordWriter(charter, NOW), charter, sorted(readings, key=lambda one: one.day))
    return next(((one.n, one.good, one.binds.version) for one in found if one.kind == "override"), None)


@pytest.mark.parametrize(
    ("versions", "record"),
    [
        (["a"] * 9, (700, 700, "a")),
        (["a"] * 6 + ["b"], None),
        (["a"] * 5 + ["b", "b"], (100, 80, "b")),
        (["a"] * 3 + ["b"] * 9, (700, 560, "b")),
        (["a"] * 3 + ["b", "b", "a", "a", "a"], (200, 200, "a")),
        (["a", "a", None, None, "a"], (300, 300, "a")),
        (["a", "b", None, "b"], (100, 80, "b")),
    ],
)
def test_replaced_answers_of_one_version_are_none_of_another(versions, record):
    """Six good days of the version before made the first day of a bad one pass; and the other way round."""
    assert overrides(versions) == record
