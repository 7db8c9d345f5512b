# SPDX-License-Identifier: Apache-2.0
"""Who is still there: the organisation's directory against the people of the charters."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.recorded import recorded
from pilothouse.errors import CharterError, UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation

__all__ = [
    "DIRECTORY_BYTES_MAX",
    "check_directory",
    "look_at_directory",
    "people_gone",
    "read_directory",
    "told_for",
]

DIRECTORY_BYTES_MAX = 64 * 1024 * 1024
"""A line for each of half a million employees."""

CHECKED = "directory.checked"
_GONE_WORDS = frozenset({"no", "false", "0", "left", "inactive", "disabled", "terminated"})


def read_directory(path: Path) -> dict[str, bool]:
    """Read a directory export: CSV with the columns `identity` and `active`.

    Returns:
        Identity → whether the person is active; case of identities does not matter.

    Raises:
        UsageError: It is missing, too large, or lacks a column.
    """
    example = "Its first line is `identity,active`, and `oidc:dana@corp.example,yes` one of the others."
    try:
        if path.stat().st_size > DIRECTORY_BYTES_MAX:
            raise UsageError(
                f"{path} is larger than {DIRECTORY_BYTES_MAX // 1024 // 1024} MiB",
                remedy=f"Export only identity and state. {example}",
                subject=str(path),
            )
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        if not {"identity", "active"} <= set(rows.fieldnames or ()):
            raise UsageError(
                f"{path} lacks the column `identity` or `active`", remedy=example, subject=str(path)
            )
        said = [(row["identity"], row["active"], rows.line_num) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read ({reason})", remedy=example, subject=str(path)) from error
    # By half of a file, whoever stands in the other half has left: the pager would call substitutes alone.
    cut = next((line for identity, active, line in said if identity is None or active is None), None)
    if not said or cut is not None:
        problem = "lists nobody" if cut is None else f"is cut: line {cut} lacks `identity` or `active`"
        raise UsageError(f"{path} {problem}", remedy=example, subject=str(path))
    return {
        identity.strip().lower(): active.strip().lower() not in _GONE_WORDS for identity, active, _ in said
    }


def check_directory(
    installation: Installation,
    active: Mapping[str, bool],
    now: datetime,
    *,
    actor: str,
    export: Path | None = None,
) -> dict[str, tuple[str, ...]]:
    """Hold the people of every charter against the directory, and write down what was found.

    The owner's entry is evidence for OWN-1. Whoever is not in the directory, or not active, counts as gone:
    the pager calls the substitute from now on. Whose identity is an open question is neither there nor gone.

    Args:
        installation: Lake and ledger.
        active: Identity → active.
        now: The moment, aware UTC.
        actor: Who asked.
        export: Where the directory was read from; a running server reads it again when it is replaced.

    Returns:
        Agent → person ids that are gone.
    """
    found = {}
    where = {} if export is None else {"export": str(export.resolve())}
    for record in installation.ledger.charters():
        try:
            charter = charter_of(record)
        except CharterError:
            continue  # this program cannot read it, which every verdict on it says
        gone = tuple(person for person in charter.people if _is_active(charter, person, active) is False)
        found[record.agent] = gone
        installation.ledger.record(
            kind=CHECKED,
            agent=record.agent,
            at=now,
            actor=actor,
            document=canonical_json({"gone": list(gone)} | where),
        )
        owner = charter.owner.person
        if owner in charter.people and _is_active(charter, owner, active) is not None:
            installation.ledger.add_evidence([_entry(charter, owner, now, passed=owner not in gone)])
    return found


def look_at_directory(installation: Installation, now: datetime) -> bool:
    """Read the directory's export again if it was replaced since people were last checked; return whether it was.

    An export that is gone or broken changes nothing: who was there stays, and OWN-1 gets old by itself.
    """
    exports: dict[str, datetime] = {}
    for record in installation.ledger.charters():
        for last in installation.ledger.decisions(record.agent, kind=CHECKED, limit=1):
            path = json.loads(last.document).get("export")
            if path:
                exports[path] = max(last.at, exports.get(path, last.at))
    if not exports:
        return False
    path, checked_at = max(exports.items(), key=lambda pair: pair[1])
    try:
        if datetime.fromtimestamp(Path(path).stat().st_mtime, UTC) <= checked_at:
            return False
        active = read_directory(Path(path))
    except (OSError, UsageError):
        return False
    check_directory(installation, active, now, actor="watch", export=Path(path))
    return True


def people_gone(ledger: Ledger, agent: str) -> tuple[str, ...]:
    """Return who was gone when the directory was last looked at; nobody when it never was."""
    last = ledger.decisions(agent, kind=CHECKED, limit=1)
    return tuple(json.loads(last[0].document)["gone"]) if last else ()


def told_for(ledger: Ledger, charter: Charter, person: str) -> str | None:
    """Return who is told in a person's place: the person, or the substitute of one who is gone; None for nobody.

    Args:
        ledger: Where it is written who is gone.
        charter: The charter in force.
        person: Person id.
    """
    gone = people_gone(ledger, charter.agent)
    if person not in gone:
        return person
    stands_in = charter.substitute_of(person)
    return None if stands_in in gone else stands_in


def _is_active(charter: Charter, person: str, active: Mapping[str, bool]) -> bool | None:
    """Whether a person is there; None while the charter leaves open who that is: nobody knows, and nobody has left."""
    identity = charter.identity_of(person)
    return None if identity is None else active.get(identity.lower(), False)


def _entry(charter: Charter, owner: str, now: datetime, *, passed: bool) -> Evidence:
    return recorded(
        "directory",
        charter,
        now,
        command="pilothouse people check",
        person=owner,
        n=1,
        passed=passed,
        detail=f"{owner} is {'active' if passed else 'not active'} in the directory",
    )
