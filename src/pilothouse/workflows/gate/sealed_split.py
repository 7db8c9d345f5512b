# SPDX-License-Identifier: Apache-2.0
"""How often the sealed cases of a dataset may be looked at: what is looked at often is tuned to."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.ports.ledger import Ledger

__all__ = [
    "OPENINGS_MAX",
    "SEALED_OPENED",
    "SEALED_RELEASE",
    "count_opening",
    "record_opening",
    "sealed_marks",
]

SEALED_RELEASE: Final = "release.sealed"
"""Kind of the decision that a gate over the sealed split leaves in the ledger."""

SEALED_OPENED: Final = "release.sealed_opened"
"""Kind of the decision that stands before the run: what was looked at counts, whether or not the run ends."""

OPENINGS_MAX: Final = 4
"""Openings of the same sealed cases: a handful of looks leaks little; a weekly one is training on the test."""

MARKS_MAX: Final = 512
"""Sealed cases that an opening names, those of the lowest hashes: enough to tell which share of others it has seen."""

MARK_CHARS: Final = 16

OPENINGS_READ_MAX: Final = 1_000


def sealed_marks(hashes: Iterable[str]) -> tuple[str, ...]:
    """Return what an opening keeps of the cases it opens.

    Args:
        hashes: Input hashes of the sealed cases.
    """
    return tuple(sorted({one[:MARK_CHARS] for one in hashes})[:MARKS_MAX])


def count_opening(
    ledger: Ledger | None, agent: str | None, *, dataset: str, sealed: Collection[str], run_id: str
) -> str:
    """Count an opening of the sealed split, and refuse it when there were too many.

    The same command is the same run, and no further opening. A dataset with another case is another dataset, and its
    sealed cases are those of before: an opening counts for whatever set of which it saw more than half.

    Args:
        ledger: Where openings are counted, or None without an installation.
        agent: Agent id, or None.
        dataset: Digest of the dataset.
        sealed: `sealed_marks` of the cases that would be opened.
        run_id: The run that wants to open it.

    Returns:
        What a reader must know: which opening this is.

    Raises:
        UsageError: Nobody would count it, or the budget is spent.
    """
    if ledger is None or agent is None:
        raise UsageError(
            "an opening of the sealed split is counted for an agent, and none was named.",
            remedy="Give --agent NAME or --charter FILE.",
        )
    documents = [
        json.loads(one.document)
        for kind in (SEALED_OPENED, SEALED_RELEASE)
        for one in ledger.decisions(agent, kind=kind, limit=OPENINGS_READ_MAX)
    ]
    runs = {
        one["run_id"]
        for one in documents
        if one["dataset_digest"] == dataset or _saw_most(one.get("sealed", ()), sealed)
    }
    if run_id not in runs and len(runs) >= OPENINGS_MAX:
        raise UsageError(
            f"these sealed cases were opened {len(runs)} times, as often as they may be.",
            remedy="Seal as many new ones: `pilothouse dataset add FOLDER CASES.jsonl`, then `pilothouse dataset split FOLDER`.",
            subject=dataset[:12],
        )
    return f"opening {len(runs | {run_id})} of {OPENINGS_MAX} of the sealed split"


def record_opening(
    ledger: Ledger, agent: str, *, dataset: str, sealed: Collection[str], run_id: str, at: datetime
) -> None:
    """Put an opening on record before the first sealed case is looked at.

    Args:
        ledger: Where openings are counted.
        agent: Agent id.
        dataset: Digest of the dataset.
        sealed: `sealed_marks` of the cases that are opened.
        run_id: The run that opens it.
        at: The moment, aware UTC.
    """
    document = canonical_json({"run_id": run_id, "dataset_digest": dataset, "sealed": sorted(sealed)})
    ledger.record(kind=SEALED_OPENED, agent=agent, at=at, actor="gate", document=document)


def _saw_most(opened: Collection[str], sealed: Collection[str]) -> bool:
    """Whether an opening saw more than half of some sealed cases, as far as both name them."""
    ends = [max(one) for one in (opened, sealed) if len(one) == MARKS_MAX]
    known = [one for one in sealed if all(one <= end for end in ends)]
    return 2 * sum(one in set(opened) for one in known) > len(known)
