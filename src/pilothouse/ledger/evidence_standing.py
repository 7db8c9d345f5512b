# SPDX-License-Identifier: Apache-2.0
"""Select the records that a verdict reads: the newest of each subject, and older ones only behind an undecided one.

A record decides when it proves a rule or its opposite. What lies behind it, by its window and by its writing, is never looked
at, so it is never read; how much that is depends on the charter, which is why the reader is told what decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import count, groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, select

from pilothouse.core.evidence.admission import FUTURE_MAX
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.ledger.evidence_index import not_overtaken
from pilothouse.ledger.schema import evidence, standing_evidence, to_micros

__all__ = ["standing_records"]

ALWAYS = "release.verdict"
"""The kind of which every record counts: a version that passed the release gate once was released, whatever came later."""

PAGE = 64
"""Older records of one thing that are read at once: two months of daily ones."""

DIGESTS_AT_ONCE = 500
"""Records asked for in one query, well below SQLite's 32,766 variables."""

Parse = Callable[[str, str, int], Evidence]
"""Reads a record from digest, document and its place in the order of writing, and checks it."""


def standing_records(
    connection: Connection,
    agent: str,
    at: datetime,
    *,
    version: str | None,
    decides: Callable[[Evidence], bool],
    kinds: Collection[str] | None,
    parse: Parse,
) -> dict[str, Evidence]:
    """Return the records on which a verdict at a moment can rest, by digest.

    Args:
        connection: A transaction that reads.
        agent: Agent id.
        at: The moment, aware UTC.
        version: Version that is judged; of others only the newest record of each thing is read, to say that it is known.
        decides: Whether nothing older about the same thing matters.
        kinds: Only records of these kinds; None for all.
        parse: Reads a record.
    """
    asked = {"agent": agent, "at_us": to_micros(at)}
    newest = _newest(list(_heads(connection, asked, kinds)), to_micros(at + FUTURE_MAX), version or "")
    found = {}
    if kinds is None or ALWAYS in kinds:
        found = {row.digest: parse(*row) for row in connection.execute(_ALL_OF_ONE_KIND, asked)}
    wanted = [head.digest for head in newest if head.digest not in found]
    for start in range(0, len(wanted), DIGESTS_AT_ONCE):
        some = evidence.c.digest.in_(wanted[start : start + DIGESTS_AT_ONCE])
        for row in connection.execute(select(*_RECORD).where(some)):
            found[row.digest] = parse(*row)
    by_about: dict[str, list[_Head]] = {}
    for head in newest:
        by_about.setdefault(head.about, []).append(head)
    for about, heads in by_about.items():
        behind = _behind(heads, {head.digest for head in heads if decides(found[head.digest])})
        while behind is not None:
            before_us, after = behind
            place = {**asked, "about": about, "before_us": before_us, "after": after}
            behind = _read_older(connection, place, found, decides, parse)
    return found


def _behind(heads: list[_Head], deciding: set[str]) -> tuple[int, int] | None:
    """Return before which window a verdict looks on, and after which place in the order of writing; None where it does not.

    Args:
        heads: The newest records about one thing.
        deciding: Digests of those that decide. One that is dated later than what was written after it does not.
    """
    after = -1
    in_order = sorted(heads, key=lambda head: head.window_to_us, reverse=True)
    for window_to_us, together in groupby(in_order, key=lambda head: head.window_to_us):
        settled = [
            one.arrived for one in together if one.digest in deciding and not _is_misdated(one, in_order)
        ]
        if not settled:
            return window_to_us, after
        after = max(after, *settled)
    return None


def _is_misdated(head: _Head, among: list[_Head]) -> bool:
    return any(one.arrived > head.arrived and one.recorded_us < head.window_to_us for one in among)


