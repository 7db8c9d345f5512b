# SPDX-License-Identifier: Apache-2.0
"""A record of evidence that rests on what people said in review."""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named

__all__ = ["label_record"]


def label_record(
    kind: str,
    *,
    charter: Charter,
    scope: Scope,
    version: str | None,
    start: datetime,
    now: datetime,
    **fields: object,
) -> Evidence:
    """Return a record whose window ends now, bound as its kind asks.

    Args:
        kind: Kind of evidence.
        charter: The charter in force.
        scope: Part that the record is about.
        version: Version digest that was looked at, or None.
        start: Start of the window, aware UTC.
        now: The moment, aware UTC.
        fields: Further fields of the record.
    """
    values = {
        "kind": kind,
        "agent": charter.agent,
        "binds": binding_in_force(kind_named(kind), charter, scope, InForce(version=version)),
        "scope": scope,
        "window_from": start,
        "window_to": now,
        "source": Source(command="pilothouse review"),
        "recorded_at": now,
        **fields,
    }
    return Evidence.model_validate(values)
