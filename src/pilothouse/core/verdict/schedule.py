# SPDX-License-Identifier: Apache-2.0
"""When a set of remedies is done: one worker for each person, waits in parallel, longest remaining chain first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "AFTER",
    "CONFIRMED_AGAIN",
    "EFFORTS",
    "JOBS_MAX",
    "MEASURED_BY_COMMAND",
    "RENEWAL_DAYS",
    "Effort",
    "Job",
    "Schedule",
    "days_saved",
    "schedule_jobs",
]

JOBS_MAX = 200
"""Jobs scheduled at once: days saved schedule each set once more without each job."""

_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Effort:
    """What one remedy takes.

    Attributes:
        work_days: Days of one person's work.
        wait_days: Days that pass afterwards without work: labels arriving, a week of traffic.
    """

    work_days: float
    wait_days: float = 0.0


EFFORTS: Final[Mapping[str, Effort]] = {
    "INT-1": Effort(1.0),
    "INT-2": Effort(3.0),
    "INT-3": Effort(2.0),
    "INT-4": Effort(0.5),
    "INT-5": Effort(0.5),
    "INT-6": Effort(5.0),
    "INT-7": Effort(2.0, 7.0),
    "INT-8": Effort(2.0),
    "INT-9": Effort(2.0),
    "INT-10": Effort(0.0, 7.0),
    "INT-11": Effort(0.5),
    "EVAL-1": Effort(5.0, 5.0),
    "EVAL-2": Effort(2.0),
    "EVAL-3": Effort(0.5),
    "EVAL-4": Effort(0.25),
    "EVAL-5": Effort(0.5),
    "EVAL-6": Effort(1.0),
    "EVAL-7": Effort(1.0, 1.0),
    "EVAL-8": Effort(1.0, 7.0),
    "EVAL-9": Effort(2.0, 7.0),
    "EVAL-10": Effort(0.5),
    "EVAL-11": Effort(1.0),
    "MON-1": Effort(1.0, 7.0),
    "MON-2": Effort(1.0, 7.0),
    "MON-3": Effort(1.0, 14.0),
    "MON-4": Effort(0.5, 7.0),
    "MON-5": Effort(1.0),
    "MON-6": Effort(0.5, 1.0),
    "MON-7": Effort(2.0, 7.0),
    "MON-8": Effort(0.5),
    "MON-9": Effort(0.5, 7.0),
    "MON-10": Effort(0.25),
    "MON-11": Effort(1.0),
    "MON-12": Effort(1.0, 28.0),
    "MON-13": Effort(0.5),
    "OWN-1": Effort(0.25),
    "OWN-2": Effort(0.5),
    "OWN-3": Effort(0.5),
    "OWN-4": Effort(1.0),
    "OWN-5": Effort(0.25),
    "OWN-6": Effort(0.25),
    "OWN-7": Effort(0.5),
    "OWN-8": Effort(1.0),
    "OWN-9": Effort(0.25),
    "OWN-10": Effort(0.25),
    "OWN-11": Effort(0.25),
    "DATA-1": Effort(1.0, 14.0),
    "DATA-2": Effort(2.0),
    "DATA-3": Effort(1.0),
    "DATA-4": Effort(0.25),
    "DATA-5": Effort(0.25),
    "DATA-6": Effort(1.0, 7.0),
    "DATA-7": Effort(1.0),
    "DATA-8": Effort(0.5),
    "DATA-9": Effort(1.0),
    "DATA-11": Effort(0.0, 90.0),
    "PROD-1": Effort(0.0, 28.0),
}
"""Guesses, until they are measured on users: every date that rests on them is shown as a range from half to twice."""

MEASURED_BY_COMMAND: Final = frozenset(
    {
        "INT-2", "INT-3", "INT-4", "INT-5", "INT-8", "INT-9", "EVAL-1", "EVAL-2", "EVAL-3", "EVAL-5", "EVAL-6", "EVAL-7",
        "EVAL-10", "EVAL-11", "MON-6", "MON-10", "MON-11", "DATA-2", "DATA-8", "OWN-10",
    }
)  # fmt: skip
"""Once these were shown, one command shows them again: nothing has to be built, written or rehearsed for it."""

CONFIRMED_AGAIN: Final = frozenset({"INT-2"})
"""A first certificate warns until the same command, a week later, confirms it: no other warning ends so."""

RENEWAL_DAYS: Final = 0.125
"""An hour to type that command, wait for it and read what it says."""

AFTER: Final[Mapping[str, tuple[str, ...]]] = {
    "EVAL-1": ("EVAL-4",),
    "EVAL-5": ("EVAL-1",),
    "EVAL-3": ("EVAL-1", "EVAL-2", "EVAL-5"),
    "EVAL-6": ("EVAL-3",),
    "EVAL-11": ("EVAL-1",),
    "EVAL-4": ("OWN-1",),
    "OWN-2": ("OWN-1",),
    "OWN-4": ("OWN-1",),
    "OWN-5": ("OWN-1", "EVAL-4"),
    "DATA-5": ("OWN-1",),
    "INT-2": ("INT-1", "INT-4"),
    "INT-3": ("INT-1",),
    "INT-5": ("INT-1",),
    "MON-2": ("MON-7",),
    "MON-8": ("OWN-3",),
    "DATA-2": ("EVAL-1",),
}
"""What must be there before: thresholds before labels before baseline before gate, the inventory before
certificates, the owner before every signature, the verifier before scored quality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One remedy to be scheduled.

    Attributes:
        name: Unique name; also breaks ties.
        worker: Person who does it, or empty for anybody: then it waits for nobody.
        effort: Its work and wait.
        after: Names of jobs that must be done before; names that are not scheduled do not count.
    """

    name: str
    worker: str
    effort: Effort
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When everything is done.

    Attributes:
        finish_days: Days until the last job is done, its wait included.
        critical: Names of the jobs that the finish hangs on, first to last.
    """

    finish_days: float
    critical: tuple[str, ...]


