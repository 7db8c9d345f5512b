# SPDX-License-Identifier: Apache-2.0
"""Verify, anchor and export the audit log, and write the evidence of MON-10."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import WARNINGS, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.durable_file import fsync_path
from pilothouse.errors import DigestMismatch, MalformedRecord, StorageUnavailable, UsageError
from pilothouse.ledger.audit import StoredCheckpoint
from pilothouse.ledger.audit_rows import Entries
from pilothouse.ledger.audit_standing import Standing
from pilothouse.ledger.audit_subjects import commitment_of
from pilothouse.ledger.checkpoint import NOTE_MAX, Checkpoint, open_note
from pilothouse.ledger.key_history import KEY_REPLACED, KeyHistory
from pilothouse.ledger.row_log import ROWS_CHANGED
from pilothouse.ledger.tlog import Tree, leaf_hash
from pilothouse.workflows.ground.boundary_room import BoundaryRoom

__all__ = [
    "ANCHORED",
    "ANCHOR_OUTSIDE",
    "EXPORTED",
    "LogCheck",
    "anchor_log",
    "export_bundle",
    "held_against",
    "read_note",
    "verify_log",
]

ANCHORED, EXPORTED = "audit.anchored", "audit.exported"
ERASED = "subject.erased"
ANCHOR_OUTSIDE = "pilothouse audit anchor FOLDER --outside"
"""What rules out that whoever may write the ledger rewrites it whole, with its own keys."""
PROBLEMS_MAX = 20
ANCHORS_MAX = 100
"""Anchors that are held against the log, the newest: each of them confirms all records before it."""
BUNDLE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """What the log proves.

    Attributes:
        records: Records that were read.
        checkpoints: Checkpoints that were held against them.
        anchored: Largest size that an anchor outside this ledger confirms; None without one.
        outside: The same for anchors under other rights than the ledger's, which its operator cannot rewrite.
        rows: Prices, outcomes, questions, labels, approvals, incidents, pauses, faults of drills, keys, sessions and contacts that are as the log has them.
        payloads: Encrypted payloads that were opened and held against their commitment.
        erased: Payloads whose key was destroyed.
        problems: The first findings, in words; empty when everything verifies.
    """

    records: int
    checkpoints: int
    anchored: int | None
    outside: int | None
    rows: int
    payloads: int
    erased: int
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is missing and nothing was changed."""
        return not self.problems


class _Commitment(BaseModel):
    name: str
    subject: str
    commitment: str


class _Record(BaseModel):
    """What a stored record says of itself; it may have been written by anybody."""

    position: int
    agent: str
    kind: str
    actor: str
    at_us: int
    document: dict[str, Any]
    commitments: tuple[_Commitment, ...]


def verify_log(room: BoundaryRoom, now: datetime, *, against: tuple[Path, ...] = ()) -> LogCheck:
    """Read the whole log, hold it against every checkpoint and anchor, and write the evidence of each agent.

    Args:
        room: Installation with its audit log.
        now: The present moment, aware UTC.
        against: Further checkpoints, from anchors or from an auditor.

    Raises:
        UsageError: One of those files cannot be read.
    """
    problems: list[str] = []
    _check_key(room, problems)
    # Before the records: what is signed while they are read covers more of them than were read, and nothing is missing.
    stored = room.log.checkpoints()
    anchors = _anchors(room)
    # After what it is held against: a key that was replaced meanwhile is in it.
    history = room.log.key_history()
    texts = room.log.texts()
    records = _readable(texts, problems)
    tree = Tree(leaf_hash(text.encode()) for _, text in texts)
    _check_replaced(room, records, tree, problems)
    for one in stored:
        problems.extend(held_against(history, tree, one.note, f"checkpoint of {one.size:,} records"))
    anchored, outside = _anchored(history, anchors, tree, problems)
    for path in against:
        found = held_against(history, tree, read_note(path), str(path))
        problems.extend(found)
        if not found:  # where it was kept nobody has put on record, so it is none under other rights
            anchored = max(anchored or 0, open_note(read_note(path), None).size)
    _check_columns(room, records, problems)
    rows = 0
    if len(records) == len(texts):  # behind a record that is missing, nobody knows what was named
        _check_rows(room, records, problems)
        rows = _check_standing(room, records, problems)
    payloads, erased = _check_payloads(room, records, problems)
    check = LogCheck(
        records=len(texts),
        checkpoints=len(stored),
        anchored=anchored,
        outside=outside,
        rows=rows,
        payloads=payloads,
        erased=erased,
        problems=tuple(problems[:PROBLEMS_MAX]),
    )
    if texts:
        room.installation.ledger.add_evidence(
            [one for agent in room.agents() for one in _evidence(agent, check, now)]
        )
    return check


