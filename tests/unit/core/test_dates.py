# SPDX-License-Identifier: Apache-2.0
"""Days and moments are written one way: in UTC whatever zone they come in, in letters whatever the locale, also at the edges."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from pilothouse.core.dates import calendar_day, day, minute, second

EAST = timezone(timedelta(hours=14))


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2026, 11, 3, 9, 5, 7, tzinfo=UTC), "3 Nov 2026, 09:05:07 UTC"),
        (datetime(2027, 1, 1, 3, 0, 0, tzinfo=EAST), "31 Dec 2026, 13:00:00 UTC"),
        (datetime(1, 1, 1, tzinfo=UTC), "1 Jan 1, 00:00:00 UTC"),
        (datetime.max.replace(tzinfo=UTC), "31 Dec 9999, 23:59:59 UTC"),
    ],
)
def test_a_moment_is_said_in_utc(moment, said):
    assert second(moment) == said
    assert minute(moment) == f"{said[:-7]} UTC"
    assert day(moment) == said.partition(",")[0]


def test_every_month_has_its_letters():
    assert [calendar_day(date(2028, month, 29)).split()[1] for month in range(1, 13)] == [
        *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
        *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ]
