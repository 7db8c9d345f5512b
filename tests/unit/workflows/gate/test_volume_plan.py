# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from evidence_made import CHARTER, edited_charter

from pilothouse.core.evidence.task import Task
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.workflows.gate.request import GateRequest
from pilothouse.workflows.gate.volume_plan import VolumePlan, VolumeWish, plan_volume

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
CASES = [Case(id=f"c{n}", task_type="t", input=n) for n in range(20)]
REQUEST = GateRequest(candidate="python:app:run", agent="a")


class Traffic:
    """A lake with so many tasks in each of the last hours."""

    def __init__(self, *hours):
        self.tasks = [
            Task(
                trace_id=f"{at:032x}", agent="a", start_ns=NOW_NS - (back + 1) * 3_600 * 10**9, end_ns=NOW_NS
            )
            for back, count in enumerate(hours)
            for at in range(count)
        ]

    def window(self, wanted):
        return [one for one in self.tasks if wanted.from_ns <= one.start_ns < wanted.to_ns]


def installation(*hours):
    ledger = SimpleNamespace(outcomes_of=lambda ids: {}, charter=lambda agent: None)
    return SimpleNamespace(lake=Traffic(*hours), ledger=ledger)


def test_the_busiest_recorded_hour_is_the_pilots_volume():
    _, plan, notes = plan_volume(REQUEST, VolumeWish(), installation=installation(6, 90, 12), now=NOW)
    assert plan.per_minute == 1.5
    assert "the busiest hour of the last 28 days" in notes[0]


def test_what_is_typed_goes_before_what_is_recorded_and_volumes_are_sorted():
    wish = VolumeWish(times=(100.0, 10.0, 10.0), per_minute=3.0)
    _, plan, notes = plan_volume(REQUEST, wish, installation=installation(600), now=NOW)
    assert (plan.per_minute, plan.times, notes) == (3.0, (10.0, 100.0), ())


@pytest.mark.parametrize(
    ("wish", "hours", "enough"),
    [
        (VolumeWish(per_minute=0.5), (600,), ()),
        (VolumeWish(per_minute=0.5, times=(10.0, 200.0)), (600,), (200.0,)),
        (VolumeWish(per_minute=20.0), (600,), (10.0,)),
        (VolumeWish(per_minute=20.0, times=(5.0,)), (600,), ()),
        (VolumeWish(per_minute=0.5), (), (10.0,)),
        (VolumeWish(), (600,), (10.0,)),
    ],
    ids=["too little", "made up by times", "more", "too few times", "nothing recorded", "as recorded"],
)
def test_ten_times_a_rate_that_is_less_than_the_pilots_is_not_ten_times_its_volume(wish, hours, enough):
    _, plan, notes = plan_volume(REQUEST, wish, installation=installation(*hours), now=NOW)
    assert plan.enough == enough
    assert any("goes on no record" in note for note in notes) is (not enough and max(plan.times) >= 10)


def test_as_many_times_as_the_charter_asks_are_sent_and_less_goes_on_no_record(tmp_path):
    path = shutil.copytree(CHARTER.parent, tmp_path / "charters") / CHARTER.name
    path.write_text(edited_charter(("volume_times: 10", "volume_times: 100")), encoding="utf-8")
    request = dataclasses.replace(REQUEST, charter=path)
    _, plan, _ = plan_volume(request, VolumeWish(per_minute=3.0), installation=None, now=NOW)
    assert (plan.times, plan.enough) == ((100.0,), (100.0,))
    _, plan, _ = plan_volume(request, VolumeWish(per_minute=3.0, times=(10.0,)), installation=None, now=NOW)
    assert plan.enough == ()


@pytest.mark.parametrize(
    ("wish", "installed", "words"),
    [
        (VolumeWish(), None, "nothing says how many"),
        (VolumeWish(), installation(), "nothing says how many"),
        (VolumeWish(recorded=True), None, "none was named"),
        (VolumeWish(recorded=True, per_minute=2.0), installation(3), "--rate says nothing"),
        (VolumeWish(recorded=True), installation(), "there is none"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(wish, installed, words, tmp_path):
    request = GateRequest(candidate="x", agent="a", journal=Path(tmp_path / "evals.db"))
    with pytest.raises(UsageError, match=words):
        plan_volume(request, wish, installation=installed, now=NOW)


def test_a_run_of_days_is_refused_unless_idle_time_is_jumped_over():
    slow = {"times": (10.0,), "per_minute": 0.01}
    assert VolumePlan(**slow).hours(20) == pytest.approx(20 / 0.01 / 60 * 2.1)
    with pytest.raises(UsageError, match="70 h"):
        VolumePlan(**slow).check(20)
    VolumePlan(**slow, skip_idle=True).check(20)


def test_recorded_traffic_keeps_its_order_and_its_gaps():
    offsets = {case.id: 100.0 - at * at for at, case in enumerate(CASES[:10])}
    plan = VolumePlan(times=(10.0,), per_minute=6.0, offsets_s=offsets)
    ordered = plan.order(CASES[:10], seed=1)
    assert [case.id for case in ordered] == [f"c{n}" for n in range(9, -1, -1)]
    assert plan.schedule(ordered, 10.0, seed=1) == tuple(sorted(at / 10 for at in offsets.values()))
