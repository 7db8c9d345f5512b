# SPDX-License-Identifier: Apache-2.0
"""Assess one record against one rule: proved, breached, or open, with every number behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from pilothouse.core.evidence.evidence import INCIDENT, UNKNOWN, WORTH, Evidence
from pilothouse.core.statistics.intervals import (
    cases_to_prove_ceiling,
    cases_to_prove_floor,
    failure_upper_bound,
    jeffreys_lower,
    jeffreys_upper,
)
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.rates import Rate, estimated, rate_of
from pilothouse.core.verdict.requirement import (
    AtLeast,
    Ceiling,
    Census,
    Count,
    Floor,
    MeanMax,
    Paired,
    Quantile,
    Rule,
    Zero,
)

__all__ = [
    "LEVEL",
    "MEAN_CASES_MIN",
    "UNPRICED_SHARE_MAX",
    "ZERO_CASES_MIN",
    "Assessment",
    "Proof",
    "assess",
    "unknown_part",
]

LEVEL = 0.95
"""Confidence of every bound."""

MEAN_CASES_MIN = 100
"""Fewer costs cannot show their long tail."""

UNPRICED_SHARE_MAX = 0.01
"""Share of tokens without a price above which a cost is not known."""

QUANTILE = 0.95
"""The quantile that latency ceilings speak of."""

VOLUME_TIMES = 10
"""Times the pilot's volume of a comparison that does not say: below, none was ever put on record."""

_PRICE = "pilothouse price"
"""Says what would make an unknown cost known: a price, or calls that say what they used."""

ZERO_CASES_MIN = 59
"""Cases for a ceiling of 0: none in 59 proves under 5 %."""


