# SPDX-License-Identifier: Apache-2.0
"""Draft the charter of an agent from its repository, and write the draft where nobody loses work."""

from __future__ import annotations

from pathlib import Path

from pilothouse.connectors.repository import read_repository
from pilothouse.core.charter.draft import Draft, draft_text
from pilothouse.core.charter.draft_name import agent_of
from pilothouse.durable_file import replace_file
from pilothouse.errors import UsageError

__all__ = ["draft_charter", "write_draft"]


def draft_charter(folder: Path, *, target: Path) -> Draft:
    """Read a repository and draft its charter.

    Args:
        folder: The repository.
        target: Where the charter will stand; the files it names are relative to it.
    """
    report = read_repository(folder)
    root, home = folder.resolve(), target.resolve().parent

    def inside(file: str) -> str | None:
        path = root / file
        return path.relative_to(home).as_posix() if path.is_relative_to(home) else None

    return Draft(agent=agent_of(report)[0], text=draft_text(report, inside=inside), report=report)


def write_draft(draft: Draft, target: Path, *, force: bool) -> None:
    """Write a draft.

    Args:
        draft: The draft.
        target: The file.
        force: Whether a file that is there may be replaced.

    Raises:
        UsageError: A file is there, or the folder cannot be written to.
    """
    content = draft.text.encode()
    try:
        if force:
            replace_file(target, content)
        else:
            with target.open("xb") as file:
                file.write(content)
    except FileExistsError:
        raise UsageError(
            f"{str(target)!r} is there already",
            remedy="Give another file with --out, or replace it with --force.",
            subject=str(target),
        ) from None
    except OSError as failed:
        raise UsageError(
            f"{str(target)!r} cannot be written: {failed.strerror}",
            remedy="Give a file in a folder that you may write to with --out.",
            subject=str(target),
        ) from failed
