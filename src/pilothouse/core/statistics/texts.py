# SPDX-License-Identifier: Apache-2.0
"""Test texts for drift: distance of mean hashed TF-IDF vectors, by permutation."""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilothouse.core.statistics.checks import (
    Floats,
    check_count,
    check_fraction,
    check_same_length,
    malformed,
)
from pilothouse.core.statistics.methods import MethodId, sentence_of_check
from pilothouse.core.statistics.permutation import PERMUTATIONS_MAX, permutation_p, permuted_memberships
from pilothouse.core.statistics.results import NotEnoughEvidence, TestResult

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["CHARACTERS_MAX", "COLUMNS", "TEXTS_MIN", "TextVectors", "text_drift", "text_vectors"]

TEXTS_MIN = 100
"""Texts on each side below which nothing is tested."""

CHARACTERS_MAX = 4_000
"""Characters of a text that are read: longer ones would drown the others, and cost time."""

COLUMNS = 65_536
"""Columns of the vectors: one half for words, one for letters inside words."""

_HALF = COLUMNS // 2

_CHUNK = 64
"""Permutations at a time: 64 rows of 65,536 columns are 32 MB."""

_WORD = re.compile(r"\w+")

_SAMPLE = 128
"""Reference texts among which likeness is measured."""

_NEAREST = 0.10
"""Share of the pairs, the nearest ones, whose likeness stands for that of texts on one new topic."""

_POWER_DEVIATIONS = 0.84
"""Standard deviations beyond the critical value at which a change is seen 8 times in 10."""


@dataclass(frozen=True, slots=True)
class TextVectors:
    """Vectors of two windows on one scale.

    Attributes:
        rows: Reference texts first, then current ones, each of length 1 or 0, shape (texts, columns).
        reference: Number of reference texts.
        cut: Texts that were longer than `CHARACTERS_MAX`.
        empty: Texts without any word.
    """

    rows: csr_array
    reference: int
    cut: int
    empty: int


def text_drift(
    reference: Sequence[str],
    current: Sequence[str],
    rng: np.random.Generator,
    permutations: int = 199,
    *,
    alpha: float = 0.05,
    conversations: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    vectors: tuple[Floats, Floats] | None = None,
) -> TestResult | NotEnoughEvidence:
    """Compare the texts of two windows; power comes from the number of texts, so run it on all of them.

    Args:
        reference: Texts of the baseline window, at least 100.
        current: Texts of the current window, at least 100.
        rng: Source of the permutations; seed it from the digest of the evidence.
        permutations: How many; the smallest p-value is 1 / (permutations + 1).
        alpha: Level, in (0, 0.5).
        conversations: Conversation of each text on both sides: whole ones are permuted.
        vectors: Embeddings to use in place of our own, shape (texts, any), on both sides.

    Returns:
        The test; its notes say what share of new texts it could have seen.

    Raises:
        MalformedRecord: Unequal lengths, or an argument outside its range.

    Source:
        Gretton, Borgwardt, Rasch, Scholkopf and Smola 2012, with a linear kernel on TF-IDF vectors.

    Example:
        >>> rng = np.random.Generator(np.random.PCG64(7))
        >>> old = [f"please pay invoice {i}" for i in range(150)]
        >>> new = [f"where is my parcel {i}" for i in range(150)]
        >>> text_drift(old, new, rng).rejected, text_drift(old, old, rng).p_value
        (True, 1.0)
    """
    alpha = check_fraction("alpha", alpha, 0.0, 0.5)
    permutations = check_count("permutations", permutations, least=19, most=PERMUTATIONS_MAX)
    few = min(len(reference), len(current))
    if few < TEXTS_MIN:
        return NotEnoughEvidence(
            reason=f"{few} texts on one side are too few",
            have=few, need=TEXTS_MIN, unit="texts",
            remedy=f"Wait for {TEXTS_MIN - few} more texts.",
        )  # fmt: skip
    groups = _groups(reference, current, conversations)
    notes: list[str] = []
    rows: csr_array | Floats
    if vectors is None:
        made = text_vectors(reference, current)
        rows = made.rows
        notes += [f"{made.cut} texts were cut at {CHARACTERS_MAX} characters"] * bool(made.cut)
        notes += [f"{made.empty} texts have no word: they count as a row of zeros"] * bool(made.empty)
    else:
        rows = _embeddings(vectors, len(reference), len(current))
    member = permuted_memberships(groups[0], groups[1], permutations, rng)
    weights = member / member.sum(axis=1, keepdims=True)
    weights -= (1 - member) / (1 - member).sum(axis=1, keepdims=True)
    statistics = _distances(rows, weights)
    p = permutation_p(statistics)
    if list(reference) == list(current) and vectors is None:
        notes.append("both windows hold the same texts")
    notes.append(_visible(statistics[1:], _likeness(rows, len(reference)), alpha))
    return TestResult(
        method=MethodId.TEXT_DRIFT,
        statistic=float(statistics[0]),
        p_value=p,
        alpha=alpha,
        rejected=p <= alpha,
        n=len(current),
        n_effective=float(len(set(groups[1])) if conversations else len(current)),
        effect=None,
        guarantee=sentence_of_check(MethodId.TEXT_DRIFT, alpha),
        notes=tuple(notes),
    )


