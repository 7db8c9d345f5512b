# SPDX-License-Identifier: Apache-2.0
"""The root of an RFC 6962 tree, one leaf at a time; written from the RFC and not from the product's code."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

__all__ = ["GrowingRoot", "consistency_roots", "inclusion_root"]


class GrowingRoot:
    """Keeps the roots of the complete subtrees of what was added; memory grows with the logarithm of the leaves.

    Example:
        >>> growing = GrowingRoot()
        >>> growing.add(b"")
        >>> growing.root().hex()[:16]
        '6e340b9cffb37a98'
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, record: bytes) -> None:
        """Add the exact bytes of the next record."""
        height, node = 0, sha256(b"\x00" + record).digest()
        while self._peaks and self._peaks[-1][0] == height:
            node = sha256(b"\x01" + self._peaks.pop()[1] + node).digest()
            height += 1
        self._peaks.append((height, node))
        self.size += 1

    def root(self) -> bytes:
        """Return the root over everything that was added."""
        if not self._peaks:
            return sha256(b"").digest()
        node = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            node = sha256(b"\x01" + peak + node).digest()
        return node


def inclusion_root(record: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """Return the root that an inclusion proof leads to, from the definition of PATH in RFC 6962, section 2.1.1.

    Args:
        record: Exact bytes of the record.
        index: Its number.
        size: Leaves of the tree.
        path: Nodes of the proof, from the leaf up.

    Returns:
        The root, or None when the proof has the wrong length.
    """
    if not 0 <= index < size:
        return None
    turns: list[bool] = []
    low, high = 0, size
    while high - low > 1:
        half = 1
        while half * 2 < high - low:
            half *= 2
        is_left = index < low + half
        turns.append(is_left)
        low, high = (low, low + half) if is_left else (low + half, high)
    if len(turns) != len(path):
        return None
    node = sha256(b"\x00" + record).digest()
    for is_left, sibling in zip(reversed(turns), path, strict=True):
        node = (
            sha256(b"\x01" + node + sibling).digest()
            if is_left
            else sha256(b"\x01" + sibling + node).digest()
        )
    return node


def consistency_roots(old: int, new: int, old_root: bytes, path: list[bytes]) -> tuple[bytes, bytes] | None:
    """Return the two roots that a consistency proof leads to, from the definition of PROOF in RFC 6962, section 2.1.2.

    Args:
        old: Leaves of the earlier tree, at least 1: every log extends the empty one.
        new: Leaves of the later tree.
        old_root: Root of the earlier tree, which a proof about a complete one does not repeat.
        path: Nodes of the proof, deepest first.

    Returns:
        The roots of the earlier and of the later tree; only when both are the signed ones does one extend the other. None
        when the proof has the wrong length.
    """
    if not 0 < old <= new:
        return None
    nodes = iter(path)
    try:
        roots = _subproof(old, new, old_root, nodes)
    except StopIteration:
        return None
    return roots if next(nodes, None) is None else None


def _subproof(old: int, new: int, known: bytes | None, nodes: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Return both hashes of one subtree; `known` is that of the earlier tree as long as the subtree begins with it."""
    if old == new:
        node = next(nodes) if known is None else known
        return node, node
    half = 1
    while half * 2 < new:
        half *= 2
    if old <= half:
        before, after = _subproof(old, half, known, nodes)
        return before, sha256(b"\x01" + after + next(nodes)).digest()
    before, after = _subproof(old - half, new - half, None, nodes)
    left = next(nodes)
    return sha256(b"\x01" + left + before).digest(), sha256(b"\x01" + left + after).digest()
