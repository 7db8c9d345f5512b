# SPDX-License-Identifier: Apache-2.0
"""The auditor's bundle: one verdict with everything it rests on, under one signed digest.

Every file is named in a manifest by its digest; the digest of the manifest is a record of the audit log, and the
bundle carries the proof that this record stands under a signed checkpoint. Whoever has the log's key from another
way needs nothing else of us.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.core.charter.digest import canonical_json, charter_document
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.framework import FRAMEWORK, FRAMEWORK_VERSION
from pilothouse.core.verdict.readiness import verdict_digest, verdict_document
from pilothouse.core.verdict.requirement import Committed, Rule
from pilothouse.errors import StorageUnavailable, UsageError
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.reports.compliance import build_compliance
from pilothouse.reports.view_models import page_json
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.decision_log import every_decision
from pilothouse.workflows.reports.log_proofs import proven_sizes
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["EXPORTED", "Exported", "export_evidence", "rule_document"]

EXPORTED = "evidence.exported"
"""Kind of the record that holds the digest of a bundle's manifest."""

BUNDLE_VERSION = 1

VERDICTS_MAX = 30
"""Earlier verdicts in a bundle, newest first; each is 0.2 MB."""

CHARTERS_MAX = 100
"""Charters in a bundle, newest first."""

_MICROSECOND = timedelta(microseconds=1)

_README = """This file holds one verdict about one agent and everything it rests on.

verdict.json     the verdict, as it was given; its digest is in the manifest
evidence.jsonl   the records behind it, one a line
rules.json       by which rule each kind of record decides which requirement, against what, and how long it counts
charter.json     the charter that judged, as data: its digest is in the verdict
charters/        the charters that were in force, the newest last
verdicts/        earlier verdicts, as they were frozen, the newest first; where a day was asked for, from its last one on
decisions.jsonl  what people and the system decided about the agent
compliance.json  which controls of which frameworks the evidence speaks to
manifest.json    the digest of every file above
proof.json       the audit record that holds the manifest's digest, its proof under a signed checkpoint, and that this
                 checkpoint goes on from each one that was anchored

Check it with `pilothouse-verify FILE --key KEY --checkpoint ANCHOR`, with the key, and a checkpoint of the log from
before this file was written, from another way than this file. The program needs
neither Pilothouse nor a network: it recomputes every digest, every rate and bound from the records, until when each
record counts, and every status from the rules, and names what differs.
"""


VERDICTS = "verdicts/"
"""Folder of the earlier verdicts."""

EVIDENCE_FILE = "evidence.jsonl"
"""Every record of the agent, those whose place a newer one took as well: they change no verdict, and an auditor wants them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a bundle holds.

    Attributes:
        word: The word of the verdict.
        records: Records of evidence.
        items: Items that rest on one of them.
        manifest: Digest of the manifest.
        earlier: Moment and word of the newest of the earlier verdicts, or None without any.
    """

    word: str
    records: int
    items: int
    manifest: str
    earlier: tuple[datetime, str] | None = None


def export_evidence(
    room: BoundaryRoom, found: Assessment, target: Path, *, until: datetime | None = None
) -> Exported:
    """Write the bundle of an assessment.

    Args:
        room: Installation with its audit log.
        found: The assessment; its verdict is frozen.
        target: Zip file to write.
        until: The earlier verdicts begin with the last one up to this moment; None for the newest.

    Raises:
        UsageError: The file exists already.
        StorageUnavailable: It cannot be written.
    """
    if target.exists():
        raise UsageError(
            f"{target} exists already",
            remedy=f"Name a new file: `pilothouse report auditor NEW.zip {found.charter.agent}`.",
            subject=str(target),
        )
    files = dict(_files(room.installation.ledger, found, until))
    manifest = canonical_json(
        {
            "kind": "evidence",
            "version": BUNDLE_VERSION,
            "agent": found.charter.agent,
            "as_of": found.verdict.as_of.isoformat(),
            "verdict": verdict_digest(found.verdict),
            "framework": FRAMEWORK_VERSION,
            "origin": room.log.keys.origin,
            "key": str(room.log.key_history().present),
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }
    )
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    files["manifest.json"] = manifest.encode()
    files["proof.json"] = _proof(room, found.charter.agent, digest, found.verdict.as_of).encode()
    try:
        with target.open("xb") as file:
            file.write(_packed(files))
    except OSError as error:
        if not isinstance(error, FileExistsError):  # half a bundle would be in the way of the next one
            target.unlink(missing_ok=True)
        raise StorageUnavailable(
            f"{target} cannot be written ({error.strerror})",
            remedy="Name a file in a folder that this user may write: `pilothouse report auditor FILE`.",
            subject=str(target),
        ) from error
    items = sum(item.evidence is not None for one in found.verdict.requirements for item in one.items)
    newest = files.get(f"{VERDICTS}000.json")
    said = None if newest is None else json.loads(newest)
    return Exported(
        word=found.verdict.word,
        records=files[EVIDENCE_FILE].count(b"\n"),
        items=items,
        manifest=digest,
        earlier=None if said is None else (datetime.fromisoformat(said["as_of"]), said["word"]),
    )


