# SPDX-License-Identifier: Apache-2.0
"""An index of evidence: the subject of each record, what it is bound to, and the newest record of each subject.

All of it follows from the records, so it can be made again from them at any time (`rebuild_index`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_, update

from pilothouse.core.evidence.admission import FUTURE_MAX
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.ledger.evidence_document import parse_document
from pilothouse.ledger.schema import evidence, standing_evidence, to_micros

__all__ = [
    "AHEAD_US",
    "Placed",
    "digests_standing",
    "index_of",
    "not_overtaken",
    "put_in_place",
    "rebuild_index",
]

KEY_BYTES = 16
"""Bytes of a key: of 10^9 things no two share one, with a probability above 1 - 10^-20."""

AHEAD_US = int(FUTURE_MAX.total_seconds()) * 1_000_000
"""A record whose window ends this much after it was written takes nobody's place: until then it is refused."""

_AT_ONCE = 400
"""Records that are placed in one statement, well below SQLite's 32,766 variables."""

_PLACE = ("agent", "about", "digest", "slot", "version", "window_to_us")
_COLUMNS = ("slot", "about", "version", "window_to_us")


def index_of(record: Evidence) -> dict[str, Any]:
    """Return the columns by which a record is found.

    Returns:
        `slot`: kind, scope, basis and signer; records with one slot speak of the same thing. `about`: the slot with what the
        record was made against. `version`: the version of the agent in that, or empty. `window_to_us`: the end of its window.
    """
    slot = _key(record.kind, record.basis.value, record.signer, *(value for _, value in record.scope))
    return {
        "slot": slot,
        "about": _key(slot, *(value for _, value in record.binds)),
        "version": record.binds.version or "",
        "window_to_us": to_micros(record.window_to),
    }


def _key(*parts: str | None) -> str:
    text = "\x1f".join("\x00" if part is None else part for part in parts)
    return blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()


def put_in_place(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update the index of newest records with new ones.

    Args:
        connection: A transaction that writes.
        rows: Rows of the table of evidence.
    """
    for start in range(0, len(rows), _AT_ONCE):
        _place(connection, rows[start : start + _AT_ONCE])


def _place(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    things = {(row["agent"], row["about"]) for row in rows}
    here = tuple_(standing_evidence.c.agent, standing_evidence.c.about).in_(sorted(things))
    joined = select(*_STANDS).join(evidence, evidence.c.digest == standing_evidence.c.digest)
    before = [Placed(*row) for row in connection.execute(joined.where(here))]
    fresh = [Placed(*(row[name] for name in Placed._fields)) for row in rows]
    standing = digests_standing((*before, *fresh))
    gone = [one.digest for one in before if one.digest not in standing]
    if gone:
        connection.execute(delete(standing_evidence).where(here, standing_evidence.c.digest.in_(gone)))
    placed = [{name: row[name] for name in _PLACE} for row in rows if row["digest"] in standing]
    if placed:
        connection.execute(insert(standing_evidence), placed)


class _Written(Protocol):
    """A record with the end of its window and its place in the order of writing."""

    @property
    def window_to_us(self) -> int: ...
    @property
    def arrived(self) -> int: ...


class Placed(NamedTuple):
    """What tells where a record of evidence stands in the index."""

    agent: str
    about: str
    digest: str
    window_to_us: int
    arrived: int
    recorded_us: int


_STANDS = (
    standing_evidence.c.agent,
    standing_evidence.c.about,
    standing_evidence.c.digest,
    standing_evidence.c.window_to_us,
    evidence.c.arrived,
    evidence.c.recorded_us,
)

_P = TypeVar("_P", bound=_Written)


def not_overtaken(rows: Iterable[_P]) -> list[_P]:
    """Return the newest records about one thing: those than which none is newer both by its window and by its writing.

    Where clocks go forward that is one. A record of an earlier window that was written later stands beside the newest: whoever
    wrote it may have known more.

    Args:
        rows: Records about one thing, in any order.
    """
    found: list[_P] = []
    after = -1
    in_order = sorted(rows, key=lambda row: row.window_to_us, reverse=True)
    for _, group in groupby(in_order, key=lambda row: row.window_to_us):
        later = [row for row in group if row.arrived > after]
        found += later
        after = max((row.arrived for row in later), default=after)
    return found


def digests_standing(rows: Iterable[Placed]) -> set[str]:
    """Return the digests of records that have a place in the index.

    Args:
        rows: Records about any number of things, in any order.
    """
    found: set[str] = set()
    by_thing: dict[tuple[str, str], list[Placed]] = {}
    for row in rows:
        if row.window_to_us > row.recorded_us + AHEAD_US:
            found.add(row.digest)
        else:
            by_thing.setdefault((row.agent, row.about), []).append(row)
    return found | {row.digest for own in by_thing.values() for row in not_overtaken(own)}


def rebuild_index(connection: Connection) -> int:
    """Rebuild the index from all records, and return how many there are."""
    connection.execute(delete(standing_evidence))
    change = update(evidence).where(evidence.c.digest == bindparam("of"))
    change = change.values({name: bindparam(f"new_{name}") for name in _COLUMNS})
    done, last = 0, ""
    while True:
        query = select(
            evidence.c.agent,
            evidence.c.digest,
            evidence.c.recorded_us,
            evidence.c.arrived,
            evidence.c.document,
        )
        query = query.where(evidence.c.digest > last).order_by(evidence.c.digest).limit(_AT_ONCE)
        rows = [
            {**row, **index_of(parse_document(row["document"]))}
            for row in connection.execute(query).mappings()
        ]
        if not rows:
            return done
        connection.execute(
            change, [{"of": row["digest"], **{f"new_{name}": row[name] for name in _COLUMNS}} for row in rows]
        )
        put_in_place(connection, rows)
        done, last = done + len(rows), rows[-1]["digest"]
