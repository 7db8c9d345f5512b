# SPDX-License-Identifier: Apache-2.0
"""Find the run of an incident that can be replayed: the first of its tasks, worst first, whose calls are in the run log."""

from __future__ import annotations

import re
from collections import Counter

from pilothouse.core.action.incident import Incident
from pilothouse.core.evidence.run_log import Replayable
from pilothouse.errors import EvidenceError, UnknownName
from pilothouse.ports.incidents import IncidentStore
from pilothouse.ports.runlog import RunLog

__all__ = ["incident_meant", "run_of_incident"]

_NAME = re.compile(r"INC-([1-9][0-9]{0,8})", re.IGNORECASE)

_WORDS = {
    Replayable.ERASED: "erased",
    Replayable.NO: "without a model call that could be replayed",
    Replayable.UNRECORDED: "not recorded by choice",
}


def incident_meant(store: IncidentStore, word: str) -> Incident | None:
    """Return the incident that a word names, such as `INC-4`; None where it names a run.

    Raises:
        UnknownName: No incident has that number.
    """
    named = _NAME.fullmatch(word)
    if named is None:
        return None
    found = store.incident(int(named[1]))
    if found is None:
        raise UnknownName(
            f"there is no incident {word}", remedy="`pilothouse incident list` shows them.", subject=word
        )
    return found


def run_of_incident(log: RunLog, incident: Incident) -> str:
    """Return the id of the run of an incident that can be replayed.

    Raises:
        EvidenceError: It has none; says of each of its tasks why.
    """
    lacking: Counter[str] = Counter()
    for trace in incident.traces:
        try:
            summary = log.read(trace).summary
        except UnknownName:
            lacking["not in the run log: never recorded, or no longer kept"] += 1
            continue
        if summary.agent == incident.agent and summary.replayable.is_playable:
            return summary.run
        lacking[_WORDS.get(summary.replayable, "of another agent")] += 1
    why = ", ".join(f"{count} {words}" for words, count in lacking.items()) or "it names no task"
    raise EvidenceError(
        f"{incident.name} has no run that can be replayed ({why})",
        remedy="With `--evidence` that is kept, and a replay of another run since the incident stands in for it: "
        f"`pilothouse replay --list --agent {incident.agent}`",
        subject=incident.name,
    )
