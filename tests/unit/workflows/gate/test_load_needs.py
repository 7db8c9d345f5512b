# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pilothouse.core.evidence.task import Task, TokenCount
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.workflows.gate.load_needs import LoadLimits, TaskUse, load_needs, use_of_tasks
from pilothouse.workflows.gate.volume_plan import VolumePlan

CASES = [Case(id=f"c{n}", task_type="t", input=n) for n in range(200)]
USE = TaskUse(model_calls=3.0, tokens=2_000.0, usd=0.01, source="means of 50 recorded tasks")


def task(number, **fields):
    return Task(trace_id=f"{number:032x}", agent="a", start_ns=0, end_ns=1, **fields)


def test_needs_are_those_of_the_fullest_minute_at_the_highest_volume_and_of_all_arms():
    needs = load_needs(VolumePlan(times=(10.0, 20.0), per_minute=6.0), CASES, USE)
    assert (needs.tasks, needs.peak_per_minute) == (800, 120.0)
    assert (needs.requests_per_minute, needs.tokens_per_minute) == (360.0, 240_000.0)
    assert needs.cost_usd == pytest.approx(8.0)
    assert "cost about $8.00 in all (means of 50 recorded tasks)" in needs.sentence


def test_a_minute_holds_no_more_than_there_are_cases_and_recorded_traffic_has_its_own_fullest_one():
    assert load_needs(VolumePlan(times=(100.0,), per_minute=60.0), CASES, USE).peak_per_minute == 200
    # Ten in the first ten seconds, then one every ten minutes: at ten times, one more falls into a minute.
    offsets = {case.id: float(n) if n < 10 else 600.0 * (n - 9) for n, case in enumerate(CASES)}
    plan = VolumePlan(times=(10.0,), per_minute=0.1, offsets_s=offsets)
    assert load_needs(plan, CASES, USE).peak_per_minute == 11


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (LoadLimits(requests_per_minute=359), "360 model calls a minute"),
        (LoadLimits(tokens_per_minute=200_000), "2.4e[+]05 tokens a minute|240,000 tokens a minute"),
        (LoadLimits(tokens=1_000), "tokens in all"),
        (LoadLimits(budget_usd=7.99), "8 US dollars"),
    ],
)
def test_a_run_that_passes_a_limit_is_refused_and_one_that_fits_is_not(limits, words):
    needs = load_needs(VolumePlan(times=(10.0, 20.0), per_minute=6.0), CASES, USE)
    with pytest.raises(UsageError, match=words) as caught:
        needs.check(limits)
    assert "nothing was sent" in str(caught.value)
    needs.check(
        LoadLimits(requests_per_minute=360, tokens_per_minute=240_000, tokens=1_600_000, budget_usd=8.01)
    )


def test_what_nobody_measured_does_not_fit_a_limit_and_is_told_as_unknown():
    needs = load_needs(VolumePlan(times=(10.0,), per_minute=6.0), CASES, TaskUse())
    assert "model calls unknown, tokens unknown in it; cost unknown in all" in needs.sentence
    with pytest.raises(UsageError, match="nothing says how many tokens a minute"):
        needs.check(LoadLimits(tokens_per_minute=1e9))
    needs.check(LoadLimits())


def test_means_come_from_ten_tasks_or_more_and_calls_without_usage_are_no_zero():
    some = [task(n, model_calls=2, tokens=TokenCount(input=100), cost_usd=0.02) for n in range(10)]
    silent = [task(99, model_calls=2, calls_without_usage=2)]
    use = use_of_tasks([*some, *silent], usd_of_trials=None)
    assert (use.model_calls, use.tokens, use.usd) == (2.0, 100.0, pytest.approx(0.02))
    assert use_of_tasks(some[:9], usd_of_trials=None) == TaskUse(source="nothing measured yet")
    assert use_of_tasks(some, usd_of_trials=0.5).usd == 0.5
