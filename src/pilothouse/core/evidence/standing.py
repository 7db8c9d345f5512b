# SPDX-License-Identifier: Apache-2.0
"""Which stored records can still decide something: of facts about one thing only the newest, of everything else all.

A fact either passed or did not, so nothing behind the newest one is ever looked at. A rate or an amount may be open, and then
an older one still counts; so does a fact that was imported, which proves nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pilothouse.core.evidence.admission import FUTURE_MAX
from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.evidence.kinds import KINDS, Form

__all__ = ["Headed", "standing"]

T = TypeVar("T")

_DECISIVE = frozenset(
    name
    for name, kind in KINDS.items()
    if kind.form in {Form.FACT, Form.SIGNATURE} and name != "release.verdict"
)
"""Kinds of which the newest record decides alone. A version that passed the release gate once was released, whatever a later
run of the gate says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headed(Generic[T]):
    """What must be known of a record to tell whether it stands.

    Attributes:
        kind: Kind of evidence.
        about: Scope, binding and signer; equal for records of which the newer takes the place of the older.
        basis: What belief in it rests on.
        window_to: End of its window, aware UTC.
        recorded_at: When it was written, aware UTC.
        record: The record, read or unread.
    """

    kind: str
    about: Hashable
    basis: str
    window_to: datetime
    recorded_at: datetime
    record: T


def standing(headed: Iterable[Headed[T]], at: datetime) -> list[T]:
    """Return the records that a verdict at a moment can rest on, in the order given.

    Args:
        headed: Records of one agent.
        at: The moment, aware UTC; a record that lies ahead of it takes no place, because it will be refused.

    Returns:
        Those whose absence could change a verdict. Several that are equally new all stand.
    """
    everything = list(headed)
    newest: dict[tuple[str, Hashable], tuple[datetime, datetime]] = {}
    for one in everything:
        if _is_decisive(one, at):
            when = (one.window_to, one.recorded_at)
            key = (one.kind, one.about)
            newest[key] = max(when, newest.get(key, when))
    return [
        one.record
        for one in everything
        if not _is_decisive(one, at) or (one.window_to, one.recorded_at) == newest[one.kind, one.about]
    ]


def _is_decisive(one: Headed[T], at: datetime) -> bool:
    return (
        one.kind in _DECISIVE
        and one.basis != Basis.IMPORTED
        and max(one.window_to, one.recorded_at) <= at + FUTURE_MAX
    )