class Proof(StrEnum):
    """The result of a record under a rule."""

    PROVED = "proved"
    BREACHED = "breached"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One record held against one rule.

    Attributes:
        proof: What it proves.
        value: Measured value, or None.
        low: Lower end of the shown interval, or None.
        high: Upper end, or None.
        n: Cases behind it.
        n_needed: Cases in all that would decide it, or None when no number would.
        share_lost: How much of the committed margin is used up: 1 is all of it, 0 none.
        method: How the interval was made.
        why: What is missing, for an open one; otherwise empty.
        remedy: Command that brings exactly that, where it is not the requirement's; otherwise empty.
    """

    proof: Proof
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int
    n_needed: int | None = None
    share_lost: float = 0.0
    method: str = ""
    why: str = ""
    remedy: str = ""


def _quantile_cases(level: float = LEVEL) -> int:
    """Return the fewest cases whose largest bounds the 95 % quantile from above.

    Source:
        Order statistics: P(all n below the quantile) = q^n <= 1 - level.

    Example:
        >>> _quantile_cases()
        59
    """
    return math.ceil(math.log(1 - level) / math.log(QUANTILE))


def assess(rule: Rule, bound: float, record: Evidence, *, level: float = LEVEL) -> Assessment:
    """Hold one record against one rule.

    Args:
        rule: The rule.
        bound: Its bound, in the unit of the record's kind; ignored by `Zero` and `Fact`.
        record: A record whose form fits the rule.
        level: Confidence at which a rate counts as proved, in (0, 1); a planned look asks for more than
            `LEVEL`. A breach is proved at `LEVEL` whatever is asked.

    Returns:
        What it proves. A further bad case in the record never turns it for the better.
    """
    match rule:
        case Floor():
            return _floor(rule, bound, record, level)
        case Ceiling():
            return _ceiling(rule, bound, record, level) if bound > 0 else _zero(ZERO_CASES_MIN, record)
        case Zero():
            return _zero(rule.n, record)
        case Census():
            return _census(rule, bound, record)
        case Quantile():
            return _amount_at_most(bound, record, cases=_quantile_cases())
        case MeanMax():
            return _amount_at_most(bound, record, cases=MEAN_CASES_MIN)
        case AtLeast():
            return _amount_at_least(rule, bound, record)
        case Paired():
            return _paired(rule, bound, record)
        case Count():
            return _count(bound, record)
        case _:
            return _fact(record)


_UNKNOWN = {
    "unverifiable": "still have no answer though their time for one is over",
    "output_schema": "were streamed, so that nobody held them against the schema",
    "routing.audit": "were wrong and state no confidence, as streams do, so that nobody knows whether a person saw them first",
}
"""What is said of cases of a kind that say neither good nor bad."""


def _unknown_words(rate: Rate, kind: str) -> str:
    what = _UNKNOWN.get(kind, "do not say how they ended")
    silent = f"{rate.unknown:,} of {rate.n:,} {what}" if rate.unknown else ""
    alike = _alike_words(rate.n, rate.worth, "fail together") if rate.worth < rate.n else ""
    rest = f"without the largest ones {rate.rest.bad:,} of {rate.rest.n:,} fail" if rate.rest else ""
    return "; ".join(filter(None, (silent, alike, rest)))


def _alike_words(n: int, worth: int, what: str = "are alike") -> str:
    return f"turns of one conversation {what}: {n:,} are worth {worth:,}"


def _in_all(rate: Rate, further: int | None) -> int | None:
    """Return how many cases that say how they ended decide, while as large a share as now does not say; None for no number.

    A case that does not say counts against the proof, so it counts here as well.
    """
    return None if further is None else rate.told + math.ceil(further * rate.told / rate.worth)


def _floor(rule: Floor, bound: float, record: Evidence, level: float) -> Assessment:
    rate = rate_of(record)
    told = rate.told
    if told == 0:
        return Assessment(proof=Proof.OPEN, n=0, share_lost=1.0, why=_unknown_words(rate, record.kind))
    value = rate.good / told
    shown = rate.shown(rate.good)
    lost = (1 - value) / (1 - bound) if bound < 1 else math.inf
    proof = Proof.OPEN
    if 1 - rate.bad_from(LEVEL, stream=rule.stream) < bound:
        proof = Proof.BREACHED
    elif jeffreys_lower(rate.at_least(rate.good), rate.worth, level) >= bound:
        proof = Proof.PROVED
    needed = None
    if proof is Proof.OPEN and 0 < bound < 1:
        further = cases_to_prove_floor(bound, rate.good / rate.n, level, have=rate.worth)
        needed = _in_all(rate, further)
    return Assessment(
        proof=proof,
        value=value,
        low=shown.low,
        high=min(shown.high, 1 - rate.bad_shown_from),
        n=told,
        n_needed=needed,
        share_lost=lost,
        method=str(shown.method),
        why=_unknown_words(rate, record.kind),
    )


def _ceiling(rule: Ceiling, bound: float, record: Evidence, level: float) -> Assessment:
    rate = rate_of(record)
    told = rate.told
    if told == 0:
        return Assessment(proof=Proof.OPEN, n=0, share_lost=1.0, why=_unknown_words(rate, record.kind))
    value = rate.bad / told
    shown = rate.shown(rate.bad)
    proof = Proof.OPEN
    if rate.bad_from(LEVEL, stream=rule.stream) > bound:
        proof = Proof.BREACHED
    elif jeffreys_upper(rate.at_most(rate.bad + rate.unknown), rate.worth, level) <= bound:
        proof = Proof.PROVED
    needed = None
    if proof is Proof.OPEN and bound < 1:
        further = cases_to_prove_ceiling(bound, (rate.bad + rate.unknown) / rate.n, level, have=rate.worth)
        needed = _in_all(rate, further)
    return Assessment(
        proof=proof,
        value=value,
        low=max(shown.low, rate.bad_shown_from),
        high=shown.high,
        n=told,
        n_needed=needed,
        share_lost=value / bound,
        method=str(shown.method),
        why=_unknown_words(rate, record.kind),
    )


def _zero(least: int, record: Evidence) -> Assessment:
    rate = rate_of(record)
    told = rate.told
    if told == 0:
        return Assessment(
            proof=Proof.OPEN, n=0, n_needed=least, share_lost=1.0, why=_unknown_words(rate, record.kind)
        )
    if rate.bad:
        shown = rate.shown(rate.bad)
        return Assessment(
            proof=Proof.BREACHED,
            value=rate.bad / told,
            low=shown.low,
            high=shown.high,
            n=told,
            share_lost=math.inf,
            method=str(shown.method),
        )
    worth = max(1, rate.at_least(told))
    bounded = estimated(failure_upper_bound(0, worth))
    enough = worth >= least and not rate.unknown
    asked = math.ceil(least * rate.n / rate.worth)
    return Assessment(
        proof=Proof.PROVED if enough else Proof.OPEN,
        value=0.0,
        low=0.0,
        high=bounded.high,
        n=told,
        n_needed=None if enough else max(asked, told + rate.unknown),
        share_lost=0.0 if enough else max(0.0, 1 - worth / least),
        method=str(bounded.method),
        why=_unknown_words(rate, record.kind),
    )


def _census(rule: Census, bound: float, record: Evidence) -> Assessment:
    rate = rate_of(record)
    value = rate.good / rate.n
    short = value < bound
    lost = (1 - value) / (1 - bound) if bound < 1 else (math.inf if short else 0.0)
    if not rule.harm:
        lost = max(0.0, 1 - value / bound) if bound > 0 else 0.0
    worst = Proof.BREACHED if rule.harm else Proof.OPEN
    least = min(_least(rule), rate.n)
    few = rate.good < least
    return Assessment(
        proof=worst if short else Proof.OPEN if few else Proof.PROVED,
        value=value,
        n=rate.n,
        share_lost=max(lost, 1 - rate.good / least) if few else lost,
        method="counted, no sampling",
        why=f"{_least(rule):,.0f} are asked for, or all where there are fewer" if few else "",
    )


def _least(rule: Census | Paired) -> float:
    """Return the number that a rule asks for besides its bound; the charter's is filled in before a record is assessed."""
    return rule.least if isinstance(rule.least, (int, float)) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Amount:
    """An amount whose unknown ends are nowhere: they prove nothing."""

    value: float
    low: float
    high: float


