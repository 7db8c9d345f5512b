# SPDX-License-Identifier: Apache-2.0
"""Writes what the watch counted as records of evidence, bound to what they speak of."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import WARNINGS, Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.verdict.value import Money

__all__ = ["WINDOW", "RecordWriter"]

WINDOW = timedelta(days=7)


class RecordWriter:
    """Makes records of one agent at one moment, over the last seven days of what was counted.

    Args:
        charter: The charter in force.
        now: The moment, aware UTC.
    """

    def __init__(self, charter: Charter, now: datetime) -> None:
        self._charter = charter
        self._now = now

    def fact(
        self,
        kind: str,
        passed: bool,
        detail: str,
        *,
        n: int,
        end: date,
        scope: Scope | None = None,
        version: str | None = None,
        items: tuple[str, ...] = (),
        warnings: int = 0,
    ) -> Evidence:
        """Return whether something was so."""
        counts = {WARNINGS: warnings} if warnings else {}
        return self._record(
            kind,
            scope,
            version,
            end,
            n=n,
            passed=passed,
            detail=detail[:2_000],
            items=items[:50],
            counts=counts,
        )

    def rate(
        self,
        kind: str,
        n: int,
        good: int,
        end: date,
        *,
        scope: Scope | None = None,
        version: str | None = None,
        since: date | None = None,
    ) -> Evidence:
        """Return cases and the good ones among them, of the last seven days or since a day."""
        window = {} if since is None else {"window_from": midnight(since)}
        return self._record(kind, scope, version, end, n=n, good=good, **window)

    def amount(
        self, kind: str, money: Money, detail: str, *, n: int, end: date, scope: Scope, counts: dict[str, int]
    ) -> Evidence:
        """Return an amount of money that is known as a range."""
        low, high = money.low, money.low if money.high is None else money.high
        fields: dict[str, object] = {"value": (low + high) / 2, "low": low, "high": high, "n": n}
        method = "ranges of the charter, end with end"
        return self._record(
            kind, scope, None, end, **fields, detail=detail[:2_000], counts=counts, method=method
        )

    def _record(
        self, kind: str, scope: Scope | None, version: str | None, end: date, **fields: object
    ) -> Evidence:
        where = scope or Scope()
        until = min(midnight(end + timedelta(days=1)), self._now)
        values: dict[str, object] = {
            "kind": kind,
            "agent": self._charter.agent,
            "binds": binding_in_force(
                kind_named(kind),
                self._charter,
                where,
                InForce(version=version),
                section=kind_named(kind).section,
            ),
            "scope": where,
            "window_from": until - WINDOW,
            "window_to": until,
            "source": Source(command="pilothouse watch tick"),
            "recorded_at": self._now,
            **fields,
        }
        return Evidence.model_validate(values)
