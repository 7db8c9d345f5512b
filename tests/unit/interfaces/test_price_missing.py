# SPDX-License-Identifier: Apache-2.0
"""What is printed where a call has no price can be typed, and helps."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from pilothouse.core.evidence.price import Price, TokenClass
from pilothouse.interfaces.cli.price import _show_missing, _show_silent

LATE = Price(
    provider="acme", model="m-1", token_class=TokenClass.INPUT, usd_per_million=Decimal(2),
    valid_from=datetime(2026, 11, 30, tzinfo=UTC), source="page", source_date=date(2026, 11, 30),
)  # fmt: skip


def test_a_model_whose_price_begins_after_its_calls_asks_for_an_earlier_day(capsys):
    """The same command once more, from today on, left the cost of imported weeks unknown."""
    _show_missing([("acme", "m-1"), ("acme", "m-2")], [LATE])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("No price before 30 Nov 2026: pilothouse price acme m-1 ")
    assert " --from DAY " in first
    assert second == "No price: pilothouse price acme m-2 --input USD --output USD --source PAGE"


def test_a_model_that_does_not_say_what_it_used_is_asked_to_and_not_for_a_price(capsys):
    _show_silent([("openai", "m-1")])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("No usage: calls of openai m-1 do not say")
    assert "stream_options={'include_usage': True}" in line


def test_a_tier_that_has_its_price_by_now_is_not_asked_for_again(capsys):
    """An earlier day does not help: what came in before in that tier stays unknown."""
    flex = LATE.model_copy(update={"model": "m-1 (flex)"})
    _show_missing([("acme", "m-1 (flex)"), ("acme", "m-1 (priority)")], [flex])
    assert capsys.readouterr().out.splitlines() == [
        "No price: pilothouse price acme 'm-1 (priority)' --input USD --output USD --source PAGE"
    ]
