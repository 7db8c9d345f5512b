# SPDX-License-Identifier: Apache-2.0
"""Rows of telemetry that could not be read any more and were set aside: on record, and said beside every verdict they may miss in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.dates import calendar_day
from pilothouse.errors import StorageUnavailable
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.decision_log import every_decision

if TYPE_CHECKING:
    from pilothouse.lake.repair import DamagedFile

__all__ = ["DAMAGED", "FILES_EVERY_S", "SET_ASIDE", "FilesTick", "record_set_aside", "set_aside_notes"]

SET_ASIDE = "telemetry.set_aside"
DAMAGED = "telemetry.damaged"
EVERYBODY = "pilothouse"
"""Agent under which it stands: one file holds rows of several."""

FILES_AT_ONCE = 10
"""Files of one decision, so that its record fits into the audit log as it is."""

FILES_EVERY_S = 300.0
"""Pause between two looks at 128 MiB of files: 36 GB are looked through in a day."""

SAID_FOR = timedelta(days=90)
"""How long a verdict says it: no window of a verdict is longer."""


class FilesTick:
    """Says that files of telemetry are not what was written: on record once, beside each verdict, and by failing until they are set aside.

    Args:
        ledger: Where it stands.
        look: Reads some files, and returns the damaged ones that are known.
    """

    def __init__(self, ledger: Ledger, look: Callable[[], Sequence[DamagedFile]]) -> None:
        self._ledger = ledger
        self._look = look

    def run(self, now: datetime) -> None:
        """Look at the next files.

        Raises:
            StorageUnavailable: Some are damaged.
        """
        damaged = self._look()
        if not damaged:
            return
        known = {name for name, _ in _files(self._ledger, DAMAGED, now)}
        fresh = [one for one in damaged if _name(one) not in known]
        _record(self._ledger, DAMAGED, fresh, actor="pilothouse", now=now)
        raise StorageUnavailable(
            f"{len(damaged):,} files of telemetry cannot be read or are not what was written, "
            f"the first {damaged[0].path} ({damaged[0].rows:,} rows of {damaged[0].day}): {damaged[0].fault}",
            remedy="Look at them with `pilothouse repair`, and take them out with `--set-aside`.",
            subject=damaged[0].path,
        )


def record_set_aside(ledger: Ledger, damaged: Sequence[DamagedFile], *, actor: str, now: datetime) -> None:
    """Put on record what was set aside.

    Args:
        ledger: Where it stands.
        damaged: The files.
        actor: Who did it.
        now: The moment.
    """
    _record(ledger, SET_ASIDE, damaged, actor=actor, now=now)


def set_aside_notes(ledger: Ledger, now: datetime) -> list[str]:
    """Return a sentence for each day whose tasks were set aside or are damaged, the newest last; days that no window reaches are left out.

    Args:
        ledger: Where it stands.
        now: The moment of the verdict.
    """
    aside = dict(_files(ledger, SET_ASIDE, now))
    lost, doubtful = Counter[str](), Counter[str]()
    for file in aside.values():
        lost[file["day"]] += _rows(file, now)
    for name, file in _files(ledger, DAMAGED, now):
        doubtful[file["day"]] += 0 if name in aside else _rows(file, now)
    said = [
        f"{rows:,} rows of tasks of {calendar_day(date.fromisoformat(day))} could not be read and were set aside; whatever they said is missing here."
        for day, rows in sorted((+lost).items())
    ]
    return said + [
        f"{rows:,} rows of tasks of {calendar_day(date.fromisoformat(day))} are in a file that cannot be read or is not what was written: "
        "what they say here is in doubt until `pilothouse repair` has set it aside."
        for day, rows in sorted((+doubtful).items())
    ]


def _rows(file: Mapping[str, Any], now: datetime) -> int:
    """Return how many tasks a verdict may miss, or read wrong, in a file."""
    counts = file["table"] == "tasks" and date.fromisoformat(file["day"]) >= (now - SAID_FOR).date()
    return int(file["rows"]) if counts else 0


def _files(ledger: Ledger, kind: str, now: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the files of decisions until a moment, each by its name."""
    for one in every_decision(ledger, EVERYBODY, kind=kind):
        for file in json.loads(one.document)["files"] if one.at <= now else ():
            yield f"{file['table']}/{file['day']}/{file['file']}", file


def _name(one: DamagedFile) -> str:
    return f"{one.table}/{one.day}/{one.path.rsplit('/', 1)[-1]}"


def _record(ledger: Ledger, kind: str, files: Sequence[DamagedFile], *, actor: str, now: datetime) -> None:
    for start in range(0, len(files), FILES_AT_ONCE):
        some = [
            {"table": one.table, "file": one.path.rsplit("/", 1)[-1], "day": one.day, "rows": one.rows}
            for one in files[start : start + FILES_AT_ONCE]
        ]
        ledger.record(
            kind=kind, agent=EVERYBODY, at=now, actor=actor, document=canonical_json({"files": some})
        )