def anchor_log(
    room: BoundaryRoom, folder: Path, *, outside: bool, actor: str, now: datetime
) -> tuple[StoredCheckpoint, Path]:
    """Sign the present state and put the checkpoint where whoever rewrites this ledger cannot reach it.

    Args:
        room: Installation with its audit log.
        folder: Where it goes; only what is outside this machine's rights protects against its operator.
        outside: Whether the folder is under other rights than the ledger.
        actor: Who anchors.
        now: The present moment, aware UTC.

    Raises:
        StorageUnavailable: The file cannot be written.
    """
    checkpoint = room.log.sign()
    path = folder.absolute() / f"{_anchor_prefix(room)}{checkpoint.size:012}.checkpoint"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_anchor(path, checkpoint.note)
    except OSError as error:
        raise StorageUnavailable(
            f"the anchor {path} cannot be written ({error.strerror})",
            remedy="Name a folder that this user may write: `pilothouse audit anchor FOLDER`.",
            subject=str(path),
        ) from error
    room.installation.ledger.record(
        kind=ANCHORED,
        agent="",
        at=now,
        actor=actor,
        document=canonical_json({"size": checkpoint.size, "path": str(path), "outside": outside}),
    )
    return checkpoint, path


def _anchor_prefix(room: BoundaryRoom) -> str:
    """Return how the name of each anchor of this log begins; its size follows, with zeros so that names stand in order."""
    return f"{room.log.keys.origin.replace('/', '-')}-"


def _write_anchor(path: Path, note: str) -> None:
    """Write an anchor and its name to the disk; one that is there is never opened for writing, since a full disk would empty it.

    Raises:
        OSError: It cannot be written, or another text has its name.
    """
    if not path.exists() or path.read_text("utf-8", "replace") != note:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                path.unlink(missing_ok=True)  # half an anchor would be in the way of the next try
                raise
    fsync_path(path.parent)


def export_bundle(room: BoundaryRoom, target: Path, *, actor: str, now: datetime) -> Checkpoint:
    """Write one file that `pilothouse-verify` checks on a machine without Pilothouse, and record that it was handed out.

    Args:
        room: Installation with its audit log.
        target: Where it goes; a new file.
        actor: Who takes it.
        now: The present moment, aware UTC.

    Raises:
        UsageError: The file exists already.
        StorageUnavailable: It cannot be written.
    """
    if target.exists():
        raise UsageError(
            f"{target} exists already",
            remedy="Name a new file: `pilothouse audit export NEW.zip`.",
            subject=str(target),
        )
    # In this order: others write meanwhile, and what comes after the checkpoint is not in the bundle.
    charters = room.installation.ledger.charters()
    size, rows = room.log.standing_lines()
    checkpoint = room.log.sign(size)
    signed = [one for one in room.log.checkpoints() if one.size <= checkpoint.size]
    texts = room.log.texts()[: checkpoint.size]
    manifest = {
        "version": BUNDLE_VERSION,
        "origin": room.log.keys.origin,
        "size": checkpoint.size,
        "key": str(room.log.key_history().present),
    }
    try:
        with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("manifest.json", canonical_json(manifest))
            bundle.writestr("records.jsonl", "".join(f"{text}\n" for _, text in texts))
            bundle.writestr("rows.jsonl", "".join(f"{line}\n" for line in rows))
            for one in signed:
                bundle.writestr(f"checkpoints/{one.size:012}.checkpoint", one.note)
            for record in charters:
                bundle.writestr(f"charters/{record.agent}-{record.number}.yaml", record.text)
        with target.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    except OSError as error:
        if not isinstance(error, FileExistsError):  # half a bundle would be in the way of the next one
            target.unlink(missing_ok=True)
        raise StorageUnavailable(
            f"{target} cannot be written ({error.strerror})",
            remedy="Name a file in a folder that this user may write: `pilothouse audit export FILE`.",
            subject=str(target),
        ) from error
    room.installation.ledger.record(
        kind=EXPORTED,
        agent="",
        at=now,
        actor=actor,
        document=canonical_json({"size": checkpoint.size, "sha256": digest}),
    )
    return open_note(checkpoint.note, None)