def _amount(record: Evidence) -> _Amount:
    return _Amount(
        value=record.value if record.value is not None else math.nan,
        low=record.low if record.low is not None else -math.inf,
        high=record.high if record.high is not None else math.inf,
    )


def _said(proof: Proof, record: Evidence, *, n_needed: int | None, lost: float, why: str = "") -> Assessment:
    return Assessment(
        proof=proof,
        value=record.value,
        low=record.low,
        high=record.high,
        n=record.n,
        n_needed=n_needed,
        share_lost=lost,
        method=record.method,
        why="" if proof is Proof.BREACHED else why,
    )


def unknown_part(record: Evidence) -> tuple[str, str]:
    """Return which part of an amount is unknown and what makes it known; both are empty when all of it is known.

    Args:
        record: A record of an amount; of what is unknown its ends say nothing.
    """
    unpriced = record.counts.get("tokens_unpriced", 0)
    tokens = max(record.counts.get("tokens", 0), unpriced)
    if unpriced > UNPRICED_SHARE_MAX * tokens:
        unsaid = record.counts.get("tokens_unsaid", 0)
        share = percentage(unpriced / tokens, decimals=0)
        if unpriced - unsaid > UNPRICED_SHARE_MAX * tokens:
            return f"{share} of tokens have no price", _PRICE
        return f"calls with {share} of tokens do not say how many they used", _PRICE
    if unmeasured := record.counts.get("unmeasured", 0):
        return record.detail.rstrip(". ") or f"parts of it that are not measured: {unmeasured}", ""
    return "", ""


