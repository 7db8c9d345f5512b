# SPDX-License-Identifier: Apache-2.0
"""Tasks that ran where nothing counts, and what a verdict says of them: whoever named an environment otherwise must know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.fold import Window
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.work import work_environments
from pilothouse.reports.foreign import foreign_line
from pilothouse.workflows.ground.agents import NAMES_SHOWN_MAX

__all__ = ["tried_elsewhere", "tried_notes"]


def tried_elsewhere(
    charter: Charter, seen: Iterable[Task], window: Window
) -> tuple[Mapping[str, int], frozenset[str]]:
    """Return how many tasks of a window ran where nothing counts, by environment, and the traces of all that did.

    Args:
        charter: The charter in force.
        seen: Tasks of the agent.
        window: The window that is spoken of.
    """
    counted = work_environments(charter)
    tried = [task for task in seen if task.environment not in counted]
    names = Counter(str(task.environment) for task in tried if window.holds(task.start_ns))
    return names, frozenset(task.trace_id for task in tried)


def tried_notes(elsewhere: Mapping[str, int]) -> list[str]:
    """Return what a verdict says of them; nothing where there are none.

    Args:
        elsewhere: Tasks by environment.
    """
    if not elsewhere:
        return []
    often = Counter(elsewhere).most_common(NAMES_SHOWN_MAX)
    named = ", ".join(f"{foreign_line(name)!r} ({count:,})" for name, count in often)
    note = (
        f"Tasks of other environments count for nothing: {named}. An agent works in `production` and in the environment of "
        "its pilot; `pilothouse run --environment NAME -- COMMAND` names it."
    )
    return [note]
