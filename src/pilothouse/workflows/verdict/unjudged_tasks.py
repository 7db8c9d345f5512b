# SPDX-License-Identifier: Apache-2.0
"""Tasks that a verdict does not speak of, and what it says of them: of other environments, of stand-ins, and of versions that serve beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.fold import Window
from pilothouse.core.evidence.stand_in import stand_ins_of
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.evidence.work import work_environments
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.reports.foreign import foreign_line
from pilothouse.workflows.ground.agents import NAMES_SHOWN_MAX

__all__ = ["beside_notes", "stand_in_notes", "tried_elsewhere", "tried_notes"]

BESIDE = timedelta(days=1)
"""How long ago another version may have served beside the one that is judged, to be named: a change-over takes hours."""


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


def beside_notes(tasks: Sequence[Task], version: str | None, window: Window) -> list[str]:
    """Return which versions served beside the one that is judged; nothing where it took over from them.

    A verdict speaks of the version that served last. Where two serve at once, say 90 and 10 % of the traffic, it is one of them,
    and whoever reads it must know how much it leaves out.

    Args:
        tasks: Tasks of the agent.
        version: The version that is judged.
        window: The window that ends now.
    """
    since = unix_ns(window.end - BESIDE)
    lately = [task for task in tasks if since <= task.start_ns < window.end_ns]
    began = min((task.start_ns for task in lately if task.version_digest == version), default=None)
    if began is None:
        return []
    served = Counter(task.version_digest for task in lately if task.start_ns > began)
    own = served.pop(version, 0) + 1
    if not served:
        return []
    others = ", ".join(
        f"{short_digest(name)} ({count:,})" for name, count in served.most_common(NAMES_SHOWN_MAX)
    )
    spoken = f"this verdict speaks of {short_digest(version)} ({own:,} tasks of the last day)"
    return [f"Versions serve side by side: {spoken} and not of {others}."]


def stand_in_notes(charter: Charter, tasks: Iterable[Task], version: str | None, window: Window) -> list[str]:
    """Return how many tasks stand-ins of the model pin answered, and by which; nothing where there are none.

    Spoken of are tasks of the version that is judged and of what served beside it, whatever those name: the pin of a version
    before may be a stand-in now.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent.
        version: The version that is judged.
        window: The window that is spoken of.
    """
    stand_ins = stand_ins_of(charter)
    inside = [task for task in tasks if window.holds(task.start_ns)]
    began = min((task.start_ns for task in inside if task.version_digest == version), default=window.end_ns)
    since = [task for task in inside if task.start_ns >= began]
    answered = [stand_ins.intersection(task.models) for task in since]
    count = sum(map(bool, answered))
    if not count:
        return []
    often = Counter(name for names in answered for name in sorted(names)).most_common(NAMES_SHOWN_MAX)
    named = ", ".join(f"{foreign_line(name)} ({number:,})" for name, number in often)
    note = (
        f"Stand-ins of the model pin answered in {count:,} of {len(since):,} tasks: {named}. They are another version, so of "
        "these tasks only critical mistakes count for this one."
    )
    return [note]
