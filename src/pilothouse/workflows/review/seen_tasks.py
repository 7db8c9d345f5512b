# SPDX-License-Identifier: Apache-2.0
"""How many tasks came in a window, by type and stratum, counted page by page (lake, ledger -> counts)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.evidence.work import work_of
from pilothouse.ports.lake import TaskFilter
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import every_page
from pilothouse.workflows.review.strata import JUDGED, judged_by, strata_of

__all__ = ["SeenTasks", "seen_between"]


@dataclass(slots=True)
class SeenTasks:
    """What came in a window, counted page by page: a week of a large agent is more than memory holds.

    Attributes:
        first_ns: Start of the first task, or of the window while there is none.
        tasks: Tasks.
        of_type: Tasks of each type.
        judged: Of each type, tasks by what its judge said, as far as one scored any.
        placed: Of each type, tasks by what the system of record says.
    """

    first_ns: int
    tasks: int = 0
    of_type: Counter[str] = field(default_factory=Counter)
    judged: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    placed: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def seen_between(
    installation: Installation, charter: Charter, start: datetime, until: datetime, now: datetime
) -> SeenTasks:
    """Return what came in a half-open window.

    Args:
        installation: Lake and ledger.
        charter: The charter in force.
        start: Its start, aware UTC.
        until: Its end.
        now: The moment: a judge may speak after the window.
    """
    start_ns = unix_ns(start)
    wanted = TaskFilter(agent=charter.agent, from_ns=start_ns, to_ns=unix_ns(until))
    judged = judged_by(charter, installation.lake.scores(from_ns=start_ns, to_ns=unix_ns(now)))
    seen = SeenTasks(first_ns=start_ns)
    for read in every_page(installation.lake, wanted):
        page = work_of(charter, read)
        outcomes = installation.ledger.outcomes_of([task.trace_id for task in page]) if page else {}
        seen.tasks += len(page)
        seen.first_ns = page[-1].start_ns if page else seen.first_ns
        for name in charter.task_types:
            mine = [task for task in page if task.task_type == name]
            seen.of_type[name] += len(mine)
            names, strata = strata_of(charter, name, mine, outcomes, judged)
            if names == JUDGED:
                seen.judged[name].update(strata.values())
            seen.placed[name].update(strata_of(charter, name, mine, outcomes, {})[1].values())
    return seen
