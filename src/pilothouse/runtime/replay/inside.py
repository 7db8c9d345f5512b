# SPDX-License-Identifier: Apache-2.0
"""Runs inside the namespaces of a replay: closes them, forwards one port to the replay server, starts the agent.

Started by `unshare --user --map-root-user --net --mount`. Imports the standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["main"]

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
MOUNT_FLAGS = {
    "nosuid": 0x2,
    "nodev": 0x4,
    "noexec": 0x8,
    "noatime": 0x400,
    "nodiratime": 0x800,
    "relatime": 0x200000,
}
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38
CAPABILITIES_MAX = 64
FAILED = 125
"""Exit status when the place could not be closed; the agent was not started."""

GRACE_S = 2
"""How long an agent that is asked to end may take; less than the five seconds after which this process is ended itself."""

KEPT_WRITABLE = ("/proc", "/dev", "/sys")
"""Kernel file systems: devices such as the null device must be writable, and hold no data."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Close the place and run the command in it.

    Args:
        arguments: `--socket FILE --port N --scratch FOLDER -- CMD`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--cwd", required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = [word for place, word in enumerate(options.command) if place or word != "--"]
    try:
        _raise_loopback()
        _make_read_only(options.scratch)
        _forward(options.port, options.socket)
    except OSError as error:
        sys.stderr.write(f"pilothouse: the place of the replay cannot be closed: {error}\n")
        return FAILED
    # Whoever loses its parent in here becomes a child of ours.
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    agent = subprocess.Popen(command, cwd=options.cwd, preexec_fn=_drop_rights)  # noqa: S603, PLW1509 - the agent's own command, started from one thread's view

    def end(number: int, _frame: object) -> None:
        agent.send_signal(number)
        signal.alarm(GRACE_S)

    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, end)
    signal.signal(signal.SIGALRM, lambda _number, _frame: agent.kill())
    status = agent.wait()
    _end_children()
    return status


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def _mount(source: str | None, target: str, flags: int, kind: str | None = None) -> None:
    encoded = [None if each is None else each.encode() for each in (source, target, kind)]
    if _LIBC.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount of {target}: {os.strerror(number)}")


def _make_read_only(scratch: str) -> None:
    """Let nothing be written outside the scratch folder, and hide the sockets of system services."""
    _mount(None, "/", MS_REC | MS_PRIVATE)
    _mount(scratch, scratch, MS_BIND)
    with contextlib.suppress(FileNotFoundError):
        _mount("tmpfs", "/run", 0, "tmpfs")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point, options = line.split()[4:6]
        name = point.encode().decode("unicode_escape")
        given = options.split(",")
        if name in {scratch, "/run"} or name.startswith(KEPT_WRITABLE) or "ro" in given:
            continue
        # Flags that the outside set are locked: a remount must repeat them.
        kept = sum(flag for option, flag in MOUNT_FLAGS.items() if option in given)
        # What lies hidden under another mount is reached by nobody.
        with contextlib.suppress(FileNotFoundError):
            _mount(None, name, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def _drop_rights() -> None:
    """Give up every right that could open the place again; runs in the agent's process before it starts."""
    for capability in range(CAPABILITIES_MAX):
        _LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _end_children() -> None:
    """End what the agent left behind: it would run on, closed in, for as long as it liked."""
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)  # its own children are ours from then on


def _children() -> list[int]:
    """Return the processes whose parent this is; none on a kernel that does not tell."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += (task / "children").read_text().split()
    return [int(child) for child in found]


def _forward(port: int, path: str) -> None:
    """Carry connections to the port to the replay server's socket file."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)

    def accept() -> None:
        while True:
            near, _ = listener.accept()
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                far.connect(path)
            except OSError:
                near.close()
                continue
            threading.Thread(target=_carry, args=(near, far), daemon=True).start()
            threading.Thread(target=_carry, args=(far, near), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
