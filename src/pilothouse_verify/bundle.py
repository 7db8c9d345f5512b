# SPDX-License-Identifier: Apache-2.0
"""Checks one bundle: every record under every checkpoint, nothing missing, nothing changed, signed by whom."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilothouse_verify.keys import REPLACED_SINCE, KeyRing, Replaced, parse_replaced, parse_ring
from pilothouse_verify.note import Note, parse_note
from pilothouse_verify.proof import KEY_FILE
from pilothouse_verify.rows import ROWS_ENTRY, StandingRows
from pilothouse_verify.tree import GrowingRoot

__all__ = ["RECORD_BYTES_MAX", "UNREADABLE", "Result", "check_bundle", "why_no_bundle"]

RECORD_BYTES_MAX = 64 * 1024
"""A record is a few kilobytes; a longer line is not one of ours."""

FILE_BYTES_MAX = 4 * 1024**3
RATIO_MAX, RATIO_FROM_BYTES = 200, 16 * 1024**2
"""A bundle that grows more than this is a bomb: records of JSON shrink about tenfold. What is small anyway, as a charter of
many blanks, harms nobody."""

UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a file raises that somebody damaged or made up: the zip, its compression, or the shape of what is in it."""

ENTRIES = ("manifest.json", "proof.json", "records.jsonl", "checkpoints/")
"""What a bundle has one of, whatever was taken out of it."""

ZIP_HEAD = b"PK"

CHARTER_ENTRY = "charter.in_force"
KEY_ENTRY = "audit.key_replaced"
NOT_BOTH = "the key was replaced without the signatures of the old and the new one over the records before it"


@dataclass
class Result:
    """What was found.

    Attributes:
        records: Records that were read.
        checkpoints: Checkpoints that hold.
        problems: What is wrong.
        missing: What an auditor would still need to believe it.
    """

    records: int = 0
    checkpoints: int = 0
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def why_no_bundle(path: Path) -> str:
    """Say why a file was never a bundle, or nothing where it is one, whole or damaged.

    Args:
        path: Any file.

    Example:
        >>> why_no_bundle(Path(__file__))
        'it is no zip file'
    """
    with path.open("rb") as file:
        if file.read(len(ZIP_HEAD)) != ZIP_HEAD:
            return "it is no zip file"
    try:
        with zipfile.ZipFile(path) as bundle:
            is_one = any(name.startswith(ENTRIES) for name in bundle.namelist())
            return "" if is_one else "nothing in it is of one"
    except UNREADABLE:
        return ""


def check_bundle(path: Path, *, key: str | None, anchors: tuple[Path, ...]) -> Result:
    """Check a bundle.

    Args:
        path: Zip file.
        key: Verifier key that reached the auditor another way, or None.
        anchors: Checkpoints that reached the auditor another way.

    Returns:
        What was found; nothing in it is believed because the bundle says so.
    """
    result = Result()
    try:
        with zipfile.ZipFile(path) as bundle:
            _check(bundle, result, key=key, anchors=anchors)
    except UNREADABLE as error:
        result.problems.append(
            f"it begins as a zip file and cannot be read to its end ({type(error).__name__}): cut off, damaged or changed"
        )
    return result


def _check(bundle: zipfile.ZipFile, result: Result, *, key: str | None, anchors: tuple[Path, ...]) -> None:
    for member in bundle.infolist():
        grows = member.file_size > max(RATIO_MAX * member.compress_size, RATIO_FROM_BYTES)
        if member.file_size > FILE_BYTES_MAX or grows:
            result.problems.append(f"{member.filename} is larger than a bundle may have")
            return
    twice = [name for name, count in Counter(bundle.namelist()).items() if count > 1]
    if twice:  # another program would unpack the other one
        result.problems.append(f"{twice[0]} stands in it twice")
        return
    manifest = json.loads(bundle.read("manifest.json"))
    given = parse_ring(key) if key else None
    if key and given is None:
        result.problems.append("the key that was given is no Ed25519 verifier key")
        return
    believed = given or parse_ring(str(manifest.get("key", "")))
    if believed is None:
        result.problems.append("the bundle names no key")
        return
    if given is None:
        result.missing.append(
            "signer not confirmed: give the log's key with --key, from another way than the bundle"
        )
    notes = _notes(bundle, result, believed.name, anchors)
    if not anchors:
        result.missing.append(
            "no anchor: give a checkpoint from outside with --checkpoint to rule out a fork"
        )
    _check_records(bundle, result, manifest, believed, notes)


