# SPDX-License-Identifier: Apache-2.0
"""Three numbers as ranges: worst with worst, and what nobody knows is never zero."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from evidence_made import V1, edited_charter, everything_holds, load_charter, without
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.remediation import plan_steps
from pilothouse.core.verdict.value import Measured, Money, TypeVolume, three_numbers

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
VERDICT = decide(CHARTER, without(everything_holds(CHARTER, NOW), "drill.page"), NOW, version=V1)
PLAN = plan_steps(VERDICT, CHARTER)


def volume(**fields):
    values = {"task_type": "po_invoice", "tasks_per_month": 1_000.0, "wrong_low": 0.0, "wrong_high": 0.001}
    return TypeVolume(**{**values, "cost_of_error": 400.0, **fields})


def measured(**fields):
    values = {"model_per_month": 50.0, "model_known_per_month": 50.0, "cost_per_task": (0.3, 0.5)}
    values["model_unknown"] = "" if "model_per_month" not in fields else "model calls without a price"
    return Measured(**{**values, "types": (volume(),), **fields})


def charter_with(tmp_path, *edits):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(*edits))
    return load_charter(path)


def test_staying_is_people_plus_model_plus_other():
    staying = three_numbers(CHARTER, measured(), PLAN).staying
    assert (staying.low, staying.high) == (14_000 + 50 + 500, 18_000 + 50 + 900)


def test_a_model_cost_without_a_price_makes_staying_at_least():
    staying = three_numbers(CHARTER, measured(model_per_month=None), PLAN).staying
    assert (staying.low, staying.high, staying.unknown) == (14_550, None, ("model calls without a price",))


def test_a_model_cost_of_the_charter_is_taken_from_there(tmp_path):
    charter = charter_with(tmp_path, ("model: measured", "model: [100, 200]"))
    assert three_numbers(charter, measured(), PLAN).staying.low == 14_600


def test_the_return_combines_worst_with_worst():
    back = three_numbers(CHARTER, measured(), PLAN).back
    assert back.low == pytest.approx(12_000 * (0.10 * 38 - 0.5) - 12_000 * 0.001 * 400)
    assert back.high == pytest.approx(12_000 * (0.14 * 46 - 0.3))


def test_the_return_has_the_same_bytes_in_every_python():
    """`sum` of floats rounds at each step before Python 3.12 and once from then on."""
    tenths = tuple(
        volume(task_type=f"type_{number}", tasks_per_month=0.1, wrong_high=0.0) for number in range(10)
    )
    whole = (volume(tasks_per_month=1.0, wrong_high=0.0),)
    split, back = (three_numbers(CHARTER, measured(types=types), PLAN).back for types in (tenths, whole))
    assert (split.low, split.high) == (back.low, back.high)


@pytest.mark.parametrize(
    ("fields", "unknown"),
    [
        ({"cost_per_task": None}, "cost per task"),
        ({"types": (volume(wrong_low=None, wrong_high=None),)}, "wrong results on po_invoice"),
        ({"types": (volume(cost_of_error=None),)}, "wrong results on po_invoice"),
    ],
)
def test_what_nobody_knows_makes_the_return_unknown(fields, unknown):
    found = three_numbers(CHARTER, measured(**fields), PLAN)
    assert (found.back.high, found.back.unknown, found.ratio, found.assumptions) == (
        None,
        (unknown,),
        None,
        (),
    )


def test_open_questions_of_the_charter_are_named(tmp_path):
    charter = charter_with(
        tmp_path,
        (
            'hours_per_task_today: {value: [0.10, 0.14], source: "time study 2026-04, n = 310"}',
            'hours_per_task_today: {value: "?", source: "?"}',
        ),
    )
    assert three_numbers(charter, measured(), PLAN).back.unknown == ("hours_per_task_today",)
    charter = charter_with(tmp_path, ("loaded_hour_cost: {value: [38, 46]", 'loaded_hour_cost: {value: "?"'))
    plan = plan_steps(VERDICT, charter)
    assert three_numbers(charter, measured(), plan).investment.unknown == ("loaded_hour_cost",)


def test_the_investment_is_the_open_work_doubled_and_the_lines_paid_once():
    investment = three_numbers(CHARTER, measured(), PLAN).investment
    work = [step.cost for step in PLAN.steps]
    assert investment.low == pytest.approx(sum(low for low, _ in work) * 0.5)
    assert investment.high == pytest.approx(sum(high for _, high in work) * 2 + 90_000 + 35_000 + 25_000)


def test_a_budget_line_that_is_open_is_unknown_and_one_that_is_absent_adds_nothing(tmp_path):
    charter = charter_with(tmp_path, ("integration: 90000", 'integration: "?"'))
    found = three_numbers(charter, measured(), PLAN)
    work = [step.cost for step in PLAN.steps]
    assert found.investment.low == pytest.approx(sum(low for low, _ in work) * 0.5)
    assert (found.investment.high, found.investment.unknown) == (
        None,
        ("budgets.production.lines.integration",),
    )
    assert (found.ratio, found.break_even_months) == (None, None)
    absent = charter_with(tmp_path, ("integration: 90000, ", ""))
    investment = three_numbers(absent, measured(), PLAN).investment
    assert investment.high == pytest.approx(sum(high for _, high in work) * 2 + 60_000)


def test_budget_lines_that_nobody_wrote_are_unknown(tmp_path):
    lines = "lines: {integration: 90000, evaluation: 35000, monitoring: 25000, staff: 70000, model: 20000}"
    charter = charter_with(tmp_path, (lines, 'lines: "?"'))
    assert len(three_numbers(charter, measured(), PLAN).investment.unknown) == 3


def test_ratio_and_break_even_are_ranges():
    found = three_numbers(CHARTER, measured(), PLAN)
    low, high = found.ratio
    assert low < high
    soonest, latest = found.break_even_months
    assert 0 < soonest < latest


def test_an_investment_that_may_be_nothing_has_no_ratio_and_is_earned_at_once_at_best():
    done = plan_steps(decide(CHARTER, everything_holds(CHARTER, NOW), NOW, version=V1), CHARTER)
    found = three_numbers(CHARTER, measured(), done)
    assert (found.investment.low, found.investment.high) == (0.0, 150_000.0)
    assert found.ratio is None
    assert found.break_even_months == (0.0, pytest.approx(12 * 150_000 / found.back.low))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("people: [14000, 18000]", "people: [-14000, 18000]"),
        ("value: [0.10, 0.14]", "value: [-0.10, 0.14]"),
        ("value: [38, 46]", "value: [-46, -38]"),
    ],
)
def test_no_range_of_money_or_hours_begins_below_nothing(tmp_path, before, after):
    with pytest.raises(ValidationError, match="from 0 on"):
        charter_with(tmp_path, (before, after))


def test_a_return_that_may_be_negative_may_never_break_even():
    poor = measured(types=(volume(wrong_high=0.02),))
    found = three_numbers(CHARTER, poor, PLAN)
    assert found.back.low < 0 < found.back.high
    assert found.break_even_months[1] is None
    worse = measured(types=(volume(wrong_low=0.1, wrong_high=0.2),))
    lost = three_numbers(CHARTER, worse, PLAN)
    assert lost.break_even_months is None
    assert lost.ratio[0] < lost.ratio[1] < -1


def test_what_moves_the_return_most_comes_first():
    found = three_numbers(CHARTER, measured(), PLAN).assumptions
    assert len(found) == 3
    assert [one.swing for one in found] == sorted((one.swing for one in found), reverse=True)
    assert found[0].name == "hours per task today"


def test_no_traffic_is_no_return():
    found = three_numbers(CHARTER, measured(types=()), PLAN)
    assert (found.back.low, found.back.high) == (0.0, 0.0)
    assert found.break_even_months is None


ranges = st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)).map(sorted)


@given(ranges, ranges, st.floats(0, 1), st.floats(0, 1))
def test_a_sum_and_a_product_hold_every_inner_value(one, other, at, where):
    inner = one[0] + at * (one[1] - one[0]), other[0] + where * (other[1] - other[0])
    both = Money(low=one[0], high=one[1]).plus(Money(low=other[0], high=other[1]))
    assert both.low - 1e-6 <= sum(inner) <= both.high + 1e-6
    product = Money(low=one[0], high=one[1]).times(*other)
    assert product.low - 1e-3 <= inner[0] * inner[1] <= product.high * (1 + 1e-12) + 1e-3


def test_a_product_with_an_unknown_end_stays_unknown():
    assert Money(low=2.0, high=None).times(1, 3) == Money(low=2.0, high=None)
