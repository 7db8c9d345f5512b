# SPDX-License-Identifier: Apache-2.0
"""Checks one proof about the log: that a record is in it, or that it goes on from an earlier checkpoint."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pilothouse_verify.keys import REPLACED_SINCE, KeyRing, parse_ring
from pilothouse_verify.note import Note, parse_note
from pilothouse_verify.tree import consistency_roots, inclusion_root

__all__ = ["KEY_FILE", "ProofResult", "check_proof", "decoded_path", "hold_against", "is_proof"]

RECORD_HEAD, GROWTH_HEAD = "c2sp.org/tlog-proof@v1", "old "

KEY_FILE = "where its key was replaced, give --key the file of what `pilothouse audit key` prints now"

PROOF_CHARACTERS_MAX = 256 * 1024
"""A record has at most 64 KiB and a proof 64 hashes for each power of two."""


@dataclass
class ProofResult:
    """What was found.

    Attributes:
        summary: What the proof shows if nothing is wrong.
        problems: What is wrong.
        missing: What an auditor would still need to believe it.
    """

    summary: str = ""
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def is_proof(path: Path) -> bool:
    """Whether a file is a proof that `pilothouse audit prove` printed.

    Args:
        path: Any file.
    """
    with path.open("rb") as file:
        return file.read(len(RECORD_HEAD)).startswith((RECORD_HEAD.encode(), GROWTH_HEAD.encode()))


def check_proof(path: Path, *, key: str | None, anchors: tuple[Path, ...]) -> ProofResult:
    """Check a proof.

    Args:
        path: File with the proof.
        key: Verifier key of the log, or None; a proof has none in it.
        anchors: Checkpoints that reached the auditor another way.

    Returns:
        What was found.
    """
    result = ProofResult()
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        text = file.read(PROOF_CHARACTERS_MAX + 1)
    head, _, rest = text.partition("\n\n")
    body, _, rest = rest.partition("\n\n")
    signatures, _, record = rest.partition("\n\n")
    note = parse_note(f"{body}\n\n{signatures}\n")
    believed = parse_ring(key) if key else None
    if key and believed is None:
        result.problems.append("the key that was given is no Ed25519 verifier key")
    elif note is None or len(text) > PROOF_CHARACTERS_MAX:
        result.problems.append("this is no proof that `pilothouse audit prove` printed")
    elif believed is not None and not believed.signed(note):
        result.problems.append(f"the checkpoint in it is not signed by {believed.name}; {KEY_FILE}")
    if note is None or result.problems:
        return result
    if believed is None:
        result.missing.append("signer not confirmed: give the log's key with --key")
    try:
        if head.startswith(GROWTH_HEAD):
            _check_growth(head.split("\n"), note, believed, anchors, result)
        else:
            _check_record(head.split("\n"), note, record.removesuffix("\n"), result)
            problems, missing = hold_against(note, anchors, believed, {})
            result.problems.extend(problems)
            result.missing.extend(missing)
            if not anchors:
                result.missing.append(
                    "no anchor: give a checkpoint from outside with --checkpoint to rule out a fork"
                )
    except ValueError:
        result.problems.append("the proof is not written as one")
    return result


def _check_record(lines: list[str], note: Note, record: str, result: ProofResult) -> None:
    word, _, number = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
    if word != "index" or not (number.isascii() and number.isdigit()):
        raise ValueError("no index")
    path = decoded_path(lines[2:])
    if inclusion_root(record.encode(), int(number), note.size, path) != note.root:
        result.problems.append(f"this record is not record {int(number):,} of the signed log")
    result.summary = f"record {int(number):,} is in the log of {note.size:,} records"


def _check_growth(
    lines: list[str], note: Note, key: KeyRing | None, anchors: tuple[Path, ...], result: ProofResult
) -> None:
    number = lines[0].removeprefix(GROWTH_HEAD)
    if not (number.isascii() and number.isdigit()):
        raise ValueError("no size")
    old = int(number)
    problems, missing = hold_against(note, anchors, key, {old: decoded_path(lines[1:])})
    result.problems.extend(problems)
    result.missing.extend(missing)
    if not any(other is not None and other.size == old for other in map(_note_of, anchors)):
        result.missing.append(f"give the checkpoint of {old:,} records that you have with --checkpoint")
    result.summary = f"the log of {note.size:,} records goes on from that of {old:,}"


def decoded_path(lines: Iterable[str]) -> list[bytes]:
    """Return the nodes of a proof.

    Args:
        lines: Each in base64.

    Raises:
        ValueError: One is not.
    """
    return [b64decode(line, validate=True) for line in lines]


def hold_against(
    note: Note, anchors: Iterable[Path], key: KeyRing | None, proofs: Mapping[int, list[bytes]]
) -> tuple[list[str], list[str]]:
    """Return what is wrong between a checkpoint and those that came another way, and what is lacking to say so.

    Args:
        note: The checkpoint.
        anchors: Files with the others.
        key: Keys of the log, or None when nobody gave them.
        proofs: By size, the proofs that the checkpoint's log goes on from the one of that size.

    Returns:
        The problems, and what is lacking.
    """
    problems, missing = [], []
    is_confirmed = key is None or note.is_signed_by(key.present)
    for anchor in anchors:
        other = _note_of(anchor)
        if other is None or other.origin != note.origin:
            problems.append(f"{anchor} is no checkpoint of {note.origin}")
        elif key is not None and not key.signed(other):
            problems.append(f"{anchor} is not signed by the key of {note.origin}; {KEY_FILE}")
        elif other.size == note.size:
            is_confirmed = True
            if other.root != note.root:
                problems.append(f"{anchor} shows another log of the same size")
        elif other.size in proofs:
            roots = consistency_roots(other.size, note.size, other.root, proofs[other.size])
            if roots != (other.root, note.root):
                problems.append(f"the log of {note.size:,} records does not go on from that of {anchor}")
        elif other.size > note.size:
            missing.append(
                f"{anchor} is of a later log, {other.size:,} records: hold it against a newer one of these"
            )
        else:
            missing.append(
                f"nothing shows that this log goes on from {anchor}: "
                "ask for a proof that `pilothouse audit prove` made with `--since` and that file"
            )
    if not is_confirmed:
        missing.append(REPLACED_SINCE)
    return problems, missing


def _note_of(anchor: Path) -> Note | None:
    return parse_note(anchor.read_text(encoding="utf-8", errors="replace"))
