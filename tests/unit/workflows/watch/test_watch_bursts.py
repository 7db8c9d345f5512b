# SPDX-License-Identifier: Apache-2.0
"""What warnings buy: the judge ten days in twenty, all others together as many, a suspicion the next day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pilothouse.workflows.watch.effects import Burst, next_burst
from pilothouse.workflows.watch.judge import JUDGE
from pilothouse.workflows.watch.quality import SUSPICION

DAY = date(2026, 11, 2)


def after(days):
    return DAY + timedelta(days=days)


def ten(by, first=DAY):
    return Burst(first=first, last=first + timedelta(days=9), by=by)


@pytest.mark.parametrize(
    ("by", "days", "bought"),
    [
        (JUDGE, 19, False),
        (JUDGE, 20, True),
        ("drift", 19, True),
        ("complaint", 0, True),
    ],
)
def test_the_judge_has_one_burst_in_twenty_days_whatever_others_bought(by, days, bought):
    found = next_burst([ten(JUDGE)], by, after(days))
    assert (found == ten(by, after(days))) if bought else found is None


def test_all_other_detectors_share_one():
    assert next_burst([ten("drift")], "complaint", after(5)) is None
    assert next_burst([ten("drift")], JUDGE, after(5)) == ten(JUDGE, after(5))


def test_a_suspicion_goes_on_where_a_burst_ends_and_takes_nobodys():
    assert next_burst([ten(JUDGE)], SUSPICION, after(9)) is None, "those labels are bought"
    one = next_burst([ten(JUDGE)], SUSPICION, after(10))
    assert one == Burst(first=after(10), last=after(10), by=SUSPICION)
    assert next_burst([one], SUSPICION, after(10)) is None, "a repeated effect changes nothing"
    assert next_burst([one], JUDGE, after(11)) == ten(JUDGE, after(11))


def test_quality_that_stays_at_its_line_does_not_buy_labels_for_ever():
    bought, days = [], 0
    for number in range(120):
        one = next_burst(bought, SUSPICION, after(number))
        bought += [one] if one else []
        days += one is not None
    assert days == 60, "20 of every 40"
