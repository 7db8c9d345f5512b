# SPDX-License-Identifier: Apache-2.0
"""Where fine-tuning exports were begun, so that rows of one that was killed are found and taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.curation.training_folder import drop_unfinished
from pilothouse.workflows.ground.decision_log import every_decision

__all__ = ["BEGUN", "begun_exports", "drop_unfinished_exports", "note_begun"]

BEGUN = "fine_tuning.begun"


def note_begun(ledger: Ledger, agent: str, folder: Path, now: datetime) -> None:
    """Put on record where an export will stand, before its first row is written."""
    ledger.record(
        kind=BEGUN,
        agent=agent,
        at=now,
        actor="pilothouse curate fine-tuning",
        document=canonical_json({"path": str(folder.resolve())}),
    )


def begun_exports(ledger: Ledger) -> Iterator[Path]:
    """Yield where exports of all agents were begun, each place once."""
    seen: set[str] = set()
    for record in ledger.charters():
        for decision in every_decision(ledger, record.agent, kind=BEGUN):
            path = json.loads(decision.document)["path"]
            if path not in seen:
                seen.add(path)
                yield Path(path)


def drop_unfinished_exports(ledger: Ledger) -> tuple[Path, ...]:
    """Take away the rows of exports whose process was killed, and return where they would have stood."""
    return tuple(folder for folder in begun_exports(ledger) if drop_unfinished(folder))
