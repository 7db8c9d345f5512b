# SPDX-License-Identifier: Apache-2.0
"""Intervals and one-sided bounds of rates, and how many cases would prove a bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import scipy

from pilothouse.core.statistics.checks import check_count, check_fraction
from pilothouse.core.statistics.methods import MethodId, sentence_at
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence

__all__ = [
    "CASES_MAX",
    "anytime_interval",
    "cases_to_exclude_failures",
    "cases_to_prove_ceiling",
    "cases_to_prove_floor",
    "failure_ceiling",
    "failure_upper_bound",
    "jeffreys_bounds",
    "jeffreys_interval",
    "jeffreys_lower",
    "jeffreys_upper",
    "log_evidence_against",
]

CASES_MAX = 10_000_000
"""Cases that we would ever ask for: a bound that needs more will not be proved."""

KEPT_MAX = 4_096
"""Intervals kept, about a megabyte: a verdict of an agent asks for some hundred different counts, each many times."""

_ROUNDING = 1e-9
"""A share of cases this near to a whole number is that number: 0.06 of 150 is nine."""

_BISECTIONS = 100
"""Halvings of [0, 1]: below the spacing of floats."""


def jeffreys_interval(good: int, n: int, level: float = 0.95) -> Estimate | NotEnoughEvidence:
    """Interval of a rate from independent cases, at one look.

    Chosen over the normal interval because it keeps its coverage near 0 and 1, where agents in
    production live.

    Args:
        good: Good cases, 0 <= good <= n.
        n: Cases; 0 gives `NotEnoughEvidence`.
        level: Two-sided confidence in (0, 1).

    Returns:
        Rate with its interval; low is exactly 0 when good = 0, high exactly 1 when good = n.

    Raises:
        MalformedRecord: A negative count, good > n, or a level outside (0, 1).

    Source:
        Brown, Cai and DasGupta 2001, section 3.1.3 and the modification of 4.1.2.

    Example:
        >>> i = jeffreys_interval(188, 200)
        >>> f"{i.low:.3f} {i.high:.3f}"
        '0.901 0.967'
    """
    good, n, level = _counts(good, n, level)
    if n == 0:
        return _no_cases()
    tail = (1 - level) / 2
    ends = (jeffreys_lower(good, n, 1 - tail), jeffreys_upper(good, n, 1 - tail))
    return _rate(good / n, ends, level, n, MethodId.JEFFREYS_INTERVAL)


def jeffreys_lower(good: int, n: int, level: float = 0.95) -> float:
    """One-sided lower bound of a rate: the true rate is at least this, with confidence `level`.

    Args:
        good: Good cases, 0 <= good <= n.
        n: Cases, at least 1. Nothing measured is no rate: the caller says `no_evidence`.
        level: One-sided confidence in (0, 1).

    Returns:
        Bound in [0, 1); 0 when good = 0.

    Raises:
        MalformedRecord: n < 1, a negative count, good > n, or a level outside (0, 1).

    Source:
        Brown, Cai and DasGupta 2001, section 3.1.3; Cai 2005 for the one-sided form.

    Example:
        >>> f"{jeffreys_lower(200, 200):.4f}"
        '0.9905'
    """
    good, n, level = _counts(good, n, level, least=1)
    return 0.0 if good == 0 else float(scipy.special.betaincinv(good + 0.5, n - good + 0.5, 1 - level))


def jeffreys_upper(good: int, n: int, level: float = 0.95) -> float:
    """One-sided upper bound of a rate: the true rate is at most this, with confidence `level`.

    Args:
        good: Good cases, 0 <= good <= n.
        n: Cases, at least 1. Nothing measured is no rate: the caller says `no_evidence`.
        level: One-sided confidence in (0, 1).

    Returns:
        Bound in (0, 1]; 1 when good = n.

    Raises:
        MalformedRecord: n < 1, a negative count, good > n, or a level outside (0, 1).

    Source:
        Brown, Cai and DasGupta 2001, section 3.1.3; Cai 2005 for the one-sided form.

    Example:
        >>> f"{jeffreys_upper(0, 200):.4f}"
        '0.0095'
    """
    good, n, level = _counts(good, n, level, least=1)
    return 1.0 if good == n else float(scipy.special.betaincinv(good + 0.5, n - good + 0.5, level))


def jeffreys_bounds(good: float, n: int, level: float) -> tuple[float, float]:
    """Both one-sided bounds of a rate, each with confidence `level`, where clusters make a fraction of the good cases.

    Args:
        good: Good cases, 0 <= good <= n.
        n: Cases, at least 1.
        level: One-sided confidence in (0, 1).

    Example:
        >>> jeffreys_bounds(9.0, 10, 0.95) == (jeffreys_lower(9, 10), jeffreys_upper(9, 10))
        True
    """
    ends = scipy.special.betaincinv(good + 0.5, n - good + 0.5, [1 - level, level])
    return 0.0 if good == 0 else float(ends[0]), 1.0 if good == n else float(ends[1])


def failure_upper_bound(failures: int, n: int, level: float = 0.95) -> Estimate | NotEnoughEvidence:
    """Exact one-sided upper bound of a failure rate; what "0 failures in 50" supports.

    Args:
        failures: Failed cases, 0 <= failures <= n.
        n: Cases; 0 gives `NotEnoughEvidence`.
        level: One-sided confidence in (0, 1).

    Returns:
        Failure rate with low = 0 and high = the bound.

    Raises:
        MalformedRecord: A negative count, failures > n, or a level outside (0, 1).

    Source:
        Clopper and Pearson 1934, upper limit.

    Example:
        >>> [f"{failure_upper_bound(0, n).high:.4f}" for n in (50, 100, 200, 300)]
        ['0.0582', '0.0295', '0.0149', '0.0099']
    """
    failures, n, level = _counts(failures, n, level)
    if n == 0:
        return _no_cases()
    bound = 1.0 if failures == n else float(scipy.special.betaincinv(failures + 1, n - failures, level))
    return _rate(failures / n, (0.0, bound), level, n, MethodId.FAILURE_UPPER_BOUND)


def failure_ceiling(failures: int, n: int, level: float = 0.95) -> float:
    """Exact one-sided upper bound of a failure rate as a number: 1 where nothing was tried, which excludes nothing.

    Args:
        failures: Failed cases, 0 <= failures <= n.
        n: Cases.
        level: One-sided confidence in (0, 1).

    Raises:
        MalformedRecord: As `failure_upper_bound`.

    Source:
        Clopper and Pearson 1934, upper limit.

    Example:
        >>> f"{failure_ceiling(0, 59):.4f}", failure_ceiling(0, 0)
        ('0.0495', 1.0)
    """
    bound = failure_upper_bound(failures, n, level)
    return bound.high if isinstance(bound, Estimate) else 1.0


def anytime_interval(good: int, n: int, level: float = 0.95) -> Estimate | NotEnoughEvidence:
    """Interval of a rate that is valid at every look; 1.7 to 1.9 times as wide as at one look.

    Args:
        good: Good cases so far, 0 <= good <= n.
        n: Cases so far; 0 gives `NotEnoughEvidence`.
        level: Two-sided confidence in (0, 1), for all looks together.

    Raises:
        MalformedRecord: A negative count, good > n, or a level outside (0, 1).

    Source:
        Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021: Beta(1/2, 1/2) mixture and Ville's
        inequality.

    Example:
        >>> i = anytime_interval(188, 200)
        >>> f"{i.low:.3f} {i.high:.3f}"
        '0.865 0.981'
    """
    good, n, level = _counts(good, n, level)
    if n == 0:
        return _no_cases()
    return _rate(good / n, _anytime_ends(good, n, level), level, n, MethodId.ANYTIME_INTERVAL)


@lru_cache(maxsize=KEPT_MAX)
def _anytime_ends(good: int, n: int, level: float) -> tuple[float, float]:
    """Both ends by bisection; one verdict asks for the same counts at many places."""

    def inside(p: float) -> bool:
        return log_evidence_against(p, good, n) < -math.log(1 - level)

    low = 0.0 if good == 0 else _edge(inside, good / n, 0.0)
    high = 1.0 if good == n else _edge(inside, good / n, 1.0)
    return low, high


def log_evidence_against(rate: float, good: int, n: int) -> float:
    """Log of the e-value against a rate, which at no look exceeds log(1 / error) more often than that error when the rate is true.

    Args:
        rate: The rate, in [0, 1].
        good: Good cases so far, 0 <= good <= n.
        n: Cases so far.

    Source:
        As `anytime_interval`.

    Example:
        >>> f"{log_evidence_against(0.5, 51, 100):.1f} {log_evidence_against(0.5, 70, 100):.1f}"
        '-2.5 5.7'
    """
    bad = n - good
    mixture = scipy.special.betaln(0.5 + good, 0.5 + bad) - scipy.special.betaln(0.5, 0.5)
    likelihood = scipy.special.xlogy(good, rate) + scipy.special.xlog1py(bad, -rate)
    return float(mixture - likelihood)


def cases_to_prove_floor(floor: float, rate: float, level: float = 0.95, *, have: int = 0) -> int | None:
    """Cases still needed until the lower bound of a rate reaches a floor, if the rate stays as observed.

    A case is good or bad, so at so many cases the rate is the observed one with bad cases rounded up.

    Args:
        floor: Rate that must be proved, in (0, 1).
        rate: Observed rate, in [0, 1].
        level: One-sided confidence in (0, 1).
        have: Cases that were already measured at that rate.

    Returns:
        Further cases, 0 when the bound is there; None when it never will be (the rate does not lie
        above the floor, or more than `CASES_MAX` cases would be needed).

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Inversion of `jeffreys_lower` at good = rate n, rounded down.

    Example:
        >>> cases_to_prove_floor(0.95, 1.0), cases_to_prove_floor(0.90, 0.94, have=100)
        (38, 48)
        >>> cases_to_prove_floor(0.95, 0.95) is None
        True
    """
    floor = check_fraction("floor", floor)
    rate = check_fraction("rate", rate, closed=True)
    level = check_fraction("level", level)
    have = check_count("have", have)
    if rate <= floor:
        return None

    def proved(bad: float, n: int) -> bool:
        return bool(scipy.special.betaincinv(n - bad + 0.5, bad + 0.5, 1 - level) >= floor)

    return _first(proved, 1 - rate, have)


def cases_to_prove_ceiling(ceiling: float, rate: float, level: float = 0.95, *, have: int = 0) -> int | None:
    """Cases still needed until the upper bound of a rate falls to a ceiling, if the rate stays as observed.

    Args:
        ceiling: Rate that must not be exceeded, in (0, 1).
        rate: Observed rate, in [0, 1].
        level: One-sided confidence in (0, 1).
        have: Cases that were already measured at that rate.

    Returns:
        Further cases, 0 when the bound is there; None when it never will be.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Inversion of `jeffreys_upper` at good = rate n.

    Example:
        >>> cases_to_prove_ceiling(0.05, 0.0), cases_to_prove_ceiling(0.05, 0.05)
        (38, None)
    """
    ceiling = check_fraction("ceiling", ceiling)
    rate = check_fraction("rate", rate, closed=True)
    return cases_to_prove_floor(1 - ceiling, 1 - rate, level, have=have)


def cases_to_exclude_failures(
    ceiling: float, rate: float, level: float = 0.95, *, have: int = 0
) -> int | None:
    """Cases still needed until the exact bound of a failure rate falls to a ceiling, if the rate stays as observed.

    Args:
        ceiling: Failure rate that must be excluded, in (0, 1).
        rate: Observed failure rate, in [0, 1].
        level: One-sided confidence in (0, 1).
        have: Cases that were already measured at that rate.

    Returns:
        Further cases, 0 when the bound is there; None when it never will be.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Inversion of `failure_ceiling` at failures = rate n; it asks for more cases than `cases_to_prove_ceiling`.

    Example:
        >>> cases_to_exclude_failures(0.05, 0.0), cases_to_exclude_failures(0.05, 0.0, have=40)
        (59, 19)
    """
    ceiling = check_fraction("ceiling", ceiling)
    rate = check_fraction("rate", rate, closed=True)
    level = check_fraction("level", level)
    have = check_count("have", have)
    if rate >= ceiling:
        return None

    def excluded(failures: float, n: int) -> bool:
        return bool(scipy.special.betaincinv(failures + 1, n - failures, level) <= ceiling)

    return _first(excluded, rate, have)


def _first(proved: Callable[[float, int], bool], share: float, have: int) -> int | None:
    """Return how many cases beyond `have` are the first that prove with so large a share of bad ones, in whole cases."""
    high = max(have, 1)
    if have and proved(share * have, have):
        return 0
    while not proved(share * high, high):
        high *= 2
        if high > CASES_MAX:
            return None
    low = max(have, high // 2) if high > 1 else 0
    first = _halved(lambda n: proved(share * n, n), low, high)
    return _first_whole(proved, share, first) - have


def _first_whole(proved: Callable[[float, int], bool], share: float, first: int) -> int:
    """Return the first number from `first` on that proves with a whole number of bad cases: the share of them, rounded up."""
    if not share:
        return first
    bad = math.ceil(share * first - _ROUNDING)
    while True:
        last = math.floor(bad / share + _ROUNDING)  # the most cases of which the share is still so many
        if last >= first and proved(bad, last):
            return _halved(partial(proved, bad), first - 1, last)
        bad, first = bad + 1, max(first, last + 1)


def _halved(proved: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first number above `low` that proves, up to `high`, which does."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proved(middle) else (middle, high)
    return high


def _counts(good: int, n: int, level: float, *, least: int = 0) -> tuple[int, int, float]:
    n = check_count("n", n, least=least)
    return check_count("good", good, most=n), n, check_fraction("level", level)


def _no_cases() -> NotEnoughEvidence:
    return NotEnoughEvidence(
        reason="nothing was measured", have=0, need=1, unit="cases", remedy="Measure at least one case."
    )


def _rate(value: float, ends: tuple[float, float], level: float, n: int, method: MethodId) -> Estimate:
    return Estimate(
        value=value,
        low=min(ends[0], value),
        high=max(ends[1], value),
        level=level,
        n=n,
        n_effective=float(n),
        unit="rate",
        method=method,
        guarantee=sentence_at(method, level),
    )


def _edge(inside: Callable[[float], bool], start: float, end: float) -> float:
    """Return where a set that holds `start` and not `end` ends between them."""
    within, without = start, end
    for _ in range(_BISECTIONS):
        middle = (within + without) / 2
        if inside(middle):
            within = middle
        else:
            without = middle
    return within
