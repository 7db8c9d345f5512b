# SPDX-License-Identifier: Apache-2.0
"""Cluster inputs into kinds by the words that they share (texts -> kinds, rare ones included)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilothouse.core.evidence.knowledge_gaps import terms_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "KINDS_MAX",
    "KIND_MIN",
    "InputKind",
    "InputKinds",
    "belongs",
    "find_kinds",
    "travelling_words",
    "words_of",
]

KIND_MIN = 5
"""Inputs of the smallest kind: fewer could share their words by chance, and name one person."""

KINDS_MAX = 60
"""Kinds that are told apart; traffic with more is not the input of one narrow function."""

TOGETHER_MIN = 0.3
"""Correlation from which two words travel together; length of texts alone correlates words less than that."""

SURPRISE_MIN = 30.0
"""Least chi-square of two words: chance reaches it once in 25 million pairs, and a look compares a million."""

COMPANIONS_MIN = 2
"""Words that must travel with a word before it tells a kind apart; a name of two words has one."""

WORDS_PER_INPUT = 2
"""Words of a group that an input must hold to belong to it: one may stand there by chance, and nobody writes all."""

WORDS_TRIED = 10
"""Words by which a division is tried, strongest first, before inputs count as one kind."""

NAMED_BY = 4
"""Words that name a kind."""

TYPICAL_MIN = 0.5
"""Share of a kind's inputs that hold a word that names it."""

TELLING_FACTOR = 1.25
"""How much more frequent such a word is in the kind than everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputKind:
    """One kind of input.

    Attributes:
        words: What sets it apart, most telling first; empty for the rest.
        holds: Groups of words to which each of its inputs belongs.
        lacks: Groups to which none of them does, because inputs that do are of another kind.
        inputs: Positions of its inputs, ascending.
        share: Its inputs among all.
    """

    words: tuple[str, ...]
    holds: tuple[frozenset[str], ...]
    lacks: tuple[frozenset[str], ...]
    inputs: tuple[int, ...]
    share: float

    @property
    def name(self) -> str:
        """The kind in words.

        Example:
            >>> InputKind(words=("credit", "note"), holds=(), lacks=(), inputs=(1,), share=1.0).name
            'credit, note'
        """
        return ", ".join(self.words) or "everything else"

    def takes(self, words: frozenset[str]) -> bool:
        """Return whether an input with these words is of this kind."""
        return all(belongs(words, group) for group in self.holds) and not any(
            belongs(words, group) for group in self.lacks
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InputKinds:
    """What an analysis found: every input is of exactly one kind.

    Attributes:
        n: Inputs.
        kinds: Kinds, largest first.
    """

    n: int
    kinds: tuple[InputKind, ...]

    def place(self, words: frozenset[str]) -> int:
        """Return the position of an input's kind; there is always exactly one."""
        return next(at for at, kind in enumerate(self.kinds) if kind.takes(words))


def words_of(text: str) -> frozenset[str]:
    """Tokenize a text; codes become their shape.

    Args:
        text: Any text; the first 8,000 characters count.

    Example:
        >>> sorted(words_of("Credit note CN-4711"))
        ['cn-#', 'credit', 'note']
    """
    return frozenset(term for term in terms_of(text) if " " not in term)


def belongs(words: frozenset[str], group: frozenset[str]) -> bool:
    """Return whether an input belongs to a group of co-occurring words.

    Example:
        >>> belongs(frozenset({"product", "recall"}), frozenset({"batch", "product", "recall"}))
        True
    """
    return len(words & group) >= WORDS_PER_INPUT


def find_kinds(inputs: Sequence[frozenset[str]]) -> InputKinds:
    """Divide inputs recursively by words, as long as some words co-occur beyond chance.

    Each step takes the word with which most others travel, weighed by how surprising that is, and parts the inputs
    that hold two of these words from those that do not. The result depends on the inputs alone: no seed, no number of
    kinds.

    Args:
        inputs: Words of each input, n >= 1.

    Returns:
        Kinds of at least `KIND_MIN` inputs each, at most `KINDS_MAX`.

    Source:
        Association analysis: Williams and Lambert 1959, Journal of Ecology 47, with chi-square summed over positive
        associations of at least `TOGETHER_MIN`, and a group of words in place of one.

    Example:
        >>> invoices = [words_of(f"invoice {n} with order") for n in range(40)]
        >>> recalls = [words_of("urgent product recall of batch") for n in range(6)]
        >>> [(kind.name, len(kind.inputs)) for kind in find_kinds(invoices + recalls).kinds]
        [('everything else', 40), ('batch, of, product, recall', 6)]
    """
    vocabulary, table = _table(inputs)
    leaves: dict[_Path, np.ndarray] = {(): np.arange(len(inputs))}
    waiting = _division((), leaves[()], table)
    while waiting and len(leaves) < KINDS_MAX:
        _, path, group, member_of = heapq.heappop(waiting)
        members = leaves.pop(path)
        for has in (True, False):
            here, part = (*path, (group, has)), members[member_of == has]
            leaves[here] = part
            for found in _division(here, part, table):
                heapq.heappush(waiting, found)
    kinds = [_kind(path, members, table, vocabulary) for path, members in leaves.items()]
    return InputKinds(n=len(inputs), kinds=tuple(sorted(kinds, key=lambda one: (-len(one.inputs), one.name))))


