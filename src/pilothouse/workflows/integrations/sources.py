# SPDX-License-Identifier: Apache-2.0
"""Look at the knowledge sources of a charter: whether each is readable, and younger than the charter wants it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pilothouse.connectors.git_history import last_commit_at
from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.models import KnowledgeSource
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.evidence.recorded import recorded
from pilothouse.errors import CharterError
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation

__all__ = ["SOURCES_EVERY_S", "look_at_sources"]

SOURCES_EVERY_S = 6 * 3_600.0
"""Ages are counted in days."""

FILES_MAX = 1_000
"""Files of a folder that are looked at; a source with more is a system, and belongs under `integrations`."""


def look_at_sources(
    installation: Installation, now: datetime, *, command: str = "pilothouse up"
) -> tuple[Evidence, ...]:
    """Look at every source of every charter in force that says where it stands, and put the result on record.

    Returns:
        The records, charter by charter.
    """
    found = [one for record in installation.ledger.charters() for one in _records(record, now, command)]
    if found:
        installation.ledger.add_evidence(found)
    return tuple(found)


def _records(record: CharterInForce, now: datetime, command: str) -> Iterator[Evidence]:
    try:
        charter, folder = charter_of(record), Path(record.path).parent
    except CharterError:
        return  # this program cannot read it, which every verdict on it says
    for source in known(charter.sources) or ():
        if source.path is not None and not is_open(source.name) and not is_open(source.max_age):
            yield _record(charter, source, folder, now, command)


def _record(charter: Charter, source: KnowledgeSource, folder: Path, now: datetime, command: str) -> Evidence:
    passed, said = _look(folder / (source.path or ""), known(source.max_age) or timedelta(0), now)
    return recorded(
        "source.fresh",
        charter,
        now,
        command=command,
        scope=Scope(part=source.name),
        n=1,
        passed=passed,
        detail=f"{source.path} {said}.",
    )


def _look(path: Path, max_age: timedelta, now: datetime) -> tuple[bool, str]:
    """Return whether a source is readable and young, and that in words."""
    try:
        files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
        if not files:
            return False, "holds nothing that can be read"
        if len(files) > FILES_MAX:
            return False, f"holds more than {FILES_MAX:,} files"
        for file in files:
            with file.open("rb") as opened:
                opened.read(1)
        # A fresh checkout makes every file young; what git remembers of the last change does not.
        written = datetime.fromtimestamp(max(file.stat().st_mtime for file in files), UTC)
        changed = last_commit_at(path) or written
    except OSError as error:
        return False, f"cannot be read: {error.strerror or error}"
    age = (now - changed).days
    if now - changed > max_age:
        return False, f"was last changed {age} days ago, and {max_age.days} are accepted"
    return True, f"is readable and was last changed {max(0, age)} days ago"