def read_note(path: Path) -> str:
    """Read a checkpoint file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")[: NOTE_MAX + 1]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the checkpoint {path} cannot be read",
            remedy="Name a file that `pilothouse audit anchor FOLDER` wrote.",
            subject=str(path),
        ) from error


def held_against(history: KeyHistory, tree: Tree, note: str, name: str) -> list[str]:
    """Return what is wrong between the records and one checkpoint.

    Args:
        history: Keys of the log.
        tree: The whole log.
        note: Text of the checkpoint.
        name: What it is called in words.
    """
    try:
        checkpoint = history.open(note)
    except (MalformedRecord, DigestMismatch) as error:
        return [f"{name}: {error.message}"]
    if checkpoint.origin != history.present.name:
        return [f"{name}: it is of another log, {checkpoint.origin}"]
    if checkpoint.size > len(tree):
        return [f"{name}: it covers {checkpoint.size:,} records and {len(tree):,} are here: some are missing"]
    if tree.root(checkpoint.size) != checkpoint.root:
        return [f"{name}: the first {checkpoint.size:,} records are not those that were signed"]
    return []


def _anchors(room: BoundaryRoom) -> dict[Path, bool]:
    """Return the files of anchors, each with whether the log has it as one under other rights.

    Beside those that the log names lie others that it signed: one that was put back to an older copy names no later one. What
    it did not sign says nothing of it, and anybody may put it there.
    """
    named = {
        Path(said["path"]): bool(said["outside"])
        for decision in room.installation.ledger.decisions("", kind=ANCHORED, limit=ANCHORS_MAX)
        for said in [json.loads(decision.document)]
    }
    pattern = f"{glob.escape(_anchor_prefix(room))}*.checkpoint"
    beside = {path for folder in {one.parent for one in named} for path in folder.glob(pattern)}
    newest = sorted(beside.difference(named), key=lambda path: path.name)[-ANCHORS_MAX:]
    history = room.log.key_history()
    ours = [path for path in newest if _is_signed(history, path)]
    return dict.fromkeys(ours, False) | {path: at for path, at in named.items() if _is_there(path)}


def _is_there(path: Path) -> bool:
    """Whether an anchor can be seen: a folder under other rights may be closed to whoever verifies, and then confirms nothing."""
    with contextlib.suppress(OSError):
        return path.exists()
    return False


def _is_signed(history: KeyHistory, path: Path) -> bool:
    with contextlib.suppress(UsageError, MalformedRecord, DigestMismatch):
        history.open(read_note(path))
        return True
    return False


def _anchored(
    history: KeyHistory, anchors: Mapping[Path, bool], tree: Tree, problems: list[str]
) -> tuple[int | None, int | None]:
    """The largest sizes that any anchor and one outside confirm; one that disagrees is a problem, one gone is none."""
    largest: int | None = None
    outside: int | None = None
    for path, is_outside in anchors.items():
        try:
            note = read_note(path)
        except UsageError as error:  # who may write there must not be able to end the verification
            problems.append(error.message)
            continue
        found = held_against(history, tree, note, f"anchor {path}")
        problems.extend(found)
        if not found:
            size = open_note(note, None).size
            largest = max(largest or 0, size)
            outside = max(outside or 0, size) if is_outside else outside
    return largest, outside


def _readable(texts: list[tuple[int, str]], problems: list[str]) -> list[_Record]:
    """The records up to the first that is missing, unreadable or out of its place."""
    records: list[_Record] = []
    for expected, (position, text) in enumerate(texts):
        try:
            record = _Record.model_validate_json(text)
        except ValidationError:
            problems.append(f"record {position} is no record: somebody wrote something else there")
            break
        if position != expected or record.position != expected:
            problems.append(f"record {expected} is missing or stands in the wrong place")
            break
        records.append(record)
    return records


def _check_key(room: BoundaryRoom, problems: list[str]) -> None:
    """The key beside the ledger must be the one that the log names: another one's signatures prove nothing."""
    try:
        room.log.signing_keys()
    except StorageUnavailable as error:
        problems.append(f"{error.message}. {error.remedy}")


def _check_replaced(room: BoundaryRoom, records: list[_Record], tree: Tree, problems: list[str]) -> None:
    """Each change of the key must be signed by the old and the new one, over the records before it."""
    entries = [(one.position, str(one.document.get("note"))) for one in records if one.kind == KEY_REPLACED]
    history, wrong = KeyHistory.read(entries, room.log.keys.verifier)
    for one in history.replaced:
        size = one.checkpoint.size
        if tree.root(size) != one.checkpoint.root:
            wrong[size] = "the records before it are not those that both keys signed"
    problems.extend(f"record {position}: {what}" for position, what in sorted(wrong.items()))


