# SPDX-License-Identifier: Apache-2.0
"""Find kinds of input that an earlier analysis never saw (known words + inputs now -> new kinds)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.core.evidence.input_kinds import belongs, travelling_words

__all__ = ["HARM_SHARE", "LABELS_MIN", "NOTICED_SHARE", "NewKind", "SeenWords", "find_new_kinds", "see_words"]

SEEN_MIN = 3
"""Inputs that must have held a word before it counts as seen; one odd input does not make a kind known."""

NOTICED_SHARE = 0.02
"""Share of a week above which a new kind is a warning."""

HARM_SHARE = 0.05
"""Share of a week above which a new kind without labels breaches: the agent works on what nobody tested."""

LABELS_MIN = 3
"""Labelled cases from which a kind of input counts as tested."""

NAMED_BY = 4
_MARK_BYTES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWords:
    """The words known from an analysis, as hashes only.

    Attributes:
        inputs: Inputs it saw.
        marks: Marks of the words that `SEEN_MIN` or more of them held.
    """

    inputs: int
    marks: frozenset[str]

    def knows(self, word: str) -> bool:
        """Whether the word was seen."""
        return _mark(word) in self.marks


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKind:
    """Inputs that share co-occurring new words.

    Attributes:
        words: Its words, most frequent first.
        inputs: Positions of its inputs, ascending.
        share: Its inputs among all of the week.
    """

    words: tuple[str, ...]
    inputs: tuple[int, ...]
    share: float

    @property
    def name(self) -> str:
        """The kind in words.

        Example:
            >>> NewKind(words=("chargeback", "dispute"), inputs=(0,), share=1.0).name
            'chargeback, dispute'
        """
        return ", ".join(self.words[:NAMED_BY])

    def takes(self, words: frozenset[str]) -> bool:
        """Return whether an input with these words is of this kind."""
        return belongs(words, frozenset(self.words))


def see_words(inputs: Sequence[frozenset[str]]) -> SeenWords:
    """Remember the words of inputs.

    Example:
        >>> seen = see_words([frozenset({"pay", "invoice"})] * 3 + [frozenset({"recall"})])
        >>> seen.knows("invoice"), seen.knows("recall")
        (True, False)
    """
    count = Counter(word for words in inputs for word in words)
    marks = frozenset(_mark(word) for word, held in count.items() if held >= SEEN_MIN)
    return SeenWords(inputs=len(inputs), marks=marks)


def find_new_kinds(seen: SeenWords, inputs: Sequence[frozenset[str]]) -> tuple[NewKind, ...]:
    """Return the kinds of a week that hold more than `NOTICED_SHARE` of it and were not seen before, largest first.

    A kind is a group of unseen words that travel together beyond chance; a new month, a new supplier's number or any
    other single new word makes none.

    Args:
        seen: What the earlier analysis saw.
        inputs: Words of each input of the week.

    Example:
        >>> before = [frozenset({"pay", "invoice"})] * 200
        >>> now = before[:90] + [frozenset({"chargeback", "dispute", "card"})] * 10
        >>> [(kind.name, kind.share) for kind in find_new_kinds(see_words(before), now)]
        [('card, chargeback, dispute', 0.1)]
    """
    if not inputs:
        return ()
    unknown = {word for words in inputs for word in words if not seen.knows(word)}
    count = Counter(word for words in inputs for word in words & unknown)
    found = []
    for group in travelling_words([words & unknown for words in inputs]):
        ranked = tuple(sorted(group, key=lambda word: (-count[word], word)))
        mine = tuple(at for at, words in enumerate(inputs) if belongs(words, group))
        share = len(mine) / len(inputs)
        if share > NOTICED_SHARE:
            found.append(NewKind(words=ranked, inputs=mine, share=share))
    return tuple(sorted(found, key=lambda kind: (-kind.share, kind.words)))


def _mark(word: str) -> str:
    """Return five bytes of a hash: two of ten thousand words share one once in twenty thousand analyses."""
    return hashlib.sha256(word.encode()).digest()[:_MARK_BYTES].hex()
