# SPDX-License-Identifier: Apache-2.0
"""Jobs are scheduled by who does them and by what must be there before."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.schedule import AFTER, EFFORTS, Effort, Job, days_saved, schedule_jobs


def job(name, worker="", work=1.0, wait=0.0, after=()):
    return Job(name=name, worker=worker, effort=Effort(work, wait), after=tuple(after))


def test_nothing_to_do_is_done_now():
    assert schedule_jobs([]).finish_days == 0.0
    assert schedule_jobs([]).critical == ()


def test_one_person_does_one_thing_at_a_time_and_waits_run_beside():
    jobs = [job("a", "sam", 1, 10), job("b", "sam", 2)]
    assert schedule_jobs(jobs).finish_days == 11.0
    assert schedule_jobs([job("a", "sam", 1), job("b", "sam", 2), job("c", "kim", 2)]).finish_days == 3.0


def test_the_longest_chain_goes_first_and_is_the_critical_path():
    jobs = [job("z", "sam", 1), job("a", "sam", 1), job("end", "kim", 5, after=["z"])]
    assert schedule_jobs(jobs).critical == ("z", "end")
    assert schedule_jobs(jobs).finish_days == 6.0


def test_the_critical_path_may_hang_on_a_busy_person():
    jobs = [job("a", "sam", 3), job("b", "sam", 1, after=["c"]), job("c", "kim", 1)]
    found = schedule_jobs(jobs)
    assert (found.finish_days, found.critical) == (4.0, ("a", "b"))


def test_what_waits_for_two_begins_after_the_later():
    jobs = [job("a", work=1), job("b", work=3), job("c", work=1, after=["a", "b"])]
    assert schedule_jobs(jobs).critical == ("b", "c")


def test_jobs_of_nobody_wait_for_nobody():
    assert schedule_jobs([job("a", work=2), job("b", work=3)]).finish_days == 3.0


def test_a_circle_and_unknown_names_do_not_hang_it():
    jobs = [job("a", after=["b", "a"]), job("b", after=["a", "nowhere"])]
    assert schedule_jobs(jobs).finish_days == 2.0
    ring = [job("a", after=["b"]), job("b", after=["a"]), job("c", work=0.5, after=["b"])]
    assert schedule_jobs(ring).critical == ("a", "b", "c")


def test_what_lies_off_the_path_saves_nothing():
    saved = days_saved([job("a", "sam", 1), job("b", "kim", 4)])
    assert saved == {"a": 0.0, "b": 3.0}


def best_of_all_orders(jobs):
    """Schedule by every priority order and take the best: a second implementation for small sets."""
    best = float("inf")
    for order in permutations(jobs):
        done, free, left = {}, {}, list(order)
        while left:
            one = next(job for job in left if not any(name in {x.name for x in left} for name in job.after))
            left.remove(one)
            start = max([0.0, free.get(one.worker, 0.0), *(done[name] for name in one.after if name in done)])
            free[one.worker] = start + one.effort.work_days
            done[one.name] = start + one.effort.work_days + one.effort.wait_days
        best = min(best, max(done.values()))
    return best


@given(
    st.lists(
        st.tuples(st.sampled_from("xy"), st.integers(1, 5), st.integers(0, 6), st.integers(0, 4)),
        min_size=1,
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_it_is_never_better_than_the_best_nor_worse_than_twice_it_and_order_does_not_matter(rows, order):
    jobs = [
        job(f"j{number}", worker, work, wait, [f"j{before}"] if before < number else [])
        for number, (worker, work, wait, before) in enumerate(rows)
    ]
    found = schedule_jobs(jobs)
    best = best_of_all_orders(jobs)
    assert best <= found.finish_days <= 2 * best  # Graham's bound for list scheduling
    shuffled = list(jobs)
    order.shuffle(shuffled)
    assert schedule_jobs(shuffled) == found


def test_estimates_and_orders_speak_of_requirements_that_exist():
    ids = {requirement.id for requirement in FRAMEWORK}
    assert set(EFFORTS) <= ids
    assert {name for before in AFTER.values() for name in before} | set(AFTER) <= ids


@pytest.mark.parametrize("requirement", [one.id for one in FRAMEWORK if {"1", "2", "3"} & set(one.gates)])
def test_every_requirement_of_a_gate_has_an_estimate(requirement):
    if requirement.startswith(("Q-", "PROD")):
        return
    assert requirement in EFFORTS
