# SPDX-License-Identifier: Apache-2.0
"""Which records of evidence a verdict reads: of each thing the newest, and older ones only behind one that decides nothing.

A record decides when it proves a rule or its opposite. What lies behind it is never looked at, so it is never read; how much
that is depends on the charter, which is why the reader is told what decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import count
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from pilothouse.core.evidence.admission import FUTURE_MAX
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.ledger.schema import evidence, standing_evidence, to_micros

__all__ = ["standing_records"]

ALWAYS = "release.verdict"
"""The kind of which every record counts: a version that passed the release gate once was released, whatever came later."""

PAGE = 64
"""Older records of one thing that are read at once: two months of daily ones."""

DIGESTS_AT_ONCE = 500
"""Records asked for in one query, well below SQLite's 32,766 variables."""

Parse = Callable[[str, str], Evidence]
"""Reads a record from digest and document, and checks it."""


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
    """Return what a verdict at a moment can rest on, by digest.

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
        found = {digest: parse(digest, text) for digest, text in connection.execute(_ALL_OF_ONE_KIND, asked)}
    wanted = [head.digest for head in newest if head.digest not in found]
    for start in range(0, len(wanted), DIGESTS_AT_ONCE):
        some = evidence.c.digest.in_(wanted[start : start + DIGESTS_AT_ONCE])
        for digest, text in connection.execute(select(evidence.c.digest, evidence.c.document).where(some)):
            found[digest] = parse(digest, text)
    settled = {head.about for head in newest if decides(found[head.digest])}
    for about, before_us in {(head.about, head.window_to_us) for head in newest if head.about not in settled}:
        for digest, text in _older(connection, {**asked, "about": about, "before_us": before_us}):
            record = found[digest] = found.get(digest) or parse(digest, text)
            if decides(record):
                break
    return found


class _Head(NamedTuple):
    """What must be known of a record to tell whether it stands."""

    slot: str
    about: str
    version: str
    window_to_us: int
    digest: str


def _heads(
    connection: Connection, asked: dict[str, object], kinds: Collection[str] | None
) -> Iterable[_Head]:
    """Return what stands now; for a moment that later records followed, everything that was written until then."""
    is_past = connection.execute(_LATER, asked).first() is not None
    query = _WRITTEN if is_past else _STANDING
    if kinds is not None:  # of one thing all records are of one kind
        if not is_past:
            query = query.join(evidence, evidence.c.digest == standing_evidence.c.digest)
        query = query.where(evidence.c.kind.in_(sorted(kinds)))
    return (_Head(*row) for row in connection.execute(query, asked))


def _newest(heads: list[_Head], ahead_us: int, version: str) -> list[_Head]:
    """Return of each thing the newest: of this version, and of all versions together.

    What lies ahead takes nobody's place. It is there as well, because the verdict says that it was refused.
    """
    of_slot: dict[str, int] = {}
    of_about: dict[str, int] = {}
    for head in heads:
        if head.window_to_us <= ahead_us:
            of_slot[head.slot] = max(head.window_to_us, of_slot.get(head.slot, head.window_to_us))
            of_about[head.about] = max(head.window_to_us, of_about.get(head.about, head.window_to_us))
    return [
        head
        for head in heads
        if head.window_to_us > ahead_us
        or head.window_to_us == of_slot[head.slot]
        or (head.version in {"", version} and head.window_to_us == of_about[head.about])
    ]


def _older(connection: Connection, asked: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Yield records of one thing in the order in which a verdict looks at them."""
    for start in count(0, PAGE):
        rows = connection.execute(_OLDER, {**asked, "start": start}).all()
        yield from ((digest, text) for digest, text in rows)
        if len(rows) < PAGE:
            return


_MINE = evidence.c.agent == bindparam("agent")
_UNTIL = evidence.c.recorded_us <= bindparam("at_us")

_LATER = select(evidence.c.digest).where(_MINE, evidence.c.recorded_us > bindparam("at_us")).limit(1)

_WRITTEN = select(
    evidence.c.slot, evidence.c.about, evidence.c.version, evidence.c.window_to_us, evidence.c.digest
).where(_MINE, _UNTIL)

_STANDING = select(
    standing_evidence.c.slot,
    standing_evidence.c.about,
    standing_evidence.c.version,
    standing_evidence.c.window_to_us,
    standing_evidence.c.digest,
).where(standing_evidence.c.agent == bindparam("agent"))

_ALL_OF_ONE_KIND = select(evidence.c.digest, evidence.c.document).where(
    _MINE, _UNTIL, evidence.c.kind == ALWAYS
)

_OLDER = (
    select(evidence.c.digest, evidence.c.document)
    .where(
        _MINE,
        _UNTIL,
        evidence.c.about == bindparam("about"),
        evidence.c.window_to_us < bindparam("before_us"),
    )
    .order_by(evidence.c.window_to_us.desc(), evidence.c.recorded_us.desc(), evidence.c.digest.desc())
    .limit(PAGE)
    .offset(bindparam("start"))
)
