# SPDX-License-Identifier: Apache-2.0
"""Rows of telemetry that could not be read any more and were set aside: on record, and said beside every verdict they may miss in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.decision_log import every_decision

if TYPE_CHECKING:
    from pilothouse.lake.repair import DamagedFile

__all__ = ["SET_ASIDE", "record_set_aside", "set_aside_notes"]

SET_ASIDE = "telemetry.set_aside"
EVERYBODY = "pilothouse"
"""Agent under which it stands: one file holds rows of several."""

FILES_AT_ONCE = 10
"""Files of one decision, so that its record fits into the audit log as it is."""

SAID_FOR = timedelta(days=90)
"""How long a verdict says it: no window of a verdict is longer."""


def record_set_aside(ledger: Ledger, damaged: Sequence[DamagedFile], *, actor: str, now: datetime) -> None:
    """Put on record what was set aside.

    Args:
        ledger: Where it stands.
        damaged: The files.
        actor: Who did it.
        now: The moment.
    """
    for start in range(0, len(damaged), FILES_AT_ONCE):
        files = [
            {"table": one.table, "file": one.path.rsplit("/", 1)[-1], "day": one.day, "rows": one.rows}
            for one in damaged[start : start + FILES_AT_ONCE]
        ]
        document = canonical_json({"files": files})
        ledger.record(kind=SET_ASIDE, agent=EVERYBODY, at=now, actor=actor, document=document)


def set_aside_notes(ledger: Ledger, now: datetime) -> list[str]:
    """Return a sentence for each day whose tasks were set aside, the newest last; days that no window reaches are left out.

    Args:
        ledger: Where it stands.
        now: The moment of the verdict.
    """
    lost: Counter[str] = Counter()
    for one in every_decision(ledger, EVERYBODY, kind=SET_ASIDE):
        for file in json.loads(one.document)["files"] if one.at <= now else ():
            if file["table"] == "tasks" and date.fromisoformat(file["day"]) >= (now - SAID_FOR).date():
                lost[file["day"]] += file["rows"]
    return [
        f"{rows:,} rows of tasks of {day} could not be read and were set aside; whatever they said is missing here."
        for day, rows in sorted(lost.items())
    ]
