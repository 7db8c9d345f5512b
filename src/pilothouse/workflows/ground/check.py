# SPDX-License-Identifier: Apache-2.0
"""Check a charter file, and load one that is valid."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.connectors.charter_file import look_at_files, read_charter_text, read_text_of
from pilothouse.core.charter.digest import charter_document
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.files import named_files
from pilothouse.core.charter.findings import CharterCheck, FindingKind
from pilothouse.core.charter.models_known import MODEL_ALIASES
from pilothouse.core.charter.parse import check_charter
from pilothouse.errors import CharterInvalid

if TYPE_CHECKING:
    from pilothouse.core.charter.charter import Charter
    from pilothouse.core.charter.diff import CharterDiff

__all__ = ["check_file", "check_text", "compare_with_revision", "load_charter", "parse_charter"]


def check_file(path: Path, *, today: date) -> CharterCheck:
    """Check a charter file, with the files it names.

    Raises:
        UsageError: There is no such file, or it cannot be read.
        CharterSyntaxError: It is too large, or no UTF-8.
    """
    return check_text(read_text_of(path), file=str(path), today=today, folder=path.parent)


def check_text(text: str, *, file: str, today: date, folder: Path | None = None) -> CharterCheck:
    """Check the text of a charter.

    Args:
        text: YAML.
        file: Path to show in messages.
        today: The present day, UTC.
        folder: Folder that the files it names are relative to; None looks at no file, as for a
            charter that was accepted earlier and comes from the ledger.
    """
    tree = read_charter_text(text, file=file)
    facts = CharterFacts(today=today, model_aliases=MODEL_ALIASES)
    if folder is not None:
        facts = replace(facts, files=look_at_files(folder, named_files(tree.value)))
    return check_charter(tree, facts)


def load_charter(path: Path, *, today: date) -> Charter:
    """Return the charter of a file that has no error; open questions may stand in it.

    Raises:
        CharterInvalid: At least one error stands; carries all of them.
        UsageError: There is no such file, or it cannot be read.
        CharterSyntaxError: It is too large, or no UTF-8.
    """
    return _valid(check_file(path, today=today), file=str(path))


def parse_charter(text: str, *, file: str, today: date) -> Charter:
    """Return the charter of a text that has no error, without looking at the files it names.

    Args:
        text: YAML, for example of the charter in force.
        file: Path to show in messages.
        today: The present day, UTC.

    Raises:
        CharterInvalid: At least one error stands; carries all of them.
    """
    return _valid(check_text(text, file=file, today=today), file=file)


def compare_with_revision(path: Path, charter: Charter, *, revision: str, today: date) -> CharterDiff:
    """Compare a valid charter with its file at a revision, and with the files it names.

    Args:
        path: File of the charter.
        charter: The charter as it is now.
        revision: Anything git understands as a commit.
        today: The present day, UTC.

    Raises:
        CharterInvalid: The charter at that revision has errors.
        UsageError: There is no git, no such revision, or no such file in it.
    """
    from pilothouse.connectors.git_history import (  # noqa: PLC0415 - `check` without --diff starts no process
        files_changed_since,
        text_at_revision,
    )
    from pilothouse.core.charter.diff import compare_charters  # noqa: PLC0415 - same reason
    from pilothouse.core.verdict.reopened import reopened_by  # noqa: PLC0415 - same reason

    old = parse_charter(text_at_revision(path, revision), file=f"{path}@{revision}", today=today)
    named = named_files(charter_document(charter))
    changed = files_changed_since(path.parent, revision, named)
    files = charter.files or {}
    before = old.with_files({name: "" if name in changed else digest for name, digest in files.items()})
    diff = compare_charters(old, charter, changed_files={file: named[file] for file in changed})
    return replace(diff, reopens=reopened_by(before, charter.with_files(files)))


def _valid(check: CharterCheck, *, file: str) -> Charter:
    errors = check.of_kind(FindingKind.ERROR)
    if check.charter is None:
        raise CharterInvalid(
            f"{file} has {len(errors)} error{'s' if len(errors) != 1 else ''}",
            remedy=f"Correct them, then run `pilothouse check {file}`.",
            findings=tuple(finding.text for finding in errors),
            subject=file,
        )
    return check.charter
