# SPDX-License-Identifier: Apache-2.0
"""The version of an agent on this machine: model pin, prompts, tool contracts and the state of its code."""

from __future__ import annotations

import hashlib
import os
import posixpath
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pilothouse.core.charter.digest import version_digest
from pilothouse.core.charter.models import FallbackPin
from pilothouse.reading_git import ask_git

__all__ = ["code_revision", "version_of"]

SOURCE_FILES_MAX = 2_000
"""Files read for a code digest without git; more is no narrow agent, and the rest would not change the name."""

FILES_AT_ONCE = 500
"""Changed files that one git process names; their paths fit on its command line."""

CODE_ENDINGS = (
    b".py",
    b".js",
    b".ts",
    b".mjs",
    b".go",
    b".java",
    b".kt",
    b".cs",
    b".rb",
    b".rs",
    b".php",
    b".ipynb",
)
"""How the names of files of code end; a charter's folder without any lies apart from its agent."""

TRIALS_FOLDER = ".pilothouse"
"""Where a gate keeps its trials; who has it in git would be another version after each gate."""

OPEN_QUESTION = "?"
GIT_TIMEOUT_S = 10.0


def version_of(document: Mapping[str, Any], charter: Path, *, revision: str | None = None) -> str | None:
    """Return the digest of model pin, prompts, tool contracts and code that a charter names.

    Args:
        document: The charter as plain data; whatever else is open or wrong in it does not matter.
        charter: Its file; its paths are relative to that one's folder.
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
    folder = charter.parent
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
        code_revision=revision or code_revision(folder, apart=_about_the_agent(document, charter.name)),
        deployment=_deployment(pinned.get("deployment")),
    )


def _deployment(said: object) -> dict[str, str] | None:
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else None


def code_revision(folder: Path, *, apart: Iterable[str] = ()) -> str:
    """Name the state of an agent's code by its content, the same before a commit, after it and in another clone.

    A commit is no name for it: it changes with every word in a runbook and with the work of colleagues in the same
    repository, and the one that was tried in a pull request is not the one that is merged.

    Args:
        folder: The agent's folder.
        apart: Files and folders in it that are about the agent and no part of it; relative. Python files in them count.

    Returns:
        `tree:<digest>` of the files that git knows and of new Python files, in the agent's folder, or in the whole
        repository where that folder has no code: a charter that lies apart from its code. `files:<digest>` of the Python
        files where there is no git, or none that it knows.
    """
    blobs = _contents(folder)
    left_out = [os.fsencode(one) for one in apart]
    if not any(path.endswith(CODE_ENDINGS) for path in blobs) and not _python_files(folder):
        top, below = (_git(folder, "rev-parse", f"--show-{name}") for name in ("toplevel", "prefix"))
        if top and below is not None:
            left_out = [below.rstrip(b"\n") + one for one in left_out]
            blobs = _contents(Path(os.fsdecode(top.rstrip(b"\n")))) or blobs
    if not blobs:
        return f"files:{_files_digest(folder)}"
    seen = hashlib.sha256()
    for path in sorted(blobs):
        if path.endswith(b".py") or not any(path == one or path.startswith(one + b"/") for one in left_out):
            seen.update(path + b"\0" + blobs[path] + b"\n")
    return f"tree:{seen.hexdigest()}"


def _contents(folder: Path) -> dict[bytes, bytes]:
    """Return the git blob names of the present content of each tracked file of a folder, and of each new Python file."""
    listed = _git(folder, "ls-files", "--stage", "-z", "--", ".") or b""
    blobs = {
        path: entry.split()[1]
        for entry, _, path in (row.partition(b"\t") for row in listed.split(b"\0"))
        if path
    }
    if not blobs:
        return {}
    changed = (_git(folder, "ls-files", "--modified", "-z", "--", ".") or b"").split(b"\0")
    new = (_git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py") or b"").split(b"\0")
    touched = [one for one in dict.fromkeys((*changed, *new[:SOURCE_FILES_MAX])) if one]
    for path in touched:
        blobs.pop(path, None)
    blobs.update(_blobs(folder, [path for path in touched if (folder / os.fsdecode(path)).is_file()]))
    return blobs


def _about_the_agent(document: Mapping[str, Any], charter: str) -> tuple[str, ...]:
    """Return files about an agent that are no part of it: its charter, datasets, trials and documents."""
    datasets, context, runbooks = (
        part if isinstance(part := document.get(key), dict) else {}
        for key in ("datasets", "context", "runbooks")
    )
    alerts = document.get("alerts")
    named = [
        charter,
        TRIALS_FOLDER,
        *(one.get("path") for one in datasets.values() if isinstance(one, dict)),
        context.get("probes"),
        document.get("change_plan"),
        *runbooks,
        *(
            one.get("runbook")
            for one in (alerts if isinstance(alerts, list | tuple) else ())
            if isinstance(one, dict)
        ),
    ]
    paths = (posixpath.normpath(one) for one in named if isinstance(one, str) and one)
    return tuple(path for path in paths if path not in {".", OPEN_QUESTION})


def _blobs(folder: Path, paths: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the git blob names of the present contents of files."""
    names: dict[bytes, bytes] = {}
    for start in range(0, len(paths), FILES_AT_ONCE):
        some = paths[start : start + FILES_AT_ONCE]
        found = (_git(folder, "hash-object", "--", *map(os.fsdecode, some)) or b"").split()
        if len(found) != len(some):  # one of them cannot be read, or went meanwhile
            found = [_file_digest(folder / os.fsdecode(path)).encode() for path in some]
        names.update(zip(some, found, strict=True))
    return names


def _file_digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _files_digest(folder: Path) -> str:
    """Digest of the Python files of a folder, by name and content."""
    seen = hashlib.sha256()
    for path in _python_files(folder)[:SOURCE_FILES_MAX]:
        seen.update(f"{path.relative_to(folder)}\0{_file_digest(path)}\n".encode())
    return seen.hexdigest()


def _python_files(folder: Path) -> list[Path]:
    """Return the Python files of a folder in order, without what is hidden, such as an environment."""
    depth = len(folder.parts)
    return sorted(
        path for path in folder.rglob("*.py") if not any(part.startswith(".") for part in path.parts[depth:])
    )


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Run a reading git command; None when git is absent or refuses."""
    try:
        done = ask_git(folder, *arguments, timeout_s=GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done is not None and done.returncode == 0 else None
