# SPDX-License-Identifier: Apache-2.0
"""Put a charter file into force, or keep the one that is, and record which of the two happened."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pilothouse.connectors.charter_file import read_charter_text, read_text_of
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json, charter_digest
from pilothouse.core.charter.findings import CharterCheck, FindingKind
from pilothouse.core.charter.quantities import ID
from pilothouse.core.dates import minute
from pilothouse.errors import CharterInvalid
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.workflows.controls.policy_change import note_widening
from pilothouse.workflows.ground.check import check_text

__all__ = ["ACCEPTED", "REJECTED", "Acceptance", "accept_file", "rejection_note"]

ACCEPTED = "charter.accepted"
REJECTED = "charter.rejected"

FINDINGS_KEPT_MAX = 20
"""Findings that the record of a rejection keeps; `pilothouse check` prints them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What came of a charter file.

    Attributes:
        record: The charter that is in force now.
        charter: The charter of the file.
        changed: Whether it came into force just now.
        check: Everything the check had to say: questions and warnings.
        renamed_from: Agent whose charter the same file was until now, or None. A name is all that binds evidence to an agent.
    """

    record: CharterInForce
    charter: Charter
    changed: bool
    check: CharterCheck
    renamed_from: str | None = None

    @property
    def sentence(self) -> str:
        """What came into force, for whoever asked; with what a new name in an old file means."""
        agent, earlier = self.record.agent, self.renamed_from
        said = f"Charter {self.record.number} of {agent} is in force."
        if earlier is None:
            return said
        return (
            f"{said} This file was the charter of {earlier}, which stays in force: evidence, keys, phase and incidents are "
            f"{earlier}'s, and {agent} is another agent that begins without any. If it is the same one, write {earlier} again."
        )


def accept_file(ledger: Ledger, path: Path, now: datetime, *, actor: str) -> Acceptance:
    """Check a charter file and put it into force.

    The same content beside the same files again changes nothing. A file that breaks rules changes nothing either: an earlier
    charter of the agent stays in force, the rejection is recorded once for each content, and verdicts
    carry a note until a valid file is accepted.

    Args:
        ledger: Where charters are kept.
        path: The file; open questions may stand in it.
        now: The moment, aware UTC.
        actor: Who asks, for the record.

    Raises:
        CharterInvalid: At least one error stands; carries all of them.
        CharterSyntaxError: It is too large, or no UTF-8.
        UsageError: There is no such file, or it cannot be read.
    """
    file = path.absolute()
    text = read_text_of(path)
    check = check_text(text, file=str(path), today=now.astimezone(UTC).date(), folder=file.parent)
    if check.charter is None:
        raise _reject(ledger, file, text, check, now=now, actor=actor, shown=str(path))
    charter, digest = check.charter, charter_digest(check.charter)
    before = ledger.charter(charter.agent)
    if before is not None and before.digest != digest:
        # First, so that a kill behind it lets no tool do more than two persons agreed to.
        note_widening(ledger, before, charter, digest=digest, actor=actor, now=now)
    others = ledger.charters() if before is None else ()
    record = ledger.accept_charter(
        agent=charter.agent, digest=digest, text=text, path=str(file), at=now, files=charter.files
    )
    changed = before is None or before.number != record.number
    if changed or rejection_note(ledger, charter.agent) is not None:
        _record(ledger, ACCEPTED, record.agent, now, actor, number=record.number, digest=record.digest)
    return Acceptance(
        record=record,
        charter=charter,
        changed=changed,
        check=check,
        renamed_from=next((one.agent for one in others if one.path == str(file)), None),
    )


def rejection_note(ledger: Ledger, agent: str, *, at: datetime | None = None) -> str | None:
    """Return what a verdict says when a newer charter file was rejected, or None.

    Args:
        ledger: Where decisions are kept.
        agent: Agent id.
        at: The moment that is judged; None for now.
    """
    rejected = ledger.decisions(agent, kind=REJECTED, limit=1)
    accepted = ledger.decisions(agent, kind=ACCEPTED, limit=1)
    if not rejected or (accepted and accepted[0].sequence > rejected[0].sequence):
        return None
    if at is not None and rejected[0].at > at:
        return None
    document = json.loads(rejected[0].document)
    return (
        f"Charter {document['number']} rejected on {minute(rejected[0].at)}; "
        f"charter {document['number'] - 1} stays in force. `pilothouse check {document['path']}` says why."
    )


def _reject(
    ledger: Ledger, file: Path, text: str, check: CharterCheck, *, now: datetime, actor: str, shown: str
) -> CharterInvalid:
    """Record a rejection when an earlier charter stays in force, and return the error to raise."""
    errors = check.of_kind(FindingKind.ERROR)
    findings = tuple(finding.text for finding in errors)
    earlier = _earlier(ledger, file, text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if earlier is not None:
        stands = rejection_note(ledger, earlier.agent) is not None
        last = ledger.decisions(earlier.agent, kind=REJECTED, limit=1) if stands else ()
        if not (last and json.loads(last[0].document)["text_digest"] == digest):
            _record(
                ledger,
                REJECTED,
                earlier.agent,
                now,
                actor,
                number=earlier.number + 1,
                path=str(file),
                text_digest=digest,
                findings=list(findings[:FINDINGS_KEPT_MAX]),
            )
    kept = f"; charter {earlier.number} of {earlier.agent!r} stays in force" if earlier else ""
    return CharterInvalid(
        f"{shown} has {len(errors)} error{'s' if len(errors) != 1 else ''}{kept}",
        remedy=f"Correct them, then run `pilothouse check {shown}`.",
        findings=findings,
        subject=earlier.agent if earlier else shown,
    )


def _earlier(ledger: Ledger, file: Path, text: str) -> CharterInForce | None:
    """Return the charter in force that a broken file was meant to replace: by its agent, else by its path."""
    value = read_charter_text(text, file=str(file)).value
    agent = value.get("agent") if isinstance(value, dict) else None
    if isinstance(agent, str) and re.fullmatch(ID, agent):
        return ledger.charter(agent)
    return next((one for one in ledger.charters() if one.path == str(file)), None)


def _record(ledger: Ledger, kind: str, agent: str, now: datetime, actor: str, **document: object) -> None:
    ledger.record(kind=kind, agent=agent, at=now, actor=actor, document=canonical_json(document))
