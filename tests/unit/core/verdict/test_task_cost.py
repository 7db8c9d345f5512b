# SPDX-License-Identifier: Apache-2.0
"""A task costs its model calls, its share of review and of the month; what nobody knows is never zero."""

from __future__ import annotations

import pytest
from evidence_made import edited_charter, load_charter

from pilothouse.core.verdict.task_cost import Spent, task_cost
from pilothouse.core.verdict.value import DAYS_A_MONTH

CHARTER = load_charter()


def spent(**fields):
    values = {"days": 28, "tasks": 1_000, "model_usd": 100.0, "unpriced": 0, "reviewed": 60}
    return Spent(**{**values, **fields})


def charter_with(tmp_path, *edits):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(*edits))
    return load_charter(path)


def part(cost, name):
    return next(one for one in cost.parts if one.name == name)


def test_every_part_stands_by_itself_and_the_sum_is_their_sum():
    cost = task_cost(CHARTER, spent())
    minutes = 60 * 0.7 / 60 / 1_000
    month = 28 / DAYS_A_MONTH / 1_000
    assert part(cost, "Model calls").money.low == part(cost, "Model calls").money.high == pytest.approx(0.1)
    assert part(cost, "Review").money.high == pytest.approx(46 * minutes)
    assert part(cost, "Fixed costs").money.low == pytest.approx(14_500 * month)
    assert cost.total.low == pytest.approx(0.1 + 38 * minutes + 14_500 * month)
    assert cost.total.high == pytest.approx(0.1 + 46 * minutes + 18_900 * month)
    assert (cost.currency, cost.tasks, cost.days) == ("USD", 1_000, 28)


@pytest.mark.parametrize(
    ("edits", "fields", "name", "said"),
    [
        ((), {"unpriced": 3}, "Model calls", "of 3 the cost is not known in full"),
        (
            (("currency: USD", "currency: EUR"),),
            {},
            "Model calls",
            "priced in USD, and the charter is in EUR",
        ),
        ((), {"reviewed": None}, "Review", "nobody counted what people decided"),
        ((("minutes_per_item: 0.7", 'minutes_per_item: "?"'),), {}, "Review", "minutes_per_item` is open"),
        ((("value: [38, 46]", 'value: "?"'),), {}, "Review", "loaded_hour_cost` is open"),
        ((("other: [500, 900]", 'other: "?"'),), {}, "Fixed costs", "is open: other"),
    ],
)
def test_a_part_that_nobody_knows_makes_the_sum_unknown(tmp_path, edits, fields, name, said):
    cost = task_cost(charter_with(tmp_path, *edits), spent(**fields))
    assert part(cost, name).money.high is None
    assert said in part(cost, name).basis
    assert cost.total.high is None
    assert cost.total.unknown == (name,)
    assert cost.total.low >= 0