def schedule_jobs(jobs: Sequence[Job]) -> Schedule:
    """Schedule jobs: one worker for each person, waits in parallel, longest remaining chain first.

    Args:
        jobs: At most `JOBS_MAX` jobs with unique names.

    Returns:
        The schedule; equal for equal jobs in any order. A circle among `after` is cut.

    Source:
        List scheduling by longest remaining path (Graham 1969; Hu 1961).

    Example:
        >>> chain = [Job(name="a", worker="x", effort=Effort(1, 2)), Job(name="b", worker="y", effort=Effort(1), after=("a",))]
        >>> schedule_jobs(chain)
        Schedule(finish_days=4.0, critical=('a', 'b'))
    """
    by_name = {job.name: job for job in sorted(jobs, key=lambda job: job.name)}
    before = {name: _before(job, by_name) for name, job in by_name.items()}
    following = _following(before)
    tails = _tails(by_name, before, following)
    open_before = {name: len(found) for name, found in before.items()}
    heap = [(0.0, -tails[name], name) for name, count in open_before.items() if count == 0]
    heapq.heapify(heap)
    done: dict[str, float] = {}
    cause: dict[str, str | None] = {}
    free: dict[str, tuple[float, str | None]] = {}
    while len(done) < len(by_name):
        if not heap:  # a circle: it is cut at the first name that is left
            heap = [min((0.0, -tails[name], name) for name in by_name if name not in done)]
        _, _, name = heapq.heappop(heap)
        if name in done:
            continue
        job = by_name[name]
        ready = max(((done[one], one) for one in before[name] if one in done), default=(0.0, None))
        free_at, last = free.get(job.worker, (0.0, None)) if job.worker else (0.0, None)
        start, cause[name] = (free_at, last) if free_at > ready[0] + _SLACK else ready
        if job.worker:
            free[job.worker] = (start + job.effort.work_days, name)
        done[name] = start + job.effort.work_days + job.effort.wait_days
        for one in following[name]:
            open_before[one] -= 1
            if open_before[one] == 0:
                ready_at = max(done[earlier] for earlier in before[one] if earlier in done)
                heapq.heappush(heap, (ready_at, -tails[one], one))
    if not done:
        return Schedule(finish_days=0.0, critical=())
    finish, last_name = max((moment, name) for name, moment in done.items())
    path: list[str] = []
    here: str | None = last_name
    while here is not None:
        path.append(here)
        here = cause[here]
    return Schedule(finish_days=finish, critical=tuple(reversed(path)))


def days_saved(jobs: Sequence[Job]) -> dict[str, float]:
    """Return by how many days everything is done sooner if one job were not needed, by its name.

    Returns:
        0 for a job off the critical path, and never less: list scheduling may finish later with less to do.

    Example:
        >>> days_saved([Job(name="a", worker="x", effort=Effort(1)), Job(name="b", worker="y", effort=Effort(3))])
        {'a': 0.0, 'b': 2.0}
    """
    whole = schedule_jobs(jobs)
    on_path = set(whole.critical)
    return {
        job.name: max(
            0.0, whole.finish_days - schedule_jobs([one for one in jobs if one is not job]).finish_days
        )
        if job.name in on_path
        else 0.0
        for job in jobs
    }


def _before(job: Job, by_name: Mapping[str, Job]) -> tuple[str, ...]:
    return tuple(name for name in job.after if name in by_name and name != job.name)


def _following(before: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    following: dict[str, list[str]] = {name: [] for name in before}
    for name, found in before.items():
        for one in found:
            following[one].append(name)
    return following


def _tails(
    by_name: Mapping[str, Job],
    before: Mapping[str, tuple[str, ...]],
    following: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Return the length of the longest chain that begins with each job, days; a circle counts no further."""
    open_before = {name: len(found) for name, found in before.items()}
    order = [name for name, count in open_before.items() if count == 0]
    for name in order:
        for one in following[name]:
            open_before[one] -= 1
            if open_before[one] == 0:
                order.append(one)
    tails = {name: job.effort.work_days + job.effort.wait_days for name, job in by_name.items()}
    for name in reversed(order):
        tails[name] += max((tails[one] for one in following[name]), default=0.0)
    return tails