def _notes(
    bundle: zipfile.ZipFile, result: Result, origin: str, anchors: tuple[Path, ...]
) -> list[tuple[str, Note]]:
    texts = [
        (name, bundle.read(name).decode("utf-8", "replace"))
        for name in sorted(bundle.namelist())
        if name.startswith("checkpoints/")
    ]
    texts += [(str(anchor), anchor.read_text(encoding="utf-8", errors="replace")) for anchor in anchors]
    notes = []
    for name, text in texts:
        note = parse_note(text)
        if note is None:
            result.problems.append(f"{name} is no checkpoint")
        elif note.origin != origin:
            result.problems.append(f"{name} is of another log, {note.origin}")
        else:
            notes.append((name, note))
    return sorted(notes, key=lambda one: one[1].size)


def _check_records(
    bundle: zipfile.ZipFile,
    result: Result,
    manifest: dict[str, object],
    key: KeyRing,
    notes: list[tuple[str, Note]],
) -> None:
    growing, waiting, rows = GrowingRoot(), list(notes), StandingRows()
    charters: dict[str, str] = {}
    changes: list[Replaced] = []
    for line in _lines(bundle, "records.jsonl"):
        _hold(growing, waiting, result)
        if len(line) > RECORD_BYTES_MAX:
            result.problems.append(f"record {growing.size} is larger than a record")
            return
        record = _record_of(line)
        problem = _problem_of(record, growing.size)
        if problem is not None:
            result.problems.append(f"record {growing.size}: {problem}")
        elif record["kind"] == CHARTER_ENTRY:
            said = record["document"]
            charters[f"charters/{record['agent']}-{said['number']}.yaml"] = said["text_sha256"]
        elif record["kind"] == ROWS_ENTRY:
            problem = rows.add(record["document"], growing.size)
            if problem is not None:
                result.problems.append(f"record {growing.size}: {problem}")
        elif record["kind"] == KEY_ENTRY:
            said = record["document"]
            change = parse_replaced(str(said.get("note"))) if isinstance(said, dict) else None
            if change is None or (change.size, change.root) != (growing.size, growing.root()):
                result.problems.append(f"record {growing.size}: {NOT_BOTH}")
            else:
                changes.append(change)
        growing.add(line)
    _hold(growing, waiting, result)
    _check_signers(result, key, changes, notes)
    _check_charters(bundle, result, charters)
    # A bundle of an older Pilothouse has no rows, and its records name none.
    given = _lines(bundle, "rows.jsonl") if "rows.jsonl" in bundle.namelist() else ()
    result.problems.extend(rows.compare(given))
    result.records = growing.size
    for name, note in waiting:
        result.problems.append(f"{name} covers {note.size:,} records and the bundle has {growing.size:,}")
    if manifest.get("size") != growing.size or manifest.get("origin") != key.name:
        result.problems.append("the manifest is not that of these records")
    if not any(note.size == growing.size for _, note in notes):
        result.problems.append("no checkpoint covers the last record")


def _check_signers(
    result: Result, key: KeyRing, changes: list[Replaced], notes: list[tuple[str, Note]]
) -> None:
    """Hold each checkpoint against the keys that may sign so many records, as the records say who replaced whom."""
    key, problems, missing = key.joined(changes)
    result.problems.extend(problems)
    result.missing.extend(missing)
    result.problems.extend(
        f"{name} is not signed by {key.name}; {KEY_FILE}" for name, note in notes if not key.signed(note)
    )
    if notes and not any(note.is_signed_by(key.present) for _, note in notes):
        result.missing.append(REPLACED_SINCE)


def _hold(growing: GrowingRoot, waiting: list[tuple[str, Note]], result: Result) -> None:
    """Hold the records so far against every checkpoint of this size."""
    while waiting and waiting[0][1].size == growing.size:
        name, note = waiting.pop(0)
        if note.root == growing.root():
            result.checkpoints += 1
        else:
            result.problems.append(f"{name}: the first {note.size:,} records are not those that were signed")


def _lines(bundle: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with bundle.open(name) as file:
        while line := file.readline(
            RECORD_BYTES_MAX + 2
        ):  # a longer one is seen to be, and is never in memory
            yield line.removesuffix(b"\n")


def _record_of(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _problem_of(record: Any, position: int) -> str | None:
    if record is None:
        return "it is no JSON"
    if not isinstance(record, dict) or record.get("position") != position:
        return "it is missing, or stands in the wrong place"
    return None


def _check_charters(bundle: zipfile.ZipFile, result: Result, named: dict[str, str]) -> None:
    """Hold each charter against the record of the moment in which it came into force."""
    for name in bundle.namelist():
        if name.startswith("charters/") and hashlib.sha256(bundle.read(name)).hexdigest() != named.get(name):
            result.problems.append(f"{name} is not the charter that came into force")