def _amount_at_most(bound: float, record: Evidence, *, cases: int) -> Assessment:
    amount = _amount(record)
    why, remedy = unknown_part(record)
    worth = min(max(record.counts.get(WORTH, record.n), 1), record.n)
    enough = worth >= cases
    if not enough and worth < record.n:
        why = "; ".join(filter(None, (why, _alike_words(record.n, worth))))
    proof = Proof.OPEN
    if amount.low > bound and enough:
        proof = Proof.BREACHED
    elif amount.high <= bound and enough and not why:
        proof = Proof.PROVED
    lost = amount.value / bound if bound > 0 else math.inf
    needed = None if enough else math.ceil(cases * record.n / worth)
    found = _said(proof, record, n_needed=needed, lost=lost, why=why)
    if proof is Proof.OPEN and _nothing_is_known(record):
        # Zero with a currency before it would read as "costs nothing", and more cases would not change it.
        found = replace(found, value=None, low=None, high=None, n_needed=None)
    return replace(found, remedy=remedy if found.why else "")


def _nothing_is_known(record: Evidence) -> bool:
    """Whether no part of an amount is known in the unit of its bound."""
    unpriced = record.counts.get("tokens_unpriced", 0)
    return bool(record.counts.get("other_currency", 0) or unpriced >= max(record.counts.get("tokens", 0), 1))


def _amount_at_least(rule: AtLeast, bound: float, record: Evidence) -> Assessment:
    amount = _amount(record)
    enough = record.n >= rule.n
    proof = Proof.OPEN
    if amount.high < bound and rule.harm and enough:
        proof = Proof.BREACHED
    elif (amount.low > bound if rule.beyond else amount.low >= bound) and enough:
        proof = Proof.PROVED
    return _said(
        proof, record, n_needed=None if enough else rule.n, lost=_short_of(bound, amount.value, proof)
    )


def _paired(rule: Paired, bound: float, record: Evidence) -> Assessment:
    amount = _amount(record)
    times, least = record.counts.get("times", VOLUME_TIMES), _least(rule)
    why = f"Compared at {times} times the volume, and {least:g} times are asked for" if times < least else ""
    proof = Proof.OPEN
    if amount.high < -bound:
        proof = Proof.BREACHED
    elif amount.low > -bound and not why:
        proof = Proof.PROVED
    lost = max(0.0, -amount.value / bound) if bound > 0 else float(proof is not Proof.PROVED)
    return _said(proof, record, n_needed=None, lost=lost, why=why)


def _short_of(bound: float, value: float, proof: Proof) -> float:
    return max(0.0, 1 - value / bound) if bound > 0 else float(proof is not Proof.PROVED)


def _count(bound: float, record: Evidence) -> Assessment:
    needed = math.ceil(bound)
    enough = record.n >= needed
    return Assessment(
        proof=Proof.PROVED if enough else Proof.OPEN,
        value=float(record.n),
        n=record.n,
        n_needed=None if enough else needed,
        share_lost=0.0 if enough else 1 - record.n / needed,
        method="counted",
    )


def _fact(record: Evidence) -> Assessment:
    remedy = ""
    if number := record.counts.get(INCIDENT):
        # What failed is one run, and another one of the incident would not cure it.
        what = record.items[0][:12] if record.passed is False and record.items else f"INC-{number}"
        remedy = f"pilothouse replay {what} --exec 'python agent.py' --evidence"
        if record.kind == "alert.lead":
            remedy = f"pilothouse incident review {number}"
    if record.passed is None and record.counts.get(UNKNOWN):
        why = record.detail.rstrip(". ")
        return Assessment(
            proof=Proof.OPEN, n=record.n, share_lost=1.0, method=record.method, why=why, remedy=remedy
        )
    passed = record.passed is not False  # a signature has no `passed`: that it exists is the fact
    return Assessment(
        proof=Proof.PROVED if passed else Proof.BREACHED,
        n=record.n,
        share_lost=0.0 if passed else 1.0,
        method=record.method,
        remedy=remedy,
    )
