# SPDX-License-Identifier: Apache-2.0
"""The folder of a fine-tuning export: rows and where they come from, changed together or not at all.

The provenance names the digest of each file of rows. A folder appears whole, by one rename. A change is written beside
the files first, and counts from the moment at which the new provenance takes its place: whoever opens the folder next
finishes what was killed after that, and drops what was killed before.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilothouse.core.evidence.spellings import says, spellings
from pilothouse.durable_file import replace_file
from pilothouse.errors import Conflict

__all__ = [
    "FILES",
    "PROVENANCE",
    "Erased",
    "digest_of",
    "drop_unfinished",
    "erase_from_export",
    "is_unfinished",
    "prepared_export",
]

FILES = ("train", "validation")
PROVENANCE = "provenance.json"
_NEW = ".new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was taken out of an export.

    Attributes:
        rows: How many rows.
        is_traced: Whether it is known which row came from whom; else only rows that say the subject went.
    """

    rows: int
    is_traced: bool


@contextmanager
def prepared_export(
    folder: Path, files: Mapping[str, Sequence[str]], about: Mapping[str, Any]
) -> Iterator[str]:
    """Write an export beside where it will stand, and put it there when the block ends well; else nothing stays of it.

    Args:
        folder: Where it will stand.
        files: Lines of each file.
        about: The provenance, without digests.

    Yields:
        The text of the provenance.
    """
    part = _part(folder)
    drop_unfinished(folder)
    try:
        part.mkdir(parents=True)
    except FileExistsError:
        raise Conflict(
            f"another process writes the export {str(folder)!r} now",
            remedy="Wait for it, or name another folder with `--out`.",
            subject=str(folder),
        ) from None
    held = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # goes with the process, however it ends
        bodies = {name: _body(files[name]) for name in FILES}
        for name, body in bodies.items():
            _file(part, name).write_bytes(body)
        text = _provenance(about, bodies)
        (part / PROVENANCE).write_text(text, encoding="utf-8")
        yield text
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(held)


def drop_unfinished(folder: Path) -> bool:
    """Take away what a killed process left of an export, and return whether there was any; one that is being written stays."""
    part = _part(folder)
    try:
        held = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(part)
    except OSError:  # somebody writes it, or may not be written by us
        return False
    finally:
        os.close(held)
    return True


def is_unfinished(folder: Path) -> bool:
    """Whether rows of an export stand beside where it would stand."""
    return _part(folder).is_dir()


def _part(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part")


def erase_from_export(folder: Path, items: Collection[str], subject: str) -> Erased:
    """Take the rows of some items, and all that hold a subject, out of an export.

    Args:
        folder: Folder of an export.
        items: Ids of items.
        subject: As it stands in the texts.
    """
    _finish(folder)
    about = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    # As bytes: a text in a row may hold what ends a line of text, such as U+2028.
    lines = {name: _file(folder, name).read_bytes().splitlines() for name in FILES}
    rows = {(row["file"], row["line"]): row for row in about["rows"]}
    is_traced = all(_fits(folder, name, about, len(lines[name])) for name in FILES)
    kept: dict[str, list[str]] = {name: [] for name in FILES}
    kept_rows, spelled = [], spellings(subject)
    for name in FILES:
        for number, raw in enumerate(lines[name], 1):
            line, row = raw.decode(), rows.get((name, number))
            said = json.dumps(json.loads(line), ensure_ascii=False)
            if (
                says(line, spelled)
                or says(said, spelled)
                or (is_traced and (row is None or row["item"] in items))
            ):
                continue
            kept[name].append(line)
            kept_rows.append({**(row or {}), "line": len(kept[name])})
    removed = sum(map(len, lines.values())) - sum(map(len, kept.values()))
    if removed and is_traced:
        _change(folder, kept, {**about, "rows": kept_rows})
    elif removed:
        # Whoever changed the rows changed them by hand, so the provenance says nothing of them before or after.
        for name in FILES:
            replace_file(_file(folder, name), _body(kept[name]))
    return Erased(rows=removed, is_traced=is_traced)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl"


def _body(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def digest_of(text: bytes) -> str:
    """Return the SHA-256 of a file's bytes, lower-case hex."""
    return hashlib.sha256(text).hexdigest()


def _provenance(about: Mapping[str, Any], bodies: Mapping[str, bytes]) -> str:
    digests = {name: digest_of(body) for name, body in bodies.items()}
    return json.dumps({**about, "digests": digests}, ensure_ascii=False, indent=1)


def _fits(folder: Path, name: str, about: Mapping[str, Any], lines: int) -> bool:
    """Whether the provenance speaks of these very rows; one from before it named digests is held against their number."""
    if "digests" in about:
        return bool(digest_of(_file(folder, name).read_bytes()) == about["digests"][name])
    return [row["file"] for row in about["rows"]].count(name) == lines


def _change(folder: Path, files: Mapping[str, Sequence[str]], about: Mapping[str, Any]) -> None:
    bodies = {name: _body(files[name]) for name in FILES}
    for name, body in bodies.items():
        _file(folder, name).with_suffix(_NEW).write_bytes(body)
    fresh = (folder / PROVENANCE).with_suffix(_NEW)
    fresh.write_text(_provenance(about, bodies), encoding="utf-8")
    fresh.replace(folder / PROVENANCE)
    _finish(folder)


def _finish(folder: Path) -> None:
    """Put in place what the provenance speaks of, and drop what it does not: left by a process that was killed."""
    digests = json.loads((folder / PROVENANCE).read_text(encoding="utf-8")).get("digests", {})
    for name in FILES:
        fresh = _file(folder, name).with_suffix(_NEW)
        if not fresh.is_file():
            continue
        if digest_of(fresh.read_bytes()) == digests.get(name):
            fresh.replace(_file(folder, name))
        else:
            fresh.unlink()
    (folder / PROVENANCE).with_suffix(_NEW).unlink(missing_ok=True)
