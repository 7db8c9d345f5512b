# SPDX-License-Identifier: Apache-2.0
"""Read a file as it stood at a revision, with the git that is installed (revision → text)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pilothouse.errors import LimitExceeded, UsageError
from pilothouse.reading_git import ask_git

__all__ = ["files_changed_since", "last_commit_at", "text_at_revision"]

GIT_TIMEOUT_S = 20.0
"""Git answers such questions in milliseconds; a hanging one waits for a lock or a network folder."""

OUTPUT_BYTES_MAX = 1024 * 1024
"""The largest charter, see `charter_file.py`."""


def text_at_revision(path: Path, revision: str) -> str:
    """Return the text of a file at a revision.

    Args:
        path: The file as it stands now.
        revision: Anything git understands as a commit, for example `HEAD~1` or a tag.

    Raises:
        UsageError: There is no git, no repository, no such revision, or no such file in it.
        LimitExceeded: The file was larger than any charter.
    """
    commit = _commit(path, revision)
    shown = _git(path.parent, "show", f"{commit}:./{path.name}")
    if shown.returncode != 0:
        raise UsageError(
            f"{str(path)!r} does not exist at revision {revision!r}",
            remedy=f"List the revisions that have it: `git log --oneline -- {path}`.",
            subject=revision,
        )
    if len(shown.stdout) > OUTPUT_BYTES_MAX:
        raise LimitExceeded(
            f"{str(path)!r} at revision {revision!r} is larger than {OUTPUT_BYTES_MAX // 1024} KiB",
            remedy="Name a revision at which the file is a charter.",
            subject=revision,
        )
    return shown.stdout.decode("utf-8-sig", errors="replace")


def files_changed_since(folder: Path, revision: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return which of some files have other content now than at a revision.

    Args:
        folder: Folder that the names are relative to.
        revision: A revision that exists.
        names: Paths of files inside the folder.

    Returns:
        Names whose content differs, sorted; a file that came or went counts, and so does one that git cannot compare.
    """
    wanted = sorted(names)
    if not wanted:
        return ()
    commit = _commit(folder / "charter.yaml", revision)
    diff = _git(
        folder,
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--name-only",
        "--no-renames",
        "--relative",
        "-z",
        commit,
        "--",
        *wanted,
    )
    if diff.returncode != 0:
        return tuple(wanted)  # what cannot be compared is not known to be the same
    changed = set(diff.stdout.decode("utf-8", errors="replace").split("\0"))
    return tuple(name for name in wanted if name in changed)


def last_commit_at(path: Path) -> datetime | None:
    """Return when a file or folder was last changed by a commit, aware UTC.

    Args:
        path: A path that exists.

    Returns:
        None where git does not know it, or where it differs from what was committed as far as git can tell.
    """
    if shutil.which("git") is None:
        return None
    status = _git(path.parent, "status", "--porcelain", "--", path.name)
    if status.returncode != 0 or status.stdout.strip():
        return None
    found = _git(path.parent, "log", "-1", "--format=%ct", "--", path.name)
    seconds = found.stdout.strip() if found.returncode == 0 else b""
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() else None


def _commit(path: Path, revision: str) -> str:
    if not path.parent.is_dir():
        raise UsageError(
            f"there is no folder {str(path.parent)!r}", remedy="Check the path.", subject=str(path)
        )
    if revision.startswith("-") or ":" in revision or not revision.strip():
        raise UsageError(
            f"{revision!r} is no revision", remedy="Name a commit, for example HEAD~1.", subject=revision
        )
    found = _git(
        path.parent, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if found.returncode != 0:
        inside = _git(path.parent, "rev-parse", "--is-inside-work-tree").returncode == 0
        raise UsageError(
            f"there is no revision {revision!r}" if inside else f"{str(path)!r} lies in no git repository",
            remedy="List them: `git log --oneline`." if inside else "Run this inside the agent's repository.",
            subject=revision,
        )
    return found.stdout.decode("ascii", errors="replace").strip()


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        done = ask_git(folder, *arguments, timeout_s=GIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"git did not answer within {GIT_TIMEOUT_S:.0f} s",
            remedy="Try `git status` in that folder; it probably waits for something.",
            subject="git",
        ) from None
    if done is None:
        raise UsageError("git is not installed", remedy="Install git, or leave out --diff.", subject="git")
    return done
