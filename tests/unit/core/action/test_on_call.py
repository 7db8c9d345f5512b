# SPDX-License-Identifier: Apache-2.0
"""On-call time is counted across nights, weekends and clock changes; checked against counting minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.action.on_call import ON_CALL, due_after

BERLIN, NEW_YORK, LORD_HOWE = (
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
)
MINUTE = timedelta(minutes=1)
YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def counted(start, minutes, hours, zone):
    """The slow way: walk through the minutes and count those that lie in the hours."""
    moment = start
    while minutes > 0:
        local = moment.astimezone(zone)
        if hours.days is None or (local.weekday() in hours.days and hours.start <= local.time() < hours.end):
            minutes -= 1
        moment += MINUTE
    return moment


@settings(max_examples=40)
@given(
    start=st.integers(0, 525_600).map(lambda minute: YEAR + minute * MINUTE),
    minutes=st.integers(1, 900),
    name=st.sampled_from(sorted(ON_CALL)),
    zone=st.sampled_from([UTC, BERLIN, NEW_YORK, LORD_HOWE]),
)
def test_it_is_the_same_as_counting_minutes(start, minutes, name, zone):
    assert due_after(start, minutes * MINUTE, ON_CALL[name], zone) == counted(
        start, minutes, ON_CALL[name], zone
    )


@pytest.mark.parametrize(
    ("start", "due"),
    [
        ("2026-03-27T15:50+00:00", "2026-03-30T07:05+00:00"),  # the clocks go forward on Sunday
        ("2026-10-23T14:50+00:00", "2026-10-26T08:05+00:00"),  # and back
        ("2026-11-18T10:00+00:00", "2026-11-18T10:15+00:00"),
        ("2026-11-18T02:00+00:00", "2026-11-18T08:15+00:00"),
        ("2026-11-18T20:00+00:00", "2026-11-19T08:15+00:00"),  # the hours of the day are over
    ],
)
def test_a_quarter_of_an_hour_in_berlin(start, due):
    found = due_after(datetime.fromisoformat(start), timedelta(minutes=15), ON_CALL["business_hours"], BERLIN)
    assert found == datetime.fromisoformat(due)


def test_a_day_with_a_clock_change_counts_the_hours_that_really_passed():
    hours = ON_CALL["extended_hours"]
    start = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert due_after(start, timedelta(hours=9), hours, BERLIN) == datetime(2026, 3, 28, 21, tzinfo=UTC)


def test_more_than_can_be_looked_ahead_ends_somewhere_after_it():
    start = datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert due_after(start, timedelta(days=1_000), ON_CALL["business_hours"], UTC) > start + timedelta(
        days=700
    )
