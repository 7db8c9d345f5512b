# SPDX-License-Identifier: Apache-2.0
"""Makes the record of what was found of an agent (findings + what they are bound to → evidence)."""

from __future__ import annotations

from datetime import datetime
from typing import Required, TypedDict, Unpack

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force, under_terms
from pilothouse.core.evidence.evidence import ITEMS_MAX, Basis, Binding, Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named

__all__ = ["Found", "bound_record", "recorded"]

DETAIL_CHARS_MAX = 2_000
"""What a record keeps of its detail; the cut tail is for whoever runs the command again."""


class Found(TypedDict, total=False):
    """Findings, under the field names of the record."""

    n: Required[int]
    good: int | None
    value: float | None
    low: float | None
    high: float | None
    method: str
    passed: bool | None
    detail: str
    items: tuple[str, ...]
    counts: dict[str, int]
    basis: Basis


def recorded(
    kind: str,
    charter: Charter,
    now: datetime,
    *,
    command: str,
    scope: Scope | None = None,
    version: str | None = None,
    person: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    **found: Unpack[Found],
) -> Evidence:
    """Return a record with the binding in force for its kind.

    Args:
        kind: Kind of evidence.
        charter: The charter in force.
        now: When it is written, aware UTC.
        command: What found it.
        scope: Part of the agent that it is about; None for all of it.
        version: Version digest that was looked at, or None.
        person: Person it is about, or None.
        since: Start of its window; None where that is its end.
        until: End of its window; None for `now`.
        found: What was found; of detail and examples a record keeps the first.

    Example:
        >>> at = datetime.fromisoformat("2026-11-30T12:00:00Z")
        >>> agent = Charter.model_construct(agent="invoices")
        >>> recorded("canary.trace", agent, at, command="pilothouse up", n=1, passed=True).window_from == at
        True
    """
    where = scope or Scope()
    binds = binding_in_force(kind_named(kind), charter, where, InForce(version=version), person=person)
    return bound_record(
        kind, charter.agent, now, command=command, binds=binds, scope=where, since=since, until=until, **found
    )


def bound_record(
    kind: str,
    agent: str,
    now: datetime,
    *,
    command: str,
    binds: Binding | None = None,
    charter: Charter | None = None,
    scope: Scope | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    run_id: str = "",
    **found: Unpack[Found],
) -> Evidence:
    """Return a record bound to what was measured, whatever is in force.

    Args:
        kind: Kind of evidence.
        agent: Agent id.
        now: When it is written, aware UTC.
        command: What found it.
        binds: What was measured; None binds it to nothing.
        charter: The charter under whose terms it was measured, where its kind asks for them; None for none.
        scope: Part of the agent that it is about; None for all of it.
        since: Start of its window; None where that is its end.
        until: End of its window; None for `now`.
        run_id: The run that found it, or empty.
        found: What was found; of detail and examples a record keeps the first.

    Example:
        >>> at = datetime.fromisoformat("2026-11-30T12:00:00Z")
        >>> bound_record("canary.trace", "invoices", at, command="pilothouse up", n=1, detail="x" * 3_000).detail[-3:]
        'xxx'
    """
    where, end = scope or Scope(), until or now
    found["detail"] = found.get("detail", "")[:DETAIL_CHARS_MAX]
    found["items"] = found.get("items", ())[:ITEMS_MAX]
    return Evidence(
        kind=kind,
        agent=agent,
        binds=under_terms(binds or Binding(), kind_named(kind), charter, where),
        scope=where,
        window_from=since or end,
        window_to=end,
        source=Source(command=command, run_id=run_id),
        recorded_at=now,
        **found,
    )