def _read_older(
    connection: Connection,
    place: dict[str, object],
    found: dict[str, Evidence],
    decides: Callable[[Evidence], bool],
    parse: Parse,
) -> tuple[int, int] | None:
    """Read until something decides; return what lies behind that and was written after it, or None where nothing decided."""
    settled: list[int] = []
    window_to_us = 0
    for row in _older(connection, place):
        if settled and row.window_to_us < window_to_us:
            return window_to_us, max(settled)
        record = found[row.digest] = found.get(row.digest) or parse(row.digest, row.document, row.arrived)
        if decides(record):
            settled.append(row.arrived)
            window_to_us = row.window_to_us
    return None


class _Head(NamedTuple):
    """The part of a record that is needed to select it."""

    slot: str
    about: str
    version: str
    window_to_us: int
    digest: str
    arrived: int
    recorded_us: int


def _heads(
    connection: Connection, asked: dict[str, object], kinds: Collection[str] | None
) -> Iterable[_Head]:
    """Return what stands now; for a moment that later records followed, everything that was written until then."""
    is_past = connection.execute(_LATER, asked).first() is not None
    query = _WRITTEN if is_past else _STANDING
    if kinds is not None:  # of one thing all records are of one kind
        query = query.where(evidence.c.kind.in_(sorted(kinds)))
    return (_Head(*row) for row in connection.execute(query, asked))


def _newest(heads: list[_Head], ahead_us: int, version: str) -> list[_Head]:
    """Return of each thing the newest: of this version, and of all versions together.

    What lies ahead takes nobody's place. It is there as well, because the verdict says that it was refused.
    """
    of_slot: dict[str, int] = {}
    of_about: dict[str, list[_Head]] = {}
    for head in heads:
        if head.window_to_us <= ahead_us:
            of_slot[head.slot] = max(head.window_to_us, of_slot.get(head.slot, head.window_to_us))
            if head.version in {"", version}:
                of_about.setdefault(head.about, []).append(head)
    standing = {head.digest for own in of_about.values() for head in not_overtaken(own)}
    return [
        head
        for head in heads
        if head.window_to_us > ahead_us or head.window_to_us == of_slot[head.slot] or head.digest in standing
    ]


def _older(connection: Connection, asked: dict[str, object]) -> Iterator[Row[Any, Any, Any, Any]]:
    """Yield records of one thing in the order in which a verdict looks at them."""
    for start in count(0, PAGE):
        rows = connection.execute(_OLDER, {**asked, "start": start}).all()
        yield from rows
        if len(rows) < PAGE:
            return


_MINE = evidence.c.agent == bindparam("agent")
_UNTIL = evidence.c.recorded_us <= bindparam("at_us")

_LATER = select(evidence.c.digest).where(_MINE, evidence.c.recorded_us > bindparam("at_us")).limit(1)

_RECORD = (evidence.c.digest, evidence.c.document, evidence.c.arrived)

_HEAD = (
    evidence.c.slot,
    evidence.c.about,
    evidence.c.version,
    evidence.c.window_to_us,
    evidence.c.digest,
    evidence.c.arrived,
    evidence.c.recorded_us,
)

_WRITTEN = select(*_HEAD).where(_MINE, _UNTIL)

_STANDING = (
    select(*_HEAD)
    .join(standing_evidence, evidence.c.digest == standing_evidence.c.digest)
    .where(standing_evidence.c.agent == bindparam("agent"))
)

_ALL_OF_ONE_KIND = select(*_RECORD).where(_MINE, _UNTIL, evidence.c.kind == ALWAYS)

_OLDER = (
    select(*_RECORD, evidence.c.window_to_us)
    .where(
        _MINE,
        _UNTIL,
        evidence.c.about == bindparam("about"),
        evidence.c.window_to_us < bindparam("before_us"),
        evidence.c.arrived > bindparam("after"),
    )
    .order_by(evidence.c.window_to_us.desc(), evidence.c.recorded_us.desc(), evidence.c.digest.desc())
    .limit(PAGE)
    .offset(bindparam("start"))
)
