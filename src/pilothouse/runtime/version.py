# SPDX-License-Identifier: Apache-2.0
"""The version of an agent on this machine: model pin, prompts, tool contracts and the state of its code."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pilothouse.core.charter.digest import version_digest
from pilothouse.core.charter.models import FallbackPin

__all__ = ["code_revision", "version_of"]

SOURCE_FILES_MAX = 2_000
"""Files read for a code digest without git; more is no narrow agent, and the rest would not change the name."""

OPEN_QUESTION = "?"
GIT_TIMEOUT_S = 10.0


def version_of(document: Mapping[str, Any], folder: Path, *, revision: str | None = None) -> str | None:
    """Return the digest of model pin, prompts, tool contracts and code that a charter names.

    Args:
        document: The charter as plain data; whatever else is open or wrong in it does not matter.
        folder: Folder of the charter; its paths are relative to it.
        revision: Revision of the agent's code; found from the folder when None.

    Returns:
        The version digest, or None while the model is not pinned.
    """
    model = document.get("model")
    pinned = model.get("pin") if isinstance(model, dict) else None
    if not isinstance(pinned, dict) or OPEN_QUESTION in (pinned.get("provider"), pinned.get("model")):
        return None
    try:
        pin = FallbackPin.model_validate({key: pinned.get(key) for key in ("provider", "model", "region")})
    except ValidationError:
        return None
    prompts = document.get("prompts")
    tools = document.get("tools")
    contracts = {
        str(name): str(policy["contract"])
        for name, policy in (tools.items() if isinstance(tools, dict) else ())
        if isinstance(policy, dict) and isinstance(policy.get("contract"), str)
    }
    return version_digest(
        pin,
        prompts={
            path: _file_digest(folder / path)
            for path in (prompts if isinstance(prompts, list | tuple) else ())
            if isinstance(path, str)
        },
        contracts={name: _file_digest(folder / path) for name, path in contracts.items()},
        code_revision=revision or code_revision(folder),
    )


def code_revision(folder: Path) -> str:
    """Name the state of an agent's code: the git commit, with a digest of what is not committed.

    Args:
        folder: The agent's folder.

    Returns:
        `<commit>`, `<commit>+<digest of the changes>`, or `files:<digest>` where there is no git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return f"files:{_files_digest(folder)}"
    untracked = (_git(folder, "ls-files", "--others", "--exclude-standard", "--", "*.py") or b"").splitlines()
    changes = _git(folder, "diff", "HEAD", "--", ".") or b""
    for path in untracked[:SOURCE_FILES_MAX]:
        changes += path + _file_digest(folder / os.fsdecode(path)).encode()
    name = commit.decode("ascii", "replace").strip()
    return f"{name}+{hashlib.sha256(changes).hexdigest()[:16]}" if changes else name


def _file_digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _files_digest(folder: Path) -> str:
    """Digest of the Python files of a folder, by name and content."""
    seen = hashlib.sha256()
    files = sorted(
        path
        for path in folder.rglob("*.py")
        if not any(part.startswith(".") for part in path.parts[len(folder.parts) :])
    )
    for path in files[:SOURCE_FILES_MAX]:
        seen.update(f"{path.relative_to(folder)}\0{_file_digest(path)}\n".encode())
    return seen.hexdigest()


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Run a reading git command; None when git is absent or refuses."""
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with our own words and an existing folder
            [program, "-C", str(folder), *arguments], capture_output=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
