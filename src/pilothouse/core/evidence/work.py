# SPDX-License-Identifier: Apache-2.0
"""Which tasks are an agent's work: those of production and of its pilot. What ran elsewhere was tried, and proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.task import Task

__all__ = ["PRODUCTION", "work_environments", "work_of"]

PRODUCTION: Final = "production"

_PILOT: Final = "pilot"
"""Where a pilot runs whose charter does not say where."""


def work_environments(charter: Charter) -> frozenset[str | None]:
    """Return the environments whose tasks count; None among them, for agents that name none.

    Args:
        charter: The charter in force; it may say that the pilot runs in staging.
    """
    pilot = charter.phase("pilot")
    said = None if pilot is None or pilot.environment is None else known(pilot.environment)
    return frozenset({None, PRODUCTION, said or _PILOT})


def work_of(charter: Charter, tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks that are work, in their order.

    A thousand easy tasks of a test bench would cover what production does; and a candidate that is tried in staging would be
    the version in force, which no gate has seen.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent.
    """
    counted = work_environments(charter)
    return [task for task in tasks if task.environment in counted]
