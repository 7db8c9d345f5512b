# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.release_anchor import against_anchor, is_better_throughout
from pilothouse.core.verdict.verdict import ItemVerdict, Status


def item(requirement, low=1.0, value=2.0, task_type="t"):
    return ItemVerdict(
        requirement=requirement, scope=Scope(task_type=task_type), status=Status.HOLDS, rule="r", sentence="s",
        value=value, low=low, high=3.0,
    )  # fmt: skip


def against(anchor, baseline, *items):
    found = against_anchor(SimpleNamespace(anchor=anchor, baseline=baseline, items=items))
    return [one.requirement for one in found]


def test_the_difference_to_the_baseline_is_that_to_the_anchor_where_they_are_one_or_there_is_no_anchor():
    both = item("not_worse"), item("not_eroded"), item("floor")
    assert against("a", "b", *both) == ["not_eroded"]
    assert against("a", "a", *both) == ["not_worse", "not_eroded"]
    assert against(None, "b", *both) == ["not_worse", "not_eroded"]
    assert against("a", "b", item("not_eroded", value=None)) == []


def test_better_is_proved_in_every_task_type_or_not_at_all():
    better, unproved = item("not_eroded", task_type="a"), item("not_eroded", low=0.0, task_type="b")
    assert is_better_throughout([better], ["a"])
    assert not is_better_throughout([better, unproved], ["a", "b"])
    assert not is_better_throughout([better, item("not_eroded", low=None, task_type="b")], ["a", "b"])
    assert not is_better_throughout([better], [])