def _check_payloads(room: BoundaryRoom, records: list[_Record], problems: list[str]) -> tuple[int, int]:
    """Hold every payload against its commitment; only what a record says was erased may be gone."""
    opened = erased = 0
    gone = {one.document.get("subject") for one in records if one.kind == ERASED}
    missing: list[tuple[str, str]] = []
    for record in records:
        kept = room.log.payloads(record.position) if record.commitments else {}
        for said in record.commitments:
            payload = kept.get(said.name)
            if payload is not None and commitment_of(*payload) == said.commitment:
                opened += 1
            elif payload is None and said.subject in gone:
                erased += 1
            elif payload is None:
                missing.append((said.subject, f"payload {said.name} of record {record.position}"))
            else:
                problems.append(f"payload {said.name} of record {record.position}: it was replaced")
    if missing:  # somebody may have been erased since the records were read
        gone = {one.document.get("subject") for one in _since(room, len(records)) if one.kind == ERASED}
        erased += sum(subject in gone for subject, _ in missing)
        problems.extend(
            f"{what}: it cannot be read, and no record says that it was erased"
            for subject, what in missing
            if subject not in gone
        )
    return opened, erased


def _since(room: BoundaryRoom, size: int) -> list[_Record]:
    """Return the records after the first `size`, as far as they can be read."""
    found = []
    for _, text in room.log.texts(start=size):
        with contextlib.suppress(ValidationError):
            found.append(_Record.model_validate_json(text))
    return found


def _check_rows(room: BoundaryRoom, records: list[_Record], problems: list[str]) -> None:
    """Charters, verdicts, decisions and evidence must be those that the log names: they are what is read."""
    found, unnamed = room.log.compare_rows(_entries(records))
    problems.extend(found)
    if unnamed.named or unnamed.measured:  # written since the records were read
        since = _entries(_since(room, len(records)))
        problems.extend(
            f"{unnamed.words[key]}: no record of the log names it" for key in unnamed.named - since.named
        )
        problems.extend(
            f"the record of evidence {digest[:12]} of {agent}: no record of the log names it"
            for agent, digest in sorted(unnamed.measured - since.measured)
        )


def _check_standing(room: BoundaryRoom, records: list[_Record], problems: list[str]) -> int:
    """Prices, outcomes, questions, labels, approvals, incidents, pauses, faults of drills, keys, sessions and contacts must be what came and did not go."""
    standing = Standing()
    for one in records:
        if one.kind == ROWS_CHANGED:
            standing.add(one.document, one.position)
    found, rows = room.log.compare_standing(standing, len(records))
    problems.extend(found)
    return rows


def _entries(records: list[_Record]) -> Entries:
    entries = Entries()
    for one in records:
        entries.add(
            kind=one.kind,
            agent=one.agent,
            actor=one.actor,
            at_us=one.at_us,
            document=one.document,
            position=one.position,
        )
    return entries


def _check_columns(room: BoundaryRoom, records: list[_Record], problems: list[str]) -> None:
    """What finds a record must say what the record says, or a search would miss it."""
    found = room.log.columns()
    problems.extend(
        f"record {one.position} is filed under another agent, kind or moment than it names"
        for one in records
        if found.get(one.position) != (one.agent, one.kind, one.at_us)
    )


def _evidence(agent: str, check: LogCheck, now: datetime) -> Iterator[Evidence]:
    anchored = "no anchor confirms it" if check.anchored is None else f"anchored to record {check.anchored:,}"
    warnings = {}
    if check.outside is None:
        anchored += f", none under other rights ({ANCHOR_OUTSIDE})"
        warnings = {WARNINGS: 1}
    found = f"; {check.problems[0]}" if check.problems else ""
    if check.outside is not None and check.holds:
        yield bound_record(
            "audit.anchored",
            agent,
            now,
            command="pilothouse audit verify",
            n=check.records,
            passed=True,
            detail=f"confirmed to record {check.outside:,} of {check.records:,}",
        )
    yield bound_record(
        "audit.verified",
        agent,
        now,
        command="pilothouse audit verify",
        n=check.records,
        passed=check.holds,
        counts={"anchored": check.anchored or 0, "anchored_outside": check.outside or 0, **warnings},
        detail=f"verified to record {check.records:,}, {anchored}{found}",
    )
