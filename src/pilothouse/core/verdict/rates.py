# SPDX-License-Identifier: Apache-2.0
"""Counts of a rate, and the bounds that they prove where some cases are turns of one conversation."""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.core.evidence.evidence import REST, REST_BAD, REST_WORTH, UNKNOWN, WORTH, Evidence
from pilothouse.core.statistics.intervals import anytime_interval, jeffreys_interval, jeffreys_lower
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence

__all__ = ["Rate", "Rest", "estimated", "rate_of"]


def estimated(found: Estimate | NotEnoughEvidence) -> Estimate:
    """Return an estimate from at least one case, which always exists."""
    if isinstance(
        found, NotEnoughEvidence
    ):  # pragma: no cover - a record has n >= 1, so there is an estimate
        raise TypeError(found.reason)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Cases without the largest conversations, which are worth more without them.

    Attributes:
        n: Cases.
        bad: How many of them are surely bad.
        worth: Independent cases that they are worth.
    """

    n: int
    bad: int
    worth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Counts of a rate: what is surely good, surely bad, and neither; and the independent cases that all are worth.

    Attributes:
        good: Cases that are surely good.
        bad: Cases that are surely bad.
        unknown: Cases that do not say.
        n: All cases.
        worth: Independent cases that they are worth.
        rest: Those without the largest conversations, or None where these do not hide anything.
    """

    good: int
    bad: int
    unknown: int
    n: int
    worth: int
    rest: Rest | None = None

    @property
    def told(self) -> int:
        """Cases that say what they are."""
        return self.good + self.bad

    def at_least(self, cases: int) -> int:
        """How many cases are worth, and rather too little."""
        return cases * self.worth // self.n

    def at_most(self, cases: int) -> int:
        """How many cases are worth, and rather too much."""
        return -(-cases * self.worth // self.n)

    def bad_from(self, level: float, *, stream: bool) -> float:
        """Return the lower bound of the rate of bad cases.

        One conversation that runs away lets all cases be worth few, and would hide that the others are bad. So the bound
        of the others counts as well, with each turn of the largest conversations as good.

        Args:
            level: One-sided confidence in (0, 1); of an interval for all looks where `stream` says so.
            stream: Whether somebody looks again and again.

        Source:
            Simulated in decision 0147.

        Example:
            >>> alone = Rate(good=255, bad=105, unknown=0, n=360, worth=20)
            >>> hidden = Rate(good=255, bad=105, unknown=0, n=360, worth=20, rest=Rest(n=300, bad=45, worth=300))
            >>> f"{alone.bad_from(0.95, stream=True):.3f} {hidden.bad_from(0.95, stream=True):.3f}"
            '0.047 0.073'
        """

        def low(bad: int, worth: int) -> float:
            if stream:
                return estimated(anytime_interval(bad, worth, level)).low
            return jeffreys_lower(bad, worth, level)

        whole = low(self.at_least(self.bad), self.worth)
        if self.rest is None:
            return whole
        return max(whole, low(_worth_of_bad(self.rest), self.rest.worth) * self.rest.n / self.n)

    def shown(self, cases: int) -> Estimate:
        """Return the rate of cases among those that say what they are, with the interval of what these are worth.

        Args:
            cases: The good ones, or the bad ones.
        """
        told = max(1, self.at_most(self.told))
        return estimated(jeffreys_interval(min(round(cases * self.worth / self.n), told), told))

    @property
    def bad_shown_from(self) -> float:
        """Lower end that the rest gives to the shown interval of bad cases."""
        if self.rest is None:
            return 0.0
        found = estimated(jeffreys_interval(_worth_of_bad(self.rest), self.rest.worth))
        return found.low * self.rest.n / self.n


def _worth_of_bad(rest: Rest) -> int:
    return rest.bad * rest.worth // rest.n


def rate_of(record: Evidence) -> Rate:
    """Return the counts of a record of a rate.

    Args:
        record: A record with `good`. What it says of unknown cases and of worth is kept within its number of cases.
    """
    good = record.good or 0
    unknown = min(record.counts.get(UNKNOWN, 0), record.n - good)
    bad = record.n - good - unknown
    return Rate(
        good=good,
        bad=bad,
        unknown=unknown,
        n=record.n,
        worth=_within(record.counts.get(WORTH, record.n), record.n),
        rest=_rest(record, bad),
    )


def _rest(record: Evidence, bad: int) -> Rest | None:
    if REST not in record.counts:
        return None
    n = _within(record.counts[REST], record.n)
    return Rest(
        n=n,
        bad=min(max(record.counts.get(REST_BAD, 0), 0), bad, n),
        worth=_within(record.counts.get(REST_WORTH, 1), n),
    )


def _within(cases: int, n: int) -> int:
    return min(max(cases, 1), n)
