# SPDX-License-Identifier: Apache-2.0
"""Which records are admissible: malformed, foreign and future ones are refused with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter

from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import UNKNOWN, Basis, Evidence
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.errors import MalformedRecord

__all__ = ["FUTURE_MAX", "Admitted", "admit_evidence", "refusal"]

FUTURE_MAX = timedelta(minutes=5)
"""How far a record may lie ahead of us: clocks of honest machines differ by less."""

REFUSALS_SHOWN_MAX = 20
"""Reasons that a verdict shows; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Admitted records, and why the others were refused.

    Attributes:
        records: Each once, newest first.
        refused: One sentence for each refused record, sorted, at most `REFUSALS_SHOWN_MAX` and a count.
    """

    records: tuple[Evidence, ...]
    refused: tuple[str, ...]


def refusal(record: Evidence, agent: str, now: datetime) -> str | None:
    """Return why a record cannot count, or None when it can."""
    try:
        problem = _form_problem(record)
    except MalformedRecord as error:
        return f"{error.message} The record was refused."
    if record.agent != agent:
        problem = f"it is about agent {record.agent!r}"
    elif max(record.window_to, record.recorded_at) > now + FUTURE_MAX:
        problem = "it lies in the future"
    return f"A record of {record.kind!r} was refused: {problem}." if problem else None


def _form_problem(record: Evidence) -> str | None:
    form = kind_named(record.kind).form
    if form is Form.RATE and record.good is None:
        return "a rate needs `good`"
    if form is Form.AMOUNT and record.value is None:
        return "an amount needs `value`"
    if form is Form.FACT and record.passed is None and not record.counts.get(UNKNOWN):
        return "a fact needs `passed`"
    if form is Form.SIGNATURE and record.basis is not Basis.ATTESTED:
        return "a signature is attested by its signer"
    return None


def _distinct(records: Iterable[Evidence]) -> list[Evidence]:
    """Return records deduplicated by content, newest first, whatever the order of arrival.

    A digest costs more than everything else here, so it is made only where two records speak of the same at the same time.
    """
    spoken: dict[tuple[datetime, str, str], list[Evidence]] = {}
    for record in records:
        spoken.setdefault((record.window_to, record.kind, record.scope.label), []).append(record)
    ordered: list[tuple[tuple[datetime, datetime, str, str, str], Evidence]] = []
    for (window_to, kind, label), alike in spoken.items():
        by_digest: dict[str, Evidence] = {}
        for record in alike:
            digest = evidence_digest(record) if len(alike) > 1 else ""
            known = by_digest.get(digest)
            if known is None or _written(record) < _written(known):
                by_digest[digest] = record
        ordered += (
            ((window_to, record.recorded_at, kind, label, digest), record)
            for digest, record in by_digest.items()
        )
    return [record for _, record in sorted(ordered, key=itemgetter(0), reverse=True)]


def _written(record: Evidence) -> tuple[datetime, str]:
    """Of two records with equal content, keep the one that was written first."""
    return (record.recorded_at, record.source.node)


def admit_evidence(records: Iterable[Evidence], agent: str, now: datetime) -> Admitted:
    """Separate admissible records from others.

    Args:
        records: In any order, with duplicates.
        agent: Agent that is judged.
        now: The moment, aware UTC.
    """
    kept: list[Evidence] = []
    refused: set[str] = set()
    for record in records:
        problem = refusal(record, agent, now)
        if problem is None:
            kept.append(record)
        else:
            refused.add(problem)
    shown = sorted(refused)[:REFUSALS_SHOWN_MAX]
    if len(refused) > len(shown):
        shown.append(f"{len(refused) - len(shown)} further reasons for refused records are not shown.")
    return Admitted(records=tuple(_distinct(kept)), refused=tuple(shown))
