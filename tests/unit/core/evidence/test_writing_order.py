# SPDX-License-Identifier: Apache-2.0
"""What was written later is not hidden by what a clock dated later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.core.evidence.writing_order import Hidden, misdated, standing_record

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def fact(minutes, written, *, passed=True, window=None):
    at = NOON + timedelta(minutes=minutes)
    end = at if window is None else NOON + timedelta(minutes=window)
    return Evidence(
        kind="audit.verified", agent="triage", window_from=end, window_to=end, n=1, passed=passed,
        source=Source(command="pilothouse audit verify"), recorded_at=at, written=written,
    )  # fmt: skip


def test_the_place_in_the_order_is_no_content():
    first, again = fact(0, 3), fact(0, 9)
    assert first == again
    assert hash(first) == hash(again)
    assert evidence_digest(first) == evidence_digest(again)
    assert "written" not in first.model_dump_json()
    assert first != fact(1, 3)
    assert first != "a record"


def test_what_was_written_after_a_record_is_not_hidden_by_it():
    hidden = Hidden()
    assert not hidden.holds(fact(0, 4))
    hidden.settle(fact(0, 5))
    hidden.settle(fact(0, 2))
    assert hidden.holds(fact(-50, 4))
    assert not hidden.holds(fact(-50, 6))
    assert hidden.holds(fact(-50, None))  # nobody knows: times alone decide
    assert not hidden.is_all
    hidden.settle(fact(0, None))
    hidden.settle(fact(0, 7))
    assert hidden.is_all
    assert hidden.holds(fact(-50, 99))


def test_a_record_dated_later_than_what_was_written_after_it_is_misdated():
    ahead, back, on = fact(0, 5), fact(-50, 6), fact(-30, 7)
    assert misdated([ahead, back, on]) == {id(ahead)}
    assert misdated([fact(0, 5), fact(0, 5), fact(10, 6)]) == frozenset()
    late = fact(10, 6, window=-600)  # an older window that was measured late says nothing of clocks
    assert misdated([ahead, late]) == frozenset()
    assert misdated([fact(0, None), back]) == frozenset()


def test_a_failed_record_written_later_stands_until_one_after_it_passes():
    ahead, back, mended = fact(0, 5), fact(-50, 6, passed=False), fact(-30, 7)
    assert standing_record([ahead]) is ahead
    assert standing_record([back, ahead]) is back
    assert standing_record([back, mended, ahead]) is mended
    assert standing_record([fact(-60, 3, passed=False), ahead]) is ahead
    first = fact(-60, None, passed=False)
    assert standing_record([first, fact(-50, None)]).passed
