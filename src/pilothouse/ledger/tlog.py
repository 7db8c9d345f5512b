# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962 over SHA-256: roots, proofs of inclusion and of consistency. Pure.

A leaf is `H(0x00 ‖ record)` and a node `H(0x01 ‖ left ‖ right)`, so no record can pass for a node. There
is no padding: a tree of n leaves splits at the largest power of two below n (RFC 6962, section 2.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["EMPTY_ROOT", "Tree", "leaf_hash"]

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of a tree without leaves (RFC 6962, section 2.1)."""


def leaf_hash(record: bytes) -> bytes:
    """Return the hash of a leaf.

    Example:
        >>> leaf_hash(b"").hex()[:16]
        '6e340b9cffb37a98'
    """
    return hashlib.sha256(b"\x00" + record).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that only grows; keeps every complete node, so that a proof is read and not computed.

    Args:
        leaves: Hashes of the first leaves.

    Example:
        >>> tree = Tree([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")])
        >>> (left,) = tree.inclusion(2, 3)
        >>> _node_hash(left, leaf_hash(b"c")) == tree.root()
        True
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add the hash of one more leaf."""
        level, node = 0, leaf
        while True:
            row = self._levels[level]
            row.append(node)
            if len(row) % 2:
                return
            node, level = _node_hash(row[-2], row[-1]), level + 1
            if level == len(self._levels):
                self._levels.append([])

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves, all of them by default."""
        size = self._checked(len(self) if size is None else size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that leaf `index` is in the tree over the first `size` leaves (section 2.1.1)."""
        if not 0 <= index < self._checked(size):
            raise ValueError(f"leaf {index} is not among the first {size}")
        return tuple(self._path(index, 0, size))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new` leaves extends that of `old` (section 2.1.2)."""
        if not 0 <= old <= self._checked(new):
            raise ValueError(f"{old} leaves are not the beginning of {new}")
        return () if old in (0, new) else tuple(self._subproof(old, 0, new, complete=True))

    def _checked(self, size: int) -> int:
        if not 0 <= size <= len(self):
            raise ValueError(f"the tree has {len(self)} leaves, not {size}")
        return size

    def _range(self, start: int, end: int) -> bytes:
        """Return the hash over leaves start..end; a complete subtree stands in its level."""
        width = end - start
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return self._levels[level][start >> level]
        split = _split(width)
        return _node_hash(self._range(start, start + split), self._range(start + split, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._range(middle, end)]
        return [*self._path(index, middle, end), self._range(start, middle)]

    def _subproof(self, old: int, start: int, end: int, *, complete: bool) -> list[bytes]:
        """Prove that leaves start..old begin start..end; the verifier knows a complete old tree already."""
        if old == end:
            return [] if complete else [self._range(start, end)]
        middle = start + _split(end - start)
        if old <= middle:
            return [*self._subproof(old, start, middle, complete=complete), self._range(middle, end)]
        return [*self._subproof(old, middle, end, complete=False), self._range(start, middle)]


def _split(width: int) -> int:
    """Return the largest power of two below a width of at least 2."""
    return 1 << ((width - 1).bit_length() - 1)
