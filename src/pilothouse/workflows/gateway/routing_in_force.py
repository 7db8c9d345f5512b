# SPDX-License-Identifier: Apache-2.0
"""What a gateway obeys of confidence routing: which task types are routed, and the threshold that their evidence has shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.writing_order import standing_record

__all__ = ["FRESH", "THRESHOLD", "routed_types", "threshold_in_force"]

THRESHOLD = "routing.threshold"
"""Kind of the evidence that shows a threshold valid, or takes it away."""

FRESH = timedelta(days=7)
"""As long as the requirement accepts a threshold; afterwards everything is held again."""


def routed_types(charter: Charter) -> tuple[str, ...]:
    """Return the task types whose unsure answers a reviewer gets."""
    return tuple(name for name, terms in charter.task_types.items() if known(terms.routing.mode) == "hold")


def threshold_in_force(
    records: Sequence[Evidence], charter: Charter, version: str | None, now: datetime
) -> float | None:
    """Return the confidence from which answers of a version go out alone, or None while none is shown valid.

    A call does not say its task type, so the strictest threshold of all routed types counts.
    """
    found = [_newest(records, charter, name, version) for name in routed_types(charter)]
    valid = [
        one.value
        for one in found
        if one is not None and one.passed and one.value is not None and now - one.window_to <= FRESH
    ]
    return max(valid) if valid and len(valid) == len(found) else None


def _newest(records: Sequence[Evidence], charter: Charter, name: str, version: str | None) -> Evidence | None:
    """Return the newest threshold of a version: one chosen for another budget than the charter's is none."""
    scope = Scope(task_type=name)
    binds = binding_in_force(kind_named(THRESHOLD), charter, scope, InForce(version=version))
    own = [
        one for one in records if one.kind == THRESHOLD and one.scope.task_type == name and one.binds == binds
    ]
    return standing_record(own)
