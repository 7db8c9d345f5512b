# SPDX-License-Identifier: Apache-2.0
"""Checks a bundle of evidence: every byte under one signed digest, and the verdict again from the records."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from pilothouse_verify.bundle import UNREADABLE
from pilothouse_verify.canonical import canonical
from pilothouse_verify.keys import KeyRing, parse_replaced, parse_ring
from pilothouse_verify.note import parse_note
from pilothouse_verify.proof import KEY_FILE, decoded_path, hold_against
from pilothouse_verify.recompute import recompute
from pilothouse_verify.tree import inclusion_root

__all__ = ["EvidenceResult", "check_evidence", "is_evidence"]

BUNDLE_BYTES_MAX = 512 * 1024**2
"""A bundle is some ten megabytes; what is far larger is not read into memory."""


@dataclass
class EvidenceResult:
    """What was found.

    Attributes:
        records: Records of evidence whose digest was computed again.
        recomputed: Items whose numbers and status were computed again from a record.
        only_digests: Items whose rule cannot be computed from one record here, such as a bound for endless looks.
        word: What the verdict says.
        problems: What is wrong.
        missing: What an auditor would still need to believe it.
    """

    records: int = 0
    recomputed: int = 0
    only_digests: int = 0
    word: str = ""
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def is_evidence(path: Path) -> bool:
    """Whether a file is a bundle of evidence, and not an export of the audit log.

    Args:
        path: Zip file.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            return "proof.json" in bundle.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def check_evidence(path: Path, *, key: str | None, anchors: tuple[Path, ...] = ()) -> EvidenceResult:
    """Check a bundle of evidence.

    Args:
        path: Zip file.
        key: Verifier key that reached the auditor another way, or None.
        anchors: Checkpoints that reached the auditor another way: the bundle's must stand in the same log.

    Returns:
        What was found; nothing is believed because the bundle says so.
    """
    result = EvidenceResult()
    try:
        if path.stat().st_size > BUNDLE_BYTES_MAX:
            result.problems.append("the file is larger than a bundle may be")
            return result
        raw = path.read_bytes()
        files = _unpacked(raw)
        if _packed(files) != raw:
            result.problems.append(
                "the file is not the one that its contents make: bytes between them were changed"
            )
        manifest = json.loads(files["manifest.json"])
        _check_files(files, manifest, result)
        _check_proof(files, manifest, result, key=key, anchors=anchors)
        if not result.problems:  # what was changed is not worth judging
            _check_verdict(files, manifest, result)
    except UNREADABLE as error:
        result.problems.append(f"the bundle cannot be read: {type(error).__name__}")
    return result


def _unpacked(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as bundle:
        if any(one.compress_type != zipfile.ZIP_STORED for one in bundle.infolist()):
            raise ValueError("compressed")
        return {one.filename: bundle.read(one) for one in bundle.infolist()}


def _packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            bundle.writestr(entry, files[name])
    return buffer.getvalue()


def _check_files(files: dict[str, bytes], manifest: dict[str, object], result: EvidenceResult) -> None:
    named = manifest["files"]
    if not isinstance(named, dict) or canonical(manifest).encode() != files["manifest.json"]:
        result.problems.append("the manifest is not as it was written")
        return
    for name in sorted({*named, *files} - {"manifest.json", "proof.json"}):
        if name not in files:
            result.problems.append(f"{name} is missing")
        elif name not in named:
            result.problems.append(f"{name} is not named by the manifest")
        elif hashlib.sha256(files[name]).hexdigest() != named[name]:
            result.problems.append(f"{name} was changed")


def _check_proof(
    files: dict[str, bytes],
    manifest: dict[str, object],
    result: EvidenceResult,
    *,
    key: str | None,
    anchors: tuple[Path, ...],
) -> None:
    proof = json.loads(files["proof.json"])
    if canonical(proof).encode() != files["proof.json"]:
        result.problems.append("the proof is not as it was written")
    believed = _keys(key or str(manifest["key"]), proof, result)
    if believed is None:
        result.problems.append("there is no Ed25519 verifier key")
        return
    if not key:
        result.missing.append(
            "signer not confirmed: give the log's key with --key, from another way than the bundle"
        )
    note = parse_note(proof["checkpoint"])
    if note is None or not believed.signed(note):
        result.problems.append(f"the checkpoint is not signed by {believed.name}; {KEY_FILE}")
        return
    text = str(proof["record"])
    path = decoded_path(proof["path"])
    if inclusion_root(text.encode(), int(proof["position"]), note.size, path) != note.root:
        result.problems.append("the record of this bundle is not in the signed log")
    record = json.loads(text)
    digest = hashlib.sha256(files["manifest.json"]).hexdigest()
    if record.get("kind") != "evidence.exported" or record.get("document", {}).get("manifest") != digest:
        result.problems.append("the signed record is not that of this manifest")
    grown = {int(size): decoded_path(nodes) for size, nodes in proof.get("extends", {}).items()}
    problems, missing = hold_against(note, anchors, believed, grown)
    result.problems.extend(problems)
    result.missing.extend(missing)


def _keys(text: str, proof: dict[str, object], result: EvidenceResult) -> KeyRing | None:
    """Return the keys that may have signed this log: those that reached the auditor, and how the bundle says they were replaced."""
    ring, notes = parse_ring(text), proof.get("replaced", [])
    changes = [parse_replaced(str(note)) for note in notes] if isinstance(notes, list) else [None]
    if None in changes:
        result.problems.append(
            "a key of the log was replaced without the signatures of the old and the new one"
        )
    if ring is None:
        return None
    ring, problems, missing = ring.joined(one for one in changes if one)
    result.problems.extend(problems)
    result.missing.extend(missing)
    return ring


def _check_verdict(files: dict[str, bytes], manifest: dict[str, object], result: EvidenceResult) -> None:
    verdict = json.loads(files["verdict.json"])
    if canonical(verdict).encode() != files["verdict.json"]:
        result.problems.append("the verdict is not as it was written")
    if hashlib.sha256(files["verdict.json"]).hexdigest() != manifest["verdict"]:
        result.problems.append("the verdict is not the one that the manifest names")
    if verdict["agent"] != manifest["agent"]:
        result.problems.append("the verdict is about another agent")
    records = [json.loads(line) for line in files["evidence.jsonl"].splitlines()]
    charter = _charter(files, verdict, result)
    found = recompute(verdict, records, json.loads(files["rules.json"]), charter)
    if found.undated:
        result.missing.append(
            "the bundle is of an older Pilothouse: against what its records are held, and until when they count, was not computed again"
        )
    result.records, result.word = len(records), str(verdict["word"])
    result.recomputed, result.only_digests = found.recomputed, found.only_digests
    result.problems.extend(found.problems)


def _charter(
    files: dict[str, bytes], verdict: dict[str, object], result: EvidenceResult
) -> dict[str, object]:
    """Return the charter as data, empty in a bundle that has none: what asks for something of it then finds nothing."""
    text = files.get("charter.json", b"{}")
    charter = json.loads(text)
    if charter and (
        canonical(charter).encode() != text or hashlib.sha256(text).hexdigest() != verdict["charter_digest"]
    ):
        result.problems.append("charter.json is not the charter that the verdict names")
    return dict(charter)