def _files(ledger: Ledger, found: Assessment, until: datetime | None) -> Iterator[tuple[str, bytes]]:
    agent, now = found.charter.agent, found.verdict.as_of
    yield "README.txt", _README.encode()
    yield "verdict.json", verdict_document(found.verdict).encode()
    stored = (one for one in ledger.evidence(agent) if one.recorded_at <= now)
    yield EVIDENCE_FILE, _lines(_record(one) for one in (*found.folded, *stored))
    yield "charter.json", canonical_json(charter_document(found.charter)).encode()
    yield "rules.json", canonical_json(list(_rules())).encode()
    yield "compliance.json", page_json(build_compliance(found.charter, found.verdict, now)).encode()
    for record in _charters(ledger, found.in_force):
        yield f"charters/{record.number:06}-{record.accepted_at:%Y%m%dT%H%M%SZ}.yaml", record.text.encode()
    for number, text in enumerate(_verdicts(ledger, agent, until or now - _MICROSECOND)):
        yield f"{VERDICTS}{number:03}.json", text.encode()
    decisions = (
        canonical_json(
            {
                "sequence": row.sequence,
                "kind": row.kind,
                "at": row.at.isoformat(),
                "actor": row.actor,
                "document": json.loads(row.document),
            }
        )
        for row in reversed(list(every_decision(ledger, agent)))
    )
    yield "decisions.jsonl", _lines(decisions)


def _lines(texts: Iterator[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


def _record(record: Evidence) -> str:
    return canonical_json(record.model_dump(mode="json"))


def _rules() -> Iterator[Mapping[str, object]]:
    for requirement in FRAMEWORK:
        yield {
            "requirement": requirement.id,
            "gates": list(requirement.gates),
            "of": list(requirement.of),
            "parts": [
                {
                    "name": part.name,
                    "kind": part.kind,
                    "rule": rule_document(part.rule),
                    "bound": _number(getattr(part.rule, "bound", None)),
                    "fresh": part.fresh.total_seconds() if isinstance(part.fresh, timedelta) else part.fresh,
                    "otherwise": None if part.otherwise is None else part.otherwise.total_seconds(),
                    "grace": part.grace,
                    "early": part.early,
                    "since": part.since,
                    "each_phase": part.each_phase,
                }
                for part in requirement.parts
            ],
        }


def rule_document(rule: Rule) -> Mapping[str, object]:
    """Return a rule as the bundle names it, without its bound.

    Args:
        rule: A rule of a requirement.

    Example:
        >>> from pilothouse.core.verdict.requirement import Zero
        >>> rule_document(Zero(n=59))
        {'name': 'zero', 'n': 59}
    """
    terms = {one.name: _number(getattr(rule, one.name)) for one in fields(rule) if one.name != "bound"}
    return {"name": type(rule).__name__.lower(), **terms}


def _number(said: object) -> object:
    """Return a fixed number, or where in the charter it stands; None for none."""
    return asdict(said) if isinstance(said, Committed) else said


def _charters(ledger: Ledger, in_force: CharterInForce) -> list[CharterInForce]:
    found: list[CharterInForce] = []
    record: CharterInForce | None = in_force
    while record is not None and len(found) < CHARTERS_MAX:
        found.append(record)
        record = ledger.charter(in_force.agent, number=record.number - 1)
    return found[::-1]


def _verdicts(ledger: Ledger, agent: str, moment: datetime) -> Iterator[str]:
    for _ in range(VERDICTS_MAX):
        text = ledger.latest_verdict(agent, at=moment)
        if text is None:
            return
        yield text
        moment = datetime.fromisoformat(json.loads(text)["as_of"]) - _MICROSECOND


def _proof(room: BoundaryRoom, agent: str, manifest: str, now: datetime) -> str:
    """Record the manifest's digest, sign the log, and return the record's proof."""
    document = canonical_json({"manifest": manifest})
    room.installation.ledger.record(
        kind=EXPORTED, agent=agent, at=now, actor="pilothouse report auditor", document=document
    )
    signed = room.log.sign()
    record = next(
        one for one in room.log.search(agent=agent, kind=EXPORTED, limit=10) if manifest in one.text
    )
    tree = room.log.tree()
    path = tree.inclusion(record.position, signed.size)
    return canonical_json(
        {
            "record": record.text,
            "position": record.position,
            "path": [base64.b64encode(node).decode() for node in path],
            "checkpoint": signed.note,
            "extends": proven_sizes(room, tree, signed.size),
            "replaced": [one.note for one in room.log.key_history().replaced],
        }
    )


def _packed(files: Mapping[str, bytes]) -> bytes:
    """Return the one zip file that these contents make, so that a changed byte anywhere in it can be seen."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            bundle.writestr(entry, files[name])
    return buffer.getvalue()