def text_vectors(reference: Sequence[str], current: Sequence[str]) -> TextVectors:
    """Hash words and letters of each text into weighted vectors of length 1.

    Args:
        reference: Texts of the baseline window.
        current: Texts of the current window; both together give the weights of columns.

    Returns:
        Words and pairs of words in the first half of the columns, runs of 3 and 4 letters inside words
        in the second.

    Source:
        Weinberger, Dasgupta, Langford, Smola and Attenberg 2009 (hashing); Salton and Buckley 1988:
        (1 + ln tf) (ln((1 + N) / (1 + df)) + 1), over the texts of both windows.

    Example:
        >>> text_vectors(["pay the invoice"], ["pay", ""]).empty
        1
    """
    counts = _counts([*reference, *current])
    # Weights of both windows together: by the reference alone, its rare words would weigh less than those of new texts, and
    # an exchange of texts between windows, which is what a permutation is, would not leave the vectors as they are.
    df = np.bincount(counts.indices, minlength=COLUMNS)
    idf = np.log((1 + counts.shape[0]) / (1 + df)) + 1
    weighted = counts.copy()
    weighted.data = (1 + np.log(counts.data)) * idf[counts.indices]
    lengths = np.sqrt(np.add.reduceat(np.append(weighted.data**2, 0.0), counts.indptr[:-1]))
    lengths[np.diff(counts.indptr) == 0] = 1.0
    weighted.data /= np.repeat(lengths, np.diff(counts.indptr))
    return TextVectors(
        rows=weighted,
        reference=len(reference),
        cut=sum(len(text) > CHARACTERS_MAX for text in (*reference, *current)),
        empty=int((np.diff(counts.indptr) == 0).sum()),
    )


def _counts(texts: Sequence[str]) -> csr_array:
    """How often each column occurs in each text."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - importing scipy.sparse is slow; only this test needs it

    inside: dict[str, list[int]] = {}
    pairs: dict[tuple[str, str], int] = {}
    indices, data, ends = [], [], [0]
    for text in texts:
        words = _WORD.findall(text[:CHARACTERS_MAX].lower())
        hashed: list[int] = []
        for word in words:
            if word not in inside:
                inside[word] = _word_columns(word)
            hashed += inside[word]
        for pair in itertools.pairwise(words):
            if pair not in pairs:
                pairs[pair] = zlib.crc32(" ".join(pair).encode()) % _HALF
            hashed.append(pairs[pair])
        times = Counter(hashed)
        columns = sorted(times)
        indices.append(np.array(columns, dtype=np.int64))
        data.append(np.array([times[column] for column in columns], dtype=np.float64))
        ends.append(ends[-1] + len(columns))
    shape = (len(texts), COLUMNS)
    return csr_array((np.concatenate(data), np.concatenate(indices), np.array(ends)), shape=shape)


def _word_columns(word: str) -> list[int]:
    """Columns of a word itself and of its runs of 3 and 4 letters, padded by blanks."""
    padded = f" {word} "
    runs = [padded[i : i + size] for size in (3, 4) for i in range(len(padded) - size + 1)]
    return [zlib.crc32(word.encode()) % _HALF, *(_HALF + zlib.crc32(run.encode()) % _HALF for run in runs)]


def _distances(rows: csr_array | Floats, weights: Floats) -> Floats:
    """Squared distances of the two means, for each row of weights.

    Weights times rows costs one pass for each permutation; all pairs of texts would cost more from a
    few hundred words a text on.
    """
    columns = rows.T
    parts = []
    for start in range(0, len(weights), _CHUNK):
        gaps = columns @ weights[start : start + _CHUNK].T
        parts.append(np.einsum("ij,ij->j", gaps, gaps))
    return np.concatenate(parts)


def _likeness(rows: csr_array | Floats, reference: int) -> float:
    """How much more alike the nearest pairs are than all pairs, in an even sample of the reference."""
    sample = rows[:: max(reference // _SAMPLE, 1)][:_SAMPLE]
    product = sample @ sample.T
    gram: Floats = product if isinstance(product, np.ndarray) else product.toarray()
    pairs = gram[np.triu_indices(len(gram), 1)]
    near = int(_NEAREST * len(pairs))
    return float(np.partition(pairs, -near)[-near:].mean() - pairs.mean())


def _groups(
    reference: Sequence[str],
    current: Sequence[str],
    conversations: tuple[Sequence[Hashable], Sequence[Hashable]] | None,
) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    if conversations is None:
        return range(len(reference)), range(len(current))
    check_same_length(reference=reference, conversations=conversations[0])
    check_same_length(current=current, conversations=conversations[1])
    return conversations


def _embeddings(vectors: tuple[Floats, Floats], reference: int, current: int) -> Floats:
    left, right = (np.asarray(side, dtype=np.float64) for side in vectors)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise malformed("vectors", f"of shapes {left.shape} and {right.shape}", "two matrices of equal width")
    if (len(left), len(right)) != (reference, current):
        raise malformed("vectors", f"of {len(left)} and {len(right)} rows", f"{reference} and {current} rows")
    both = np.concatenate([left, right])
    bad = ~np.isfinite(both).all(axis=1)
    if bad.any():
        raise malformed("vectors", "not finite", "finite numbers", index=int(np.argmax(bad)))
    return both


def _visible(permuted: Floats, likeness: float, alpha: float) -> str:
    """What share of texts on one new topic would have been seen 8 times in 10."""
    critical = float(np.quantile(permuted, 1 - alpha) - permuted.mean())
    shift = critical + _POWER_DEVIATIONS * float(permuted.std())
    share = math.sqrt(shift / likeness) if likeness > 1e-9 else 1.0
    if share >= 1:
        return "so few texts show no change of topics at all"
    return (
        f"about {max(100 * share, 0.1):.0f} % of texts on one new topic would be seen 8 times in 10, "
        "if those resemble each other as near texts of the reference do"
    )
