# SPDX-License-Identifier: Apache-2.0
"""Runs on record that did not find a version good: later ones count its answers, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from pilothouse.core.verdict.release_again import was_not_proved
from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.gate.sealed_split import SEALED_RELEASE
from pilothouse.workflows.ground.releases import read_releases

__all__ = ["lost_runs"]

RELEASES_READ_MAX: Final = 1_000
"""Runs on record that are looked through: far more than a team makes before a verdict lapses."""


def lost_runs(
    ledger: Ledger | None, agent: str | None, *, version: str, dataset: str, since: datetime, now: datetime
) -> tuple[ReleaseVerdict, ...]:
    """Return the runs on record that measured a version on some cases and did not find it good, newest first.

    Args:
        ledger: Decisions, or None without an installation.
        agent: Agent id, or None.
        version: Version digest.
        dataset: Digest of the cases.
        since: From when on answers count.
        now: The moment, aware UTC.
    """
    if ledger is None or agent is None:
        return ()
    found = [
        one
        for one in _verdicts(ledger, agent, version)
        if one.candidate == version
        and one.dataset_digest == dataset
        and since <= (one.answered_from or one.as_of)
        and one.as_of <= now
        and was_not_proved(one)
    ]
    return tuple(sorted(found, key=lambda one: one.as_of, reverse=True))


def _verdicts(ledger: Ledger, agent: str, version: str) -> Iterator[ReleaseVerdict]:
    for kind in ("release", SEALED_RELEASE):
        decisions = ledger.decisions(agent, kind=kind, limit=RELEASES_READ_MAX)
        yield from read_releases(one for one in decisions if version in one.document)
