# SPDX-License-Identifier: Apache-2.0
"""All-in cost per task: measured cost of model calls, plus review and fixed costs from charter and watch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from pilothouse.core.charter.answers import is_open
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force, first_mismatch
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.task_measures import unmeasured_costs

__all__ = ["FURTHER_AGE_MAX", "with_further_costs"]

FURTHER_AGE_MAX = timedelta(days=14)
"""How far the watch's count may lie behind the traffic; an older one says nothing about the tasks of now."""


def with_further_costs(
    charter: Charter, folded: Sequence[Evidence], stored: Iterable[Evidence]
) -> tuple[Evidence, ...]:
    """Return folded records with every known part added to the cost of a task.

    Ends are added to ends, because nobody knows how the parts hang together. A part that nobody knows stays unknown and is
    named: it never counts as zero.

    Args:
        charter: The charter in force.
        folded: What telemetry gives.
        stored: Records of the ledger; the newest `cost.further` of a task type counts, of those reckoned by the charter as it is.
    """
    newest: dict[str | None, Evidence] = {}
    for one in stored:
        if one.kind == "cost.further" and _is_in_force(charter, one):
            known = newest.get(one.scope.task_type)
            if known is None or (one.window_to, one.recorded_at) > (known.window_to, known.recorded_at):
                newest[one.scope.task_type] = one
    return tuple(_whole(charter, one, newest.get(one.scope.task_type)) for one in folded)


def _is_in_force(charter: Charter, record: Evidence) -> bool:
    """Whether a cost was computed under the present charter: a part that no longer counts would stay in the sum."""
    kind = kind_named("cost.further")
    return first_mismatch(binding_in_force(kind, charter, record.scope, InForce()), record, kind) is None


def _whole(charter: Charter, record: Evidence, further: Evidence | None) -> Evidence:
    name = record.scope.task_type
    if record.kind != "cost_per_task" or name is None or further is None:
        return record
    includes = charter.task_types[name].cost_per_task.includes
    if is_open(includes) or further.window_to < record.window_to - FURTHER_AGE_MAX:
        return record
    covered = frozenset(further.counts) & set(includes)
    if not covered or further.value is None or record.value is None:
        return record
    reasons = unmeasured_costs(charter, name, covered)
    low = None if record.low is None or further.low is None else record.low + further.low
    high = None if record.high is None or further.high is None else record.high + further.high
    said = f"model calls {record.value:.4f}; {further.detail}"
    return record.model_copy(
        update={
            "value": record.value + further.value,
            "low": low,
            "high": high,
            "method": f"{record.method}; {further.method}" if record.method else "",
            "detail": "; ".join((*reasons, said)),
            "counts": {**record.counts, "unmeasured": len(reasons)},
        }
    )
