# SPDX-License-Identifier: Apache-2.0
"""What makes a dataset misleading: duplicates, cases that are in two splits, leaks into the prompt."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from pilothouse.evals.case import Case, Split

__all__ = ["Finding", "FindingKind", "check_cases", "comparable_text", "copies_of", "near_pairs"]

SHINGLE_WORDS = 5
"""Words in a row that count as one feature; five rarely meet by chance."""

SIMILARITY_MIN = 0.9
"""Jaccard similarity from which two texts are the same case in other clothes."""

EMBEDDED_GRAMS_MIN = 8
"""Grams of a case from which it is looked for within longer texts: a dozen words; a shorter one may well be a phrase."""

PAIRS_MAX = 10_000
"""Pairs looked at; who has more has one text over and over, and is told that the rest was not looked at."""

WORD = re.compile(r"\w+")


class FindingKind(StrEnum):
    """What is wrong between two texts."""

    DUPLICATE = "duplicate"
    """The same input twice: it counts twice and weighs nothing."""
    SPLIT_LEAK = "split_leak"
    """Equal or nearly equal inputs in different splits: tuning on one teaches the other."""
    PROMPT_LEAK = "prompt_leak"
    """A case, or nearly, stands among the examples of the prompt: the answer was shown."""
    CANARY = "canary"
    """The dataset's canary stands in a text that the model sees."""
    NOT_ALL_SEEN = "not_all_seen"
    """So many inputs are nearly equal that the rest was not looked at: nothing is said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem between two cases or texts.

    Attributes:
        kind: What is wrong.
        first: Case id.
        second: The other case id or text.
        similarity: Jaccard similarity, 1 for equal inputs.
    """

    kind: FindingKind
    first: str
    second: str
    similarity: float


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the word 5-grams of a text; a shorter text is one gram of all its words.

    Example:
        >>> len(_shingles("one two three four five six"))
        2
    """
    words = WORD.findall(text.lower())
    if len(words) <= SHINGLE_WORDS:
        return frozenset({tuple(words)})
    return frozenset(tuple(words[at : at + SHINGLE_WORDS]) for at in range(len(words) - SHINGLE_WORDS + 1))


def near_pairs(
    texts: Sequence[str], *, similarity_min: float = SIMILARITY_MIN
) -> Iterable[tuple[int, int, float]]:
    """Find every pair of texts whose 5-grams overlap that much; exact, without comparing all pairs.

    Two sets with Jaccard similarity s or more share a gram among the rarest |set| - ceil(s·|set|) + 1
    grams of each, so only sets that meet there are compared.

    Args:
        texts: Texts.
        similarity_min: Least Jaccard similarity, above 0.

    Yields:
        Index, larger index, similarity.

    Source:
        Prefix filtering: Bayardo, Ma and Srikant 2007, "Scaling up all pairs similarity search".

    Example:
        >>> list(near_pairs(["pay the invoice of May now", "Pay the invoice of May, now!", "else"]))
        [(0, 1, 1.0)]
    """
    sets = [_shingles(text) for text in texts]
    frequency = Counter(gram for one in sets for gram in one)
    meeting: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for here, one in enumerate(sets):
        rarest = sorted(one, key=lambda gram: (frequency[gram], gram))
        prefix = rarest[: len(one) - math.ceil(similarity_min * len(one)) + 1]
        earlier = {other for gram in prefix for other in meeting[gram]}
        for gram in prefix:
            meeting[gram].append(here)
        for other in sorted(earlier):
            similarity = len(one & sets[other]) / len(one | sets[other])
            if similarity >= similarity_min:
                yield other, here, similarity


def copies_of(texts: Sequence[Hashable]) -> dict[int, int]:
    """Return where a text stood before, by the place of each that repeats one: equal texts need no comparison pair by pair.

    Args:
        texts: Texts, or what makes them equal.

    Example:
        >>> copies_of(["a", "b", "a", "a"])
        {2: 0, 3: 0}
    """
    first: dict[Hashable, int] = {}
    return {place: first[text] for place, text in enumerate(texts) if first.setdefault(text, place) != place}


def check_cases(
    cases: Sequence[Case], *, shown_to_model: Sequence[tuple[str, str]] = (), canary: str = ""
) -> tuple[Finding, ...]:
    """Find duplicates, leaks between splits and leaks into what the model sees.

    Args:
        cases: Cases of all splits.
        shown_to_model: Name and text of each prompt and few-shot example.
        canary: Text that must occur in none of them; empty checks nothing.

    Returns:
        Findings: copies first, then what is nearly alike, each in case order.
    """
    # Copies of an input in one split stand for each other: each of them with each other would hide what follows.
    copies: dict[tuple[str, Split], list[Case]] = defaultdict(list)
    for case in cases:
        copies[case.input_hash, case.split].append(case)
    findings = [
        Finding(kind=FindingKind.DUPLICATE, first=first.id, second=one.id, similarity=1.0)
        for first, *others in copies.values()
        for one in others
    ]
    groups = list(copies.values())
    kept = [group[0] for group in groups]
    texts = [comparable_text(case.input) for case in kept] + [text for _, text in shown_to_model]
    names = [case.id for case in kept] + [name for name, _ in shown_to_model]
    for number, (first, second, similarity) in enumerate(islice(near_pairs(texts), PAIRS_MAX + 1)):
        if first >= len(kept):
            continue  # two prompts may well be alike
        kind: FindingKind | None = None
        if number == PAIRS_MAX:
            kind = FindingKind.NOT_ALL_SEEN
        elif second >= len(kept):
            kind = FindingKind.PROMPT_LEAK
        elif kept[first].split is not kept[second].split:
            kind = FindingKind.SPLIT_LEAK
        if kind is not None:
            findings += [
                Finding(kind=kind, first=one.id, second=names[second], similarity=similarity)
                for one in groups[first]
            ]
    told = {(one.first, one.second) for one in findings if one.kind is FindingKind.PROMPT_LEAK}
    findings += [one for one in _embedded(cases, shown_to_model) if (one.first, one.second) not in told]
    if canary:
        findings += [
            Finding(kind=FindingKind.CANARY, first="canary", second=name, similarity=1.0)
            for name, text in shown_to_model
            if canary in text
        ]
    return tuple(findings)


def _embedded(cases: Sequence[Case], shown_to_model: Sequence[tuple[str, str]]) -> Iterable[Finding]:
    """Find cases that stand, or nearly, within a longer text that the model sees: a prompt with a case pasted into it."""
    shown = [_shingles(text) for _, text in shown_to_model]
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, grams in enumerate(shown):
        for gram in grams:
            places[gram].append(number)
    for case in cases:
        own = _shingles(comparable_text(case.input))
        if len(own) < EMBEDDED_GRAMS_MIN:
            continue
        # Of so many grams at least one stands in whatever holds nine of ten.
        few = islice(sorted(own), len(own) - math.ceil(SIMILARITY_MIN * len(own)) + 1)
        for number in sorted({place for gram in few for place in places.get(gram, ())}):
            share = len(own & shown[number]) / len(own)
            if share >= SIMILARITY_MIN:
                name = shown_to_model[number][0]
                yield Finding(kind=FindingKind.PROMPT_LEAK, first=case.id, second=name, similarity=share)


def comparable_text(value: Any) -> str:
    """Return the words of an input: all its strings and numbers, whatever the order of its keys.

    Args:
        value: Any JSON value; a text that is JSON counts as what it says.

    Example:
        >>> comparable_text('{"b": 1, "a": 2}') == comparable_text({"a": 2, "b": 1})
        True
    """
    said: Any = value
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        with suppress(ValueError, RecursionError):
            said = json.loads(value)
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, sort_keys=True)
