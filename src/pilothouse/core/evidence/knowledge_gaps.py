# SPDX-License-Identifier: Apache-2.0
"""Find the terms that set failing inputs apart from others (inputs -> ranked gaps)."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["AskedInput", "Gap", "Gaps", "find_gaps", "terms_of"]

FAILURES_MIN = 3
"""Failures with a term below which it is one odd input, and could name one person."""

ERROR = 0.05
"""Chance of one false term among all that are looked at."""

GAPS_MAX = 50
"""Gaps of one audit: more than a quarter can close."""

TAIL_MIN = 1e-9
"""Share of a tail's sum below which its further terms change no decision."""

TOPIC_WORDS_MAX = 4
TRACES_MAX = 10
TOGETHER_MIN = 0.5
"""Share of a gap's failures in which a further term must stand to belong to its topic."""

TEXT_CHARS_MAX = 8_000
"""Characters of an input that are read: the previews of telemetry are shorter."""

_TOKEN = re.compile(r"[^\W_](?:[\w./-]*\w)?")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedInput:
    """One input and whether it failed.

    Attributes:
        trace_id: The task.
        task_type: Its type.
        text: What was asked.
        failed: Whether it went wrong, or was held because the agent was not sure.
    """

    trace_id: str
    task_type: str
    text: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A term with which the agent fails more often than without it.

    Attributes:
        term: The term; digits of codes are written `#`.
        topic: Other such terms that stand beside it in most of its failures.
        task_types: Task types of its failures, most first.
        tasks: Tasks with the term.
        failures: Failures among them.
        share: Its tasks among all tasks.
        excess: Failures beyond what the other tasks' rate explains; the rank.
        traces: Failed tasks, newest first as they were given.
        is_in_glossary: Whether the glossary explains it.
        examples: Few-shot examples that hold it.
        cases: Cases of datasets that hold it.
    """

    term: str
    topic: tuple[str, ...]
    task_types: tuple[str, ...]
    tasks: int
    failures: int
    share: float
    excess: float
    traces: tuple[str, ...]
    is_in_glossary: bool
    examples: int
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """The result of an audit.

    Attributes:
        tasks: Inputs looked at.
        failures: Failures among them.
        found: Gaps, worst first.
        unexplained: Failures that hold none of their terms.
    """

    tasks: int
    failures: int
    found: tuple[Gap, ...]
    unexplained: int


def terms_of(text: str) -> frozenset[str]:
    """Return the terms of a text: its words, pairs of neighbours, and codes by their shape.

    Args:
        text: Any text; the first 8,000 characters count.

    Example:
        >>> sorted(terms_of("Standing order SO-4711"))
        ['order', 'order so-#', 'so-#', 'standing', 'standing order']
    """
    words = [_DIGITS.sub("#", word.lower()) for word in _TOKEN.findall(text[:TEXT_CHARS_MAX])]
    kept = [word for word in words if len(word) > 1 and any(sign.isalpha() for sign in word)]
    return frozenset((*kept, *(f"{one} {other}" for one, other in itertools.pairwise(kept))))


def find_gaps(
    asked: Sequence[AskedInput],
    *,
    glossary: Iterable[str] = (),
    examples: Sequence[str] = (),
    cases: Sequence[str] = (),
) -> Gaps:
    """Cluster failures by the terms that set them apart, and compare each with known documents and examples.

    A term counts when its failure rate is above that of the tasks without it beyond chance, all terms together. Each
    failure belongs to one gap: that of the term which explains most of what is left.

    Args:
        asked: Inputs of a window, good and failed, newest first.
        glossary: Terms that are explained somewhere.
        examples: Inputs of the few-shot library.
        cases: Inputs of the datasets.

    Returns:
        Gaps, worst first; nothing where nothing failed.

    Source:
        Fisher's exact test of each term at Bonferroni's level (one error in twenty audits); greedy set cover.

    Example:
        >>> good = [AskedInput(trace_id=f"g{n}", task_type="t", text="pay the invoice of May", failed=False) for n in range(40)]
        >>> bad = [AskedInput(trace_id=f"b{n}", task_type="t", text="NTE of the invoice", failed=True) for n in range(9)]
        >>> find_gaps(good + bad).found[0].term
        'nte'
    """
    failed = {one.trace_id: one for one in asked if one.failed}
    holding: dict[str, set[str]] = defaultdict(set)
    count: Counter[str] = Counter()
    for one in {one.trace_id: one for one in asked}.values():
        for term in terms_of(one.text):
            count[term] += 1
            if one.failed:
                holding[term].add(one.trace_id)
    tasks = len({one.trace_id for one in asked})
    telling = _telling(holding, count, failures=len(failed), tasks=tasks)
    known = {term for text in glossary for term in terms_of(text)}
    beside = [terms_of(text) for text in examples]
    tested = [terms_of(text) for text in cases]
    left = set(failed)
    found: list[Gap] = []
    while len(found) < GAPS_MAX and (best := _best(telling, holding, left)) is not None:
        mine = holding[best] & left
        topic = _topic(best, mine, telling, holding)
        left -= holding[best]
        types = Counter(failed[one].task_type for one in mine)
        found.append(
            Gap(
                term=best,
                topic=topic,
                task_types=tuple(name for name, _ in types.most_common()),
                tasks=count[best],
                failures=len(holding[best]),
                share=count[best] / tasks,
                excess=telling[best],
                traces=tuple(one for one in failed if one in mine)[:TRACES_MAX],
                is_in_glossary=best in known,
                examples=sum(best in terms for terms in beside),
                cases=sum(best in terms for terms in tested),
            )
        )
    return Gaps(tasks=tasks, failures=len(failed), found=tuple(found), unexplained=len(left))


def _telling(
    holding: Mapping[str, set[str]], count: Mapping[str, int], *, failures: int, tasks: int
) -> dict[str, float]:
    """Return the terms that fail beyond chance, with their number of excess failures."""
    candidates = [term for term, with_it in count.items() if with_it >= FAILURES_MIN]
    found = {}
    for term in candidates:
        with_it, bad = count[term], len(holding.get(term, ()))
        beyond = bad - with_it * (failures - bad) / max(tasks - with_it, 1)
        if bad < FAILURES_MIN or bad * tasks <= with_it * failures:
            continue
        if _chance(bad, with_it, failures=failures, tasks=tasks) * len(candidates) <= ERROR:
            found[term] = beyond
    return found


def _chance(bad: int, with_it: int, *, failures: int, tasks: int) -> float:
    """Return the probability of at least so many failures with a term that is unrelated to them.

    Source:
        Fisher's exact test, one-sided: the tail of the hypergeometric distribution, summed by its recurrence.
    """
    first = math.exp(
        _log_choose(failures, bad)
        + _log_choose(tasks - failures, with_it - bad)
        - _log_choose(tasks, with_it)
    )
    total, term, number = first, first, bad
    while number < min(with_it, failures) and term > TAIL_MIN * total:
        term *= (failures - number) * (with_it - number)
        term /= (number + 1) * (tasks - failures - with_it + number + 1)
        number += 1
        total += term
    return total


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _best(telling: Mapping[str, float], holding: Mapping[str, set[str]], left: set[str]) -> str | None:
    """Return the term that explains most of the remaining failures; the shortest word among equals."""
    ranked = [
        (telling[term] * len(holding[term] & left) / len(holding[term]), -len(term), term)
        for term in telling
        if len(holding[term] & left) >= FAILURES_MIN
    ]
    return max(ranked)[2] if ranked else None


def _topic(
    term: str, mine: set[str], telling: Mapping[str, float], holding: Mapping[str, set[str]]
) -> tuple[str, ...]:
    shared = sorted(
        (-len(holding[other] & mine), other)
        for other in telling
        if " " not in other
        and other not in term.split()
        and len(holding[other] & mine) >= TOGETHER_MIN * len(mine)
    )
    return tuple(other for _, other in shared[:TOPIC_WORDS_MAX])
