# SPDX-License-Identifier: Apache-2.0
"""What was counted of one version is no evidence of the next."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.ground.check import load_charter
from pilothouse.workflows.watch.evidence import RecordWriter, _served_by, _week

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


def overrides(versions):
    record = override_record(versions)
    return record and (record.n, record.good, record.binds.version)


def override_record(versions, good=100, **more):
    """The record of a fortnight of which each day was served by one version; None for a day without tasks."""
    readings = []
    for back, version in enumerate(reversed(versions), start=1):
        day = (NOW - timedelta(days=back)).date()
        traffic = {"tasks": 100 if version else 0, "version": version, "minutes": 0, "served": 0}
        readings.append(reading(day, "traffic", traffic))
        if version:
            readings.append(
                reading(day, "override", {"n": 100, "good": good if version == "a" else 80, **more})
            )
    charter = load_charter(CHARTER, today=NOW.date())
    found = _week(RecordWriter(charter=charter, now=NOW), charter, sorted(readings, key=lambda one: one.day))
    return next((one for one in found if one.kind == "override"), None)


def test_replaced_answers_of_one_conversation_are_worth_fewer_cases():
    assert override_record(["a"] * 9, worth=20).counts == {"worth": 140}
    assert override_record(["a"] * 9, worth=100).counts == override_record(["a"] * 9).counts == {}


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


def test_days_of_a_stand_in_are_no_days_of_the_version_that_their_spans_name():
    """Replaced answers of another model stood as those of the pinned version, for the better and for the worse."""
    own = {"own": {"n": 40, "good": 10, "worth": 30}}
    record = override_record(["a"] * 9, **own)
    assert (record.n, record.good, record.counts) == (280, 70, {"worth": 210})
    assert override_record(["a"] * 9, own={"n": 0, "good": 0, "worth": 0}) is None


def test_a_day_that_only_a_stand_in_served_ends_no_version():
    days = [("a", 100), ("a", 60), (None, 0), ("a", 100)]
    traffic = [
        reading(
            (NOW - timedelta(days=4 - n)).date(), "traffic", {"tasks": 100, "own": own, "version": version}
        )
        for n, (version, own) in enumerate(days)
    ]
    assert _served_by(traffic) == ("a", None)


def uptimes(days_without, *, in_phase):
    """The record of uptime after 28 days, of which some were without service; `in_phase` of them are of phase 1."""
    readings = []
    for back in range(28, 0, -1):
        served = 0 if back in days_without else 1_440
        traffic = {"tasks": 9, "version": "a", "minutes": 1_440, "served": served}
        readings.append(reading((NOW - timedelta(days=back)).date(), "traffic", traffic))
    charter = load_charter(CHARTER, today=NOW.date())
    phase = readings[len(readings) - in_phase :] if in_phase else ()
    found = _week(RecordWriter(charter=charter, now=NOW), charter, readings, phase)
    (record,) = [one for one in found if one.kind == "uptime"]
    return record


@pytest.mark.parametrize(
    ("without", "in_phase", "days", "lost"),
    [((9, 10), 0, 7, 0), ((9, 10), 28, 28, 2), ((20,), 12, 12, 0), ((2,), 28, 28, 1), ((2,), 3, 7, 1)],
)
def test_uptime_of_phase_1_is_that_of_all_of_it(without, in_phase, days, lost):
    """Two days without service were forgotten a week later, and phase 1 was left with 92.9 % of uptime."""
    record = uptimes(without, in_phase=in_phase)
    assert (record.n, record.n - record.good) == (1_440 * days, 1_440 * lost)
    assert (record.window_to - record.window_from).days == days
