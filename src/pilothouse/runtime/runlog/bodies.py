# SPDX-License-Identifier: Apache-2.0
"""Redacts and addresses content, and finds the pieces of a run that are new, however often they are sent again."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pilothouse.runtime.runlog.coding import BodyReference
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.segments import cut
from pilothouse.runtime.runlog.vault import ContentKey, addresses_in

__all__ = ["BodyShelf"]

RUNS_CACHED_MAX = 1_024
"""Runs whose pieces are remembered while they go on; a forgotten one looks its addresses up."""

BASES_MAX = 8
"""Bodies of a run that the next one may begin like: sub-agents each have their own conversation."""

CLEAN_MAX = 16_384
"""Digests of pieces without a secret, of all runs, 100 bytes each; one that was forgotten is looked at again."""


@dataclass(slots=True)
class _Known:
    """What is remembered of the bodies of a run that goes on."""

    key: ContentKey
    """With another one, after an erasure, nothing of it is of use."""
    stored: set[bytes]
    """Addresses of the pieces that are there."""
    pieces: dict[bytes, tuple[bytes, bytes | None]] = field(default_factory=dict)
    """Digest of a piece as it came → its address, and what is kept of it where a secret was in it."""
    recent: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    """Addresses of the last bodies, by number."""


class BodyShelf:
    """Turns content into references, and collects the pieces that are not there yet.

    Args:
        connection: The file; pieces of a run that was forgotten are looked up there.
        redaction: Replaces secrets.
    """

    def __init__(self, connection: sqlite3.Connection, redaction: Redaction) -> None:
        self._connection = connection
        self._redaction = redaction
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._clean: OrderedDict[bytes, None] = OrderedDict()
        self._cuts: dict[bytes, list[tuple[bytes, bytes]]] = {}
        self._are_clean = False
        """Whether no secret can be in anything that was looked at."""

    def look(self, contents: Iterable[bytes]) -> None:
        """Look for secrets in what a whole group brings, all at once; with one in it, `store` looks at each by itself.

        Args:
            contents: What `store` will be given next.
        """
        self._cuts = {content: _cuts(content) for content in contents}
        self._are_clean = self._find_clean([one for cuts in self._cuts.values() for one in cuts])

    def forget(self) -> None:
        """Remember nothing: what was collected did not come to the disk."""
        self._known.clear()
        self.let_go()

    def let_go(self) -> None:
        """Hold the contents of a group no longer than it is written."""
        self._cuts.clear()

    def store(
        self,
        run: int,
        number: int,
        key: ContentKey,
        content: bytes,
        new: dict[bytes, bytes],
    ) -> BodyReference:
        """Return where content is.

        Args:
            run: Number of the run.
            number: Number of this body in it, from 1.
            key: Addresses and seals.
            content: As it came.
            new: Gets the pieces that must be written, by address.
        """
        known = self._of(run, key, is_new=number == 1)
        cuts = self._cuts.get(content)
        looked = self._are_clean and cuts is not None
        if cuts is None:
            cuts = _cuts(content)
        if not looked:
            self._find_clean([(raw, piece) for raw, piece in cuts if raw not in known.pieces])
        addresses: list[bytes] = []
        is_clean = True
        for raw, piece in cuts:
            found = known.pieces.get(raw)
            if found is None:
                clean = piece if looked or raw in self._clean else self._redaction.apply(piece)
                address = key.address(clean)
                found = known.pieces[raw] = (address, None if clean == piece else clean)
                if address not in known.stored:
                    known.stored.add(address)
                    new[address] = clean
            is_clean = is_clean and found[1] is None
            addresses.append(found[0])
        joined = content if is_clean else b"".join(known.pieces[raw][1] or piece for raw, piece in cuts)
        # What comes in one piece is called as that piece is.
        digest = addresses[0] if len(addresses) == 1 else key.address(joined)
        base, keep = _longest_beginning(known.recent, addresses) if known.recent else (None, 0)
        known.recent[number] = tuple(addresses)
        if len(known.recent) > BASES_MAX:
            del known.recent[next(iter(known.recent))]
        return BodyReference(base, keep, tuple(addresses[keep:]), number, digest, len(joined))

    def _find_clean(self, new: list[tuple[bytes, bytes]]) -> bool:
        """Look at all new pieces together, and remember those in which no secret can be: prompts are in every run.

        Returns:
            Whether that is true of all of them.
        """
        unseen = [(raw, piece) for raw, piece in new if raw not in self._clean]
        if not unseen:
            return True
        if not self._redaction.is_clean(b"\n".join(piece for _, piece in unseen)):
            return False
        self._clean.update((raw, None) for raw, _ in unseen)
        while len(self._clean) > CLEAN_MAX:
            self._clean.popitem(last=False)
        return True

    def _of(self, run: int, key: ContentKey, *, is_new: bool) -> _Known:
        known = self._known.get(run)
        if known is not None and known.key is key and not is_new:
            self._known.move_to_end(run)
            return known
        stored: set[bytes] = set()
        if not is_new:
            for (joined,) in self._connection.execute("SELECT address FROM piece WHERE id = ?", (run,)):
                stored.update(addresses_in(joined))
        known = self._known[run] = _Known(key, stored)
        if len(self._known) > RUNS_CACHED_MAX:
            self._known.popitem(last=False)
        return known


def _cuts(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the pieces of content, each behind its digest."""
    return [(hashlib.blake2b(piece, digest_size=16).digest(), piece) for piece in cut(content)]


def _longest_beginning(
    recent: dict[int, tuple[bytes, ...]], addresses: list[bytes]
) -> tuple[int | None, int]:
    """Find the earlier body that shares the most pieces at the beginning."""
    best: int | None = None
    most = 0
    for number, earlier in reversed(recent.items()):
        shared = 0
        for mine, theirs in zip(addresses, earlier, strict=False):
            if mine != theirs:
                break
            shared += 1
        if shared > most:
            best, most = number, shared
    return best, most
