# SPDX-License-Identifier: Apache-2.0
"""A sandbox for the agent's code: no network but the replay server, nothing writable but a scratch copy, no real key.

The walls are the kernel's: a network namespace with loopback only, every file system read-only, no capabilities. A
Python hook on top names each refused attempt by its place in the code. Where the system gives no namespaces, nothing
is started.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pilothouse.core.charter.secrets import secret_kind
from pilothouse.core.evidence.run_log import Draw
from pilothouse.errors import Denied, LimitExceeded, UsageError
from pilothouse.runtime.launcher import OTHER_ADDRESSES, PROXIES
from pilothouse.runtime.taps import hook_folder

__all__ = ["Refusal", "Sandbox", "is_sandbox_supported", "prepare_sandbox"]

SCRATCH_BYTES_MAX = 512 << 20
"""Size of a working folder that is copied; a larger one holds data, not code."""

REFUSALS_MAX = 1_000
"""Refused attempts that a report holds."""

UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount")

CREDENTIAL = re.compile(r"(?i)(?:key|token|secret|passw|credential|auth)")
"""Variables that hold a credential by their name; the agent gets a canary instead, as for one whose value looks like it."""

SOCKETS = Path("/proc/net/unix")
"""Sockets of this machine, their files in the eighth column."""

LEFT_OUT = (".git", ".venv", "node_modules", "__pycache__")
"""Folders that are read where they are instead of copied."""

COPIED = frozenset({stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK})

STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An attempt that a replay refused.

    Attributes:
        what: `connect`, `look-up`, `start` or `delete`.
        target: Host, program or path.
        site: Sandbox in the agent's code.
    """

    what: str
    target: str
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The closed environment in which a replayed agent runs.

    Attributes:
        folder: The scratch folder.
        socket_file: Where the replay server must listen.
        port: Port at which the agent finds it.
    """

    folder: Path
    socket_file: Path
    port: int

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, timeout_s: float) -> int:
        """Run a command inside and return its exit status; 124 when it did not end in time.

        What it prints goes to standard error: standard output is the report's.
        """
        words = [
            *UNSHARE,
            sys.executable,
            "-I",
            str(Path(__file__).with_name("inside.py")),
            "--socket",
            str(self.socket_file),
            "--port",
            str(self.port),
            "--scratch",
            str(self.folder),
            "--cwd",
            str(self.folder / "work"),
            *(f"--hide={path}" for path in _socket_files() if not path.startswith(str(self.folder))),
            "--",
            *command,
        ]
        with subprocess.Popen(words, env=dict(environment), stdout=STANDARD_ERROR) as process:  # noqa: S603 - running the user's own command is what replay is for
            try:
                return process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.terminate()
                try:
                    process.wait(5.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                return 124

    def environment(
        self, inherited: Mapping[str, str], run: str, draws: Sequence[Draw], *, allowed: Sequence[str] = ()
    ) -> dict[str, str]:
        """Return the environment of the agent: our address alone, canaries for credentials, the hook with the recorded draws.

        Args:
            inherited: The environment it would have had.
            run: Run id.
            draws: What the recorded process drew.
            allowed: Programs that it may start.
        """
        env = {
            name: f"ph-canary-{name.lower()}" if CREDENTIAL.search(name) or secret_kind(value) else value
            for name, value in inherited.items()
            if name not in OTHER_ADDRESSES and name.lower() not in PROXIES
        }
        base = f"http://127.0.0.1:{self.port}/gw/r/{run}"
        drawn = self.folder / "draws.json"
        drawn.write_text(json.dumps([[d.source, d.site, d.ordinal, d.value] for d in draws]))
        taps = {
            "mode": "replay",
            "draws": str(drawn),
            "spool": str(self.folder / "hook.jsonl"),
            "processes": str(self.folder / "processes.jsonl"),
            "scratch": str(self.folder),
            "port": self.port,
            "allowed": list(allowed),
            "run": run,
        }
        env |= {
            "OPENAI_BASE_URL": f"{base}/v1",
            "ANTHROPIC_BASE_URL": base,
            "OPENAI_API_KEY": "ph-canary-openai",
            "ANTHROPIC_API_KEY": "ph-canary-anthropic",
            "OTEL_SDK_DISABLED": "true",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(hook_folder()), inherited.get("PYTHONPATH", "")))
            ),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PILOTHOUSE_TAPS": json.dumps(taps),
        }
        return env

    def refusals(self) -> tuple[Refusal, ...]:
        """Return the attempts that the hook refused, in order."""
        file = self.folder / "hook.jsonl"
        if not file.is_file():
            return ()
        found: list[Refusal] = []
        for line in file.read_text("utf-8", "replace").splitlines()[:REFUSALS_MAX]:
            try:
                entry = json.loads(line)
                if entry["kind"] == "refused":
                    found.append(Refusal(what=entry["what"], target=entry["target"], site=entry["site"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # torn when its process was ended, or written by the agent itself
        return tuple(found)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Return the entries of a folder that are not copied: those mounted read-only, and sockets or pipes."""
    return [
        name
        for name in names
        if name in LEFT_OUT or stat.S_IFMT(Path(folder, name).lstat().st_mode) not in COPIED
    ]


def _socket_files() -> tuple[str, ...]:
    """Return the files at which a process outside listens; a network namespace closes only those without a file."""
    try:
        lines = SOCKETS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ()
    columns = [line.split(maxsplit=7) for line in lines]
    return tuple(sorted({each[7] for each in columns if len(each) == 8 and each[7].startswith("/")}))


@cache
def is_sandbox_supported() -> bool:
    """Return whether this system supports the namespaces."""
    if shutil.which(UNSHARE[0]) is None:
        return False
    done = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False, timeout=30)  # noqa: S603 - fixed words
    return done.returncode == 0


def prepare_sandbox(folder: Path, source: Path, port: int) -> Sandbox:
    """Copy a working folder into a scratch folder.

    Args:
        folder: An empty folder of ours, with a short path: a socket's name has 107 characters at most.
        source: The agent's working folder.
        port: Port at which the agent shall find the replay server.

    Raises:
        Denied: This system gives no namespaces, so the agent could reach the world.
        LimitExceeded: The working folder is too large to copy.
    """
    if not is_sandbox_supported():
        raise Denied(
            "replay_unsafe: this system gives no network namespace, so the agent's own code could reach the outside",
            remedy="Replay the calls without its code: `pilothouse replay RUN --model PIN`",
        )
    if not source.is_dir():
        raise UsageError(
            f"no folder {source}", remedy="Start it in the agent's folder: `cd AGENT`", subject=str(source)
        )
    size = 0
    for root, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        size += sum(Path(root, name).lstat().st_size for name in files)
        if size > SCRATCH_BYTES_MAX:
            raise LimitExceeded(
                f"the working folder is larger than {SCRATCH_BYTES_MAX >> 20} MiB",
                remedy="Start the replay in the folder of the agent's code: `cd AGENT`",
                subject=str(source),
            )
    shutil.copytree(source, folder / "work", symlinks=True, ignore=_left_out)
    for name in LEFT_OUT:
        if (source / name).exists() and name != "__pycache__":
            (folder / "work" / name).symlink_to(source / name)
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    return Sandbox(folder=folder, socket_file=folder / "s", port=port)
