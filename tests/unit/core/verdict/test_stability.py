# SPDX-License-Identifier: Apache-2.0
"""Days that count, pause and reset, and what the clock says of them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from evidence_made import edited_charter, load_charter
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.verdict.stability import DayRecord, DayState, Reset, StabilityTerms, fold_clock

FIRST = date(2026, 1, 1)
TERMS = StabilityTerms(
    days=90, min_volume_share=0.5, reset_on=frozenset({"sev1", "breach"}), max_pause_days=3
)


def day(number, **fields):
    values = {"tasks": 900, "volume_share": 0.8, "complete_share": 1.0, **fields}
    return DayRecord(day=FIRST + timedelta(days=number), **values)


def clock(records, days):
    return fold_clock(records, TERMS, FIRST + timedelta(days=days))


def test_every_good_day_counts_and_today_does_not():
    found = clock([day(number) for number in range(11)], 10)
    assert (found.stable_days, len(found.strip), found.paused_days) == (10, 10, 0)
    assert {cell.state for cell in found.strip} == {DayState.COUNTS}


def test_no_day_at_all_is_no_clock_reading():
    found = clock([], 10)
    assert (found.stable_days, found.strip, found.forecast) == (0, (), None)
    assert clock([day(10), day(11)], 10) == found, "today is not over, and what lies ahead has not begun"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"volume_share": 0.49}, "under 50 %"),
        ({"volume_share": None}, "open question"),
        ({"complete_share": 0.97}, "97.0 %"),
        ({"complete_share": None}, "Nobody knows"),
        ({"pauses": ("Paused by sam.",)}, "Paused by sam."),
        ({"resets": (Reset(reason="rollback", text="Rolled back."),)}, "Rolled back."),
    ],
)
def test_a_day_that_is_not_known_to_be_good_pauses_and_says_why(fields, words):
    found = clock([day(0), day(1, **fields), day(2)], 3)
    assert found.stable_days == 2
    assert found.strip[1].state is DayState.PAUSES
    assert words in found.strip[1].text


def test_a_day_nobody_recorded_pauses():
    found = clock([day(0), day(2)], 3)
    assert (found.stable_days, found.strip[1].text) == (2, "Nobody recorded this day.")


def test_a_reason_of_the_charter_resets_to_zero_and_is_listed():
    found = clock([day(0), day(1), day(2, resets=(Reset(reason="sev1", text="Incident 7."),)), day(3)], 4)
    assert found.stable_days == 1
    assert [cell.text for cell in found.resets] == ["Incident 7."]


def test_a_pause_that_is_too_long_resets_once():
    found = clock([day(0), day(1), day(9)], 10)
    assert found.stable_days == 1
    assert [cell.day for cell in found.resets] == [FIRST + timedelta(days=5)]


def test_the_forecast_is_a_range_and_gone_when_the_target_is_reached():
    found = clock([day(number) for number in range(28)], 28)
    assert found.forecast is not None
    assert FIRST + timedelta(days=28 + 62) <= found.forecast.earliest < found.forecast.latest
    assert clock([day(number) for number in range(90)], 90).forecast is None


def test_without_a_counting_day_no_date_is_told():
    assert clock([day(0, volume_share=0.1)], 1).forecast is None


def test_terms_are_those_of_the_charter_and_none_while_one_is_open(tmp_path):
    terms = StabilityTerms.of(load_charter())
    assert terms is not None
    assert (terms.days, terms.min_volume_share, terms.max_pause_days) == (90, 0.5, 14)
    path = tmp_path / "charter.yaml"
    for old, new in (
        ("days: 90", 'days: "?"'),
        ("min_volume_share: 0.5", 'min_volume_share: "?"'),
        ("max_pause: 14d", 'max_pause: "?"'),
        ("reset_on: [breach,", 'reset_on: ["?",'),
    ):
        path.write_text(edited_charter((old, new)))
        assert StabilityTerms.of(load_charter(path)) is None


records = st.lists(
    st.builds(
        day,
        st.integers(0, 40),
        volume_share=st.one_of(st.none(), st.floats(0, 2)),
        complete_share=st.one_of(st.none(), st.floats(0, 1)),
        pauses=st.sampled_from([(), ("Paused.",)]),
        resets=st.sampled_from(
            [(), (Reset(reason="sev1", text="x"),), (Reset(reason="rollback", text="y"),)]
        ),
    ),
    max_size=40,
)


@given(found=records, order=st.randoms(use_true_random=False))
def test_neither_order_nor_duplicates_matter(found, order):
    shuffled = [*found, *found[:5]]
    order.shuffle(shuffled)
    assert clock(shuffled, 41) == clock(found, 41)


@given(found=records, bad=st.builds(day, st.integers(0, 40), pauses=st.just(("Bad.",))))
def test_more_bad_news_never_gives_more_stable_days(found, bad):
    known_first = min((record.day for record in found), default=bad.day)
    if bad.day >= known_first:
        assert clock([*found, bad], 41).stable_days <= clock(found, 41).stable_days
