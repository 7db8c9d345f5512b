# SPDX-License-Identifier: Apache-2.0
"""Asks git about a folder without running what the folder's own repository names as programs.

A repository's configuration is a file in it, and names programs that git runs while it only reads: a monitor of the file
system, hooks, filters of contents, what checks signatures, what packs an archive, a way to fetch what is missing. Whoever was
handed a folder and runs `pilothouse check` in it runs none of them, whoever writes into the folder meanwhile: git is given a
repository of our own, with the contents of that one and a configuration that we wrote. What the user's own configuration names stays
in force.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from itertools import islice
from pathlib import Path

__all__ = ["ask_git"]

_QUIET = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "log.showSignature": "false",
    **dict.fromkeys(("gpg.program", "gpg.openpgp.program", "gpg.x509.program", "gpg.ssh.program"), "false"),
    "submodule.recurse": "false",
}
"""Of each, what the repository says does not count."""

_ALONE = dict.fromkeys(("status", "diff"), "--ignore-submodules=dirty")
"""Of a repository within the repository only its commit is compared: to look at its files runs the programs that it names. A setting
would not do, `.gitmodules` counts for more."""

_FOREIGN_SCOPES = frozenset({"local", "worktree"})
_TAKEN = re.compile(
    r"core\.(?:repositoryformatversion|filemode|ignorecase|symlinks|precomposeunicode|protecthfs|protectntfs|autocrlf|eol|safecrlf"
    r"|trustctime|checkstat|quotepath|abbrev|sparsecheckout|sparsecheckoutcone)"
    r"|index\.sparse|extensions\.(?:objectformat|compatobjectformat|refstorage)"
)
"""What of a repository's configuration says how its contents are written. None of it names a program or a file."""

_WORD = re.compile(r"[A-Za-z0-9_-]{1,40}")
_COPIED = ("HEAD", "index")
"""What git wants to be a file, and what a comparison writes anew."""

_LEFT_OUT = frozenset({*_COPIED, "config", "config.worktree", "hooks", "commondir", "gitdir", "worktrees"})
_ENTRIES_MAX = 10_000
"""Files beside a repository's contents; git has some twenty."""

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
        *arguments: Command and words; of a repository within this one only its commit is compared.
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

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        said = [part for key, value in _QUIET.items() for part in ("-c", f"{key}={value}")]
        return subprocess.run(  # noqa: S603 - no shell, a fixed program with our own words
            [program, *said, "-C", str(folder), *words],
            capture_output=True,
            check=False,
            timeout=timeout_s,
            env=environment,
        )

    found = run("rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--git-common-dir")
    # Quiet already while it lists: git may look at the file system for any command. `--path-format` came with git 2.31.
    listed = run("config", "--list", "--show-scope", "-z")
    places = [Path(os.fsdecode(line)) for line in found.stdout.splitlines()]
    if found.returncode != 0 or listed.returncode != 0 or len(places) != len(("top", "own", "common")):
        return subprocess.CompletedProcess(arguments, 128, b"", found.stderr or listed.stderr)
    top, own, common = places
    with tempfile.TemporaryDirectory(prefix="pilothouse-git-") as name:
        try:
            _stand_in(Path(name), own, common, _taken(listed.stdout))
        except OSError as error:  # whoever owns the repository may take it away at any moment
            return subprocess.CompletedProcess(arguments, 128, b"", str(error).encode(errors="replace"))
        environment |= {"GIT_DIR": name, "GIT_WORK_TREE": str(top)}
        environment.pop("GIT_COMMON_DIR", None)
        alone = (_ALONE[arguments[0]],) if arguments[0] in _ALONE else ()
        return run(arguments[0], *alone, *arguments[1:])


def _stand_in(folder: Path, own: Path, common: Path, configuration: str) -> None:
    """Make a repository with the contents of another one, and a configuration of ours.

    Args:
        folder: Where it is made.
        own: What the other one has for its worktree alone.
        common: What all its worktrees share; the same folder where there is only one.
        configuration: Text of its configuration.
    """
    for place in dict.fromkeys((own, common)):
        # The branches are in the folder that worktrees share; newer versions of git give each an empty one of its own.
        left_out = _LEFT_OUT if place == common else {*_LEFT_OUT, "refs"}
        with os.scandir(place) as entries:
            for entry in islice(entries, _ENTRIES_MAX):
                if entry.name not in left_out and not os.path.lexists(folder / entry.name):
                    (folder / entry.name).symlink_to(entry.path)
    for name in _COPIED:
        if (own / name).is_file():  # no pipe, which would never end
            # With its time: git compares whole seconds, and looks into a file only where its index is not younger.
            shutil.copy2(own / name, folder / name)
    (folder / "config").write_text(configuration, encoding="utf-8")


def _taken(listed: bytes) -> str:
    """Return what is taken over of a repository's configuration, as a text of one.

    Args:
        listed: Scope and `key, end of line, value`, each ended by a zero byte.
    """
    parts = listed.decode(errors="replace").split("\0")
    lines = ["[core]\n\tbare = false"]
    for scope, entry in zip(parts[::2], parts[1::2], strict=False):
        key, _, value = entry.partition("\n")
        if scope in _FOREIGN_SCOPES and _TAKEN.fullmatch(key) and _WORD.fullmatch(value):
            section, _, name = key.partition(".")
            lines.append(f"[{section}]\n\t{name} = {value}")
    return "\n".join(lines) + "\n"
