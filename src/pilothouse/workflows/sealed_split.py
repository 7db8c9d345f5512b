# SPDX-License-Identifier: Apache-2.0
"""How often the sealed cases of a dataset may be looked at: what is looked at often is tuned to."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.ports.ledger import Ledger

__all__ = ["OPENINGS_MAX", "SEALED_OPENED", "SEALED_RELEASE", "count_opening", "record_opening"]

SEALED_RELEASE: Final = "release.sealed"
"""Kind of the decision that a gate over the sealed split leaves in the ledger."""

SEALED_OPENED: Final = "release.sealed_opened"
"""Kind of the decision that stands before the run: what was looked at counts, whether or not the run ends."""

OPENINGS_MAX: Final = 4
"""Openings of one version of a dataset: a handful of looks leaks little; a weekly one is training on the test."""

OPENINGS_READ_MAX: Final = 1_000


def count_opening(ledger: Ledger | None, agent: str | None, *, dataset: str, run_id: str) -> str:
    """Count an opening of the sealed split, and refuse it when there were too many.

    The same command is the same run, and no further opening.

    Args:
        ledger: Where openings are counted, or None without an installation.
        agent: Agent id, or None.
        dataset: Digest of the dataset.
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
    runs = {one["run_id"] for one in documents if one["dataset_digest"] == dataset}
    if run_id not in runs and len(runs) >= OPENINGS_MAX:
        raise UsageError(
            f"the sealed split of this version was opened {len(runs)} times, as often as it may be.",
            remedy="Seal other cases: `pilothouse dataset add FOLDER CASES.jsonl`, then `pilothouse dataset split FOLDER`.",
            subject=dataset[:12],
        )
    return f"opening {len(runs | {run_id})} of {OPENINGS_MAX} of the sealed split"


def record_opening(ledger: Ledger, agent: str, *, dataset: str, run_id: str, at: datetime) -> None:
    """Put an opening on record before the first sealed case is looked at.

    Args:
        ledger: Where openings are counted.
        agent: Agent id.
        dataset: Digest of the dataset.
        run_id: The run that opens it.
        at: The moment, aware UTC.
    """
    document = canonical_json({"run_id": run_id, "dataset_digest": dataset})
    ledger.record(kind=SEALED_OPENED, agent=agent, at=at, actor="gate", document=document)