def travelling_words(inputs: Sequence[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """Return groups of words that co-occur beyond chance: at least `COMPANIONS_MIN` with one another.

    Args:
        inputs: Words of each input, n >= 1; only words worth grouping.

    Returns:
        Groups without a common word, the one with the first word in the alphabet first.

    Example:
        >>> texts = [words_of("product recall batch")] * 6 + [words_of("monday")] * 30
        >>> [sorted(group) for group in travelling_words(texts)]
        [['batch', 'product', 'recall']]
    """
    vocabulary, table = _table(inputs)
    first, second, _ = _associations(table)
    beside: dict[int, set[int]] = {}
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        beside.setdefault(one, set()).add(other)
    groups: list[frozenset[str]] = []
    seen: set[int] = set()
    for start in sorted(beside):
        if start in seen:
            continue
        group, left = {start}, [start]
        while left:
            fresh = beside[left.pop()] - group
            group |= fresh
            left += sorted(fresh)
        seen |= group
        if len(group) > COMPANIONS_MIN:
            groups.append(frozenset(vocabulary[at] for at in group))
    return tuple(groups)


def _table(inputs: Sequence[frozenset[str]]) -> tuple[list[str], csr_array]:
    """Return the words in alphabetical order, and which input holds which."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - scipy is slow to import, and few commands need it

    vocabulary = sorted({word for words in inputs for word in words})
    column = {word: at for at, word in enumerate(vocabulary)}
    columns = [sorted(column[word] for word in words) for words in inputs]
    indices = np.array([at for held in columns for at in held], dtype=np.int64)
    starts = np.cumsum([0, *(len(held) for held in columns)])
    shape = (len(inputs), len(vocabulary))
    return vocabulary, csr_array((np.ones(len(indices), dtype=np.int64), indices, starts), shape=shape)


def _associations(table: csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of co-occurring columns, each in both directions, with their chi-square."""
    n = table.shape[0]
    held = np.asarray(table.sum(axis=0)).ravel()
    telling = np.flatnonzero((held >= KIND_MIN) & (held <= n - KIND_MIN))
    both = (table[:, telling].T @ table[:, telling]).tocoo()
    first, second, together = telling[both.row], telling[both.col], both.data.astype(np.float64)
    kept = (first != second) & (together >= KIND_MIN)
    first, second, together = first[kept], second[kept], together[kept]
    one, other = held[first].astype(np.float64), held[second].astype(np.float64)
    correlation = (n * together - one * other) / np.sqrt(one * other * (n - one) * (n - other))
    surprise = n * correlation**2
    sure = (correlation >= TOGETHER_MIN) & (surprise >= SURPRISE_MIN)
    return first[sure], second[sure], surprise[sure]


_Path = tuple[tuple[tuple[int, ...], bool], ...]
"""How a leaf was reached: groups of columns, and whether its inputs belong to each."""

_Division = tuple[float, _Path, tuple[int, ...], np.ndarray]


def _division(path: _Path, members: np.ndarray, table: csr_array) -> list[_Division]:
    """Return the best division of the inputs of a leaf, strongest association first in a heap; empty where words tell nothing."""
    if len(members) < 2 * KIND_MIN:
        return []
    here = table[members]
    first, second, surprise = _associations(here)
    width = table.shape[1]
    companions = np.bincount(first, minlength=width)
    pull = np.bincount(first, weights=surprise, minlength=width) * (companions >= COMPANIONS_MIN)
    for word in np.argsort(-pull, kind="stable")[:WORDS_TRIED].tolist():
        if pull[word] == 0:
            break
        group = tuple(sorted({word, *second[first == word].tolist()}))
        member_of = np.asarray(here[:, list(group)].sum(axis=1)).ravel() >= WORDS_PER_INPUT
        if KIND_MIN <= member_of.sum() <= len(members) - KIND_MIN:
            return [(-float(pull[word]), path, group, member_of)]
    return []


def _kind(path: _Path, members: np.ndarray, table: csr_array, vocabulary: Sequence[str]) -> InputKind:
    groups = [(frozenset(vocabulary[at] for at in group), has) for group, has in path]
    return InputKind(
        words=_name(members, table, vocabulary),
        holds=tuple(group for group, has in groups if has),
        lacks=tuple(group for group, has in groups if not has),
        inputs=tuple(members.tolist()),
        share=len(members) / table.shape[0],
    )


def _name(members: np.ndarray, table: csr_array, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """Return what most inputs of a kind hold and others do not."""
    inside = np.asarray(table[members].sum(axis=0)).ravel() / len(members)
    everywhere = np.asarray(table.sum(axis=0)).ravel() / table.shape[0]
    telling = np.flatnonzero((inside >= TYPICAL_MIN) & (inside > TELLING_FACTOR * everywhere)).tolist()
    telling.sort(key=lambda at: (everywhere[at] - inside[at], at))
    return tuple(vocabulary[at] for at in telling[:NAMED_BY])
