# SPDX-License-Identifier: Apache-2.0
"""Asks git about a folder without running what the folder's own repository names as programs.

A repository's configuration is a file in it, and names programs that git runs while it only reads: a monitor of the file
system, hooks, filters of contents, what checks signatures, a way to fetch what is missing. Whoever was handed a folder and runs
`pilothouse check` in it runs none of them. What the user's own configuration names stays in force.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

__all__ = ["ask_git"]

_QUIET = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "log.showSignature": "false",
    **dict.fromkeys(("gpg.program", "gpg.openpgp.program", "gpg.x509.program", "gpg.ssh.program"), "false"),
    "diff.ignoreSubmodules": "all",
    "submodule.recurse": "false",
}
"""Of each, what the repository says does not count."""

_FOREIGN_SCOPES = frozenset({"local", "worktree"})
_FILTER = re.compile(r"filter\..*\.(?:clean|smudge|process|required)", re.DOTALL)

_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
}
"""Nothing is written, nothing fetched, nobody asked."""


def ask_git(folder: Path, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess[bytes] | None:
    """Run a reading git command in a folder.

    Args:
        folder: Where it runs.
        *arguments: Command and words.
        timeout_s: How long it may take.

    Returns:
        What came of it; a refusal where the repository cannot be read without its programs; None when git is not installed.

    Raises:
        OSError: It could not be started.
        subprocess.TimeoutExpired: It did not answer.
    """
    program = shutil.which("git")
    if program is None:
        return None
    environment = {**os.environ, **_ENVIRONMENT}

    def run(settings: dict[str, str], *words: str) -> subprocess.CompletedProcess[bytes]:
        said = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return subprocess.run(  # noqa: S603 - no shell, a fixed program with our own words
            [program, *said, "-C", str(folder), *words],
            capture_output=True,
            check=False,
            timeout=timeout_s,
            env=environment,
        )

    # Quiet already while it lists: git may look at the file system for any command. `--show-scope` came with git 2.26.
    listed = run(_QUIET, "config", "--list", "--show-scope", "-z")
    emptied = _without_filters(listed.stdout)
    if listed.returncode != 0 or any(
        "=" in key for key in emptied
    ):  # such a name cannot be set beside the repository's
        return subprocess.CompletedProcess(arguments, 128, b"", listed.stderr)
    return run({**_QUIET, **emptied}, *arguments)


def _without_filters(listed: bytes) -> dict[str, str]:
    """Return settings that empty each filter that a repository defines for itself.

    Args:
        listed: Scope and `key, end of line, value`, each ended by a zero byte.
    """
    parts = listed.split(b"\0")
    found = {}
    for scope, entry in zip(parts[::2], parts[1::2], strict=False):
        key = os.fsdecode(entry.partition(b"\n")[0])
        if os.fsdecode(scope) in _FOREIGN_SCOPES and _FILTER.fullmatch(key):
            found[key] = "false" if key.endswith(".required") else ""
    return found
