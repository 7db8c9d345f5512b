# SPDX-License-Identifier: Apache-2.0
"""Which tasks are evidence of an agent's work: recent ones of production and of its pilot."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.trial_trace import TRIAL

__all__ = ["PRODUCTION", "WINDOW_DEFAULT", "WINDOW_MAX", "window_of", "work_environments", "work_of"]

PRODUCTION: Final = "production"

WINDOW_DEFAULT: Final = timedelta(days=7)
"""Window of a task type whose `sampling.window` is an open question."""

WINDOW_MAX: Final = timedelta(days=28)
"""The longest window that a verdict looks at: in a year's a month in which half of the tasks fail hardly shows."""

_PILOT: Final = "pilot"
"""Where a pilot runs whose charter does not say where."""


def window_of(charter: Charter, name: str) -> timedelta:
    """Return the window of tasks of a type that a verdict uses: the charter's, at most `WINDOW_MAX`."""
    return min(known(charter.task_types[name].sampling.window) or WINDOW_DEFAULT, WINDOW_MAX)


def work_environments(charter: Charter) -> frozenset[str | None]:
    """Return the environments whose tasks count; None among them, for agents that name none. Trials of ours never do.

    Args:
        charter: The charter in force; it may say that the pilot runs in staging.
    """
    pilot = charter.phase("pilot")
    said = None if pilot is None or pilot.environment is None else known(pilot.environment)
    return frozenset({None, PRODUCTION, said or _PILOT}) - {TRIAL}


def work_of(charter: Charter, tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks that are work, in their order.

    A thousand easy tasks of a test bench would cover what production does; and a candidate that is tried in staging would be
    the version in force, which no gate has seen.
    """
    counted = work_environments(charter)
    return [task for task in tasks if task.environment in counted]
