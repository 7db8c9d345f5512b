# SPDX-License-Identifier: Apache-2.0
"""What is known of tasks without a person: a judge's verdict where one scores, the system of record's elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import Task

__all__ = ["JUDGED", "STRATA", "judged_by", "strata_of", "stratum_of"]

STRATA = ("verified", "contradicted", "unknown")
"""What the system of record says: labels say most where this is least sure."""

JUDGED = ("pass", "fail")
"""What a judge says; a task that it did not score is outside its sample."""


def stratum_of(outcome: Outcome | None) -> str:
    """Return what the system of record says of a task.

    Example:
        >>> stratum_of(None)
        'unknown'
    """
    if outcome is not None and outcome.status is OutcomeStatus.VERIFIED:
        return "verified"
    if outcome is not None and outcome.status is OutcomeStatus.CONTRADICTED:
        return "contradicted"
    return "unknown"


def judged_by(charter: Charter, scores: Iterable[Score]) -> dict[str, dict[str, bool]]:
    """Return the judge's verdicts by metric and trace; of several the newest counts, and only plain ones.

    Args:
        charter: Says which metrics there are.
        scores: Scores of any task, any order.
    """
    metrics = {str(terms.metric) for terms in charter.task_types.values()}
    found: dict[str, dict[str, bool]] = {name: {} for name in metrics}
    for score in sorted(scores, key=lambda one: one.at_ns):
        good = score.is_good
        if score.name in metrics and good is not None:
            found[score.name][score.trace_id] = good
    return found


def strata_of(
    charter: Charter,
    name: str,
    tasks: Sequence[Task],
    outcomes: Mapping[str, Outcome],
    judged: Mapping[str, Mapping[str, bool]],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the names of the strata of a task type and the stratum of each task that belongs to one.

    Args:
        charter: The charter in force.
        name: Task type.
        tasks: Tasks of this type.
        outcomes: Outcomes by trace.
        judged: From `judged_by`.
    """
    verdicts = judged.get(str(charter.task_types[name].metric), {})
    scored = {task.trace_id: verdicts[task.trace_id] for task in tasks if task.trace_id in verdicts}
    if scored:
        return JUDGED, {trace: JUDGED[0] if good else JUDGED[1] for trace, good in scored.items()}
    return STRATA, {
        task.trace_id: stratum_of(outcome)
        for task in tasks
        if (outcome := standing_outcome(task, outcomes.get(task.trace_id))) is None
        or outcome.status is not OutcomeStatus.PENDING
    }
