# SPDX-License-Identifier: Apache-2.0
"""Runs inside the namespaces of a replay: closes them, forwards one port to the replay server, starts the agent.

Started by `unshare --user --map-root-user --net --mount`; the agent gets process numbers of its own, so that it can send a
signal to nobody outside. Imports the standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import warnings
from pathlib import Path

__all__ = ["main"]

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x2000, 0x4000, 0x40000
MOUNT_FLAGS = {
    "ro": MS_RDONLY,
    "nosuid": 0x2,
    "nodev": 0x4,
    "noexec": 0x8,
    "noatime": 0x400,
    "nodiratime": 0x800,
    "relatime": 0x200000,
}
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CLONE_NEWIPC, CLONE_NEWPID = 0x08000000, 0x20000000
CAPABILITIES_MAX = 64
FAILED = 125
"""Exit status when the place could not be closed; the agent was not started."""

STATUSES = 256
"""A signal that ended the agent is told as a negative status, of which the system keeps the last byte."""

GRACE_S = 2
"""How long an agent that is asked to end may take; less than the five seconds after which this process is ended itself."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""What the agent gets of the machine's devices: to root all others are open too, the disks among them."""

EMPTIED = ("/run", "/dev/shm", "/dev/mqueue")  # noqa: S108 - what others share there is what must not be seen
"""Where processes share sockets, memory and queues; the agent gets empty ones of its own."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Isolate the process and run the command.

    Args:
        arguments: `--socket FILE --port N --scratch FOLDER --cwd FOLDER [--hide FILE ...] -- CMD`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--cwd", required=True)
    parser.add_argument("--hide", action="append", default=[])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = [word for place, word in enumerate(options.command) if place or word != "--"]
    try:
        _raise_loopback()
        listener = _listen(options.port)
        _make_read_only(options.scratch, options.hide)
        _forward(
            listener, options.socket
        )  # first: who leaves his own process numbers starts no thread any more
        _leave(CLONE_NEWPID | CLONE_NEWIPC)
    except OSError as error:
        sys.stderr.write(f"pilothouse: the place of the replay cannot be closed: {error}\n")
        return FAILED
    # Newer interpreters warn of a fork beside a thread, in the agent's own output. Ours holds nothing that the child takes.
    warnings.simplefilter("ignore", DeprecationWarning)
    first = os.fork()
    if first == 0:
        listener.close()
        os._exit(_be_first(command, options.cwd))
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, lambda number, _frame: os.kill(first, number))
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _be_first(command: list[str], cwd: str) -> int:
    """Run the agent as the first process of its kind, with which all others end, and return its exit status."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        _show_own_processes()
        agent = subprocess.Popen(command, cwd=cwd, preexec_fn=_drop_rights)  # noqa: S603, PLW1509 - the agent's own command, started from one thread's view
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"pilothouse: the agent cannot be started in the place of the replay: {error}\n")
        return FAILED

    def end(number: int, _frame: object) -> None:
        agent.send_signal(number)
        signal.alarm(GRACE_S)

    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, end)
    signal.signal(signal.SIGALRM, lambda _number, _frame: agent.kill())
    return agent.wait() % STATUSES


def _leave(what: int) -> None:
    if _LIBC.unshare(what) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


def _show_own_processes() -> None:
    """Mount a private /proc that shows only the agent's processes, where the container allows it, read-only."""
    with contextlib.suppress(OSError):
        _mount("proc", "/proc", MS_RDONLY, "proc")


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def _mount(source: str | None, target: str, flags: int, kind: str | None = None) -> None:
    encoded = [None if each is None else os.fsencode(each) for each in (source, target, kind)]
    if _LIBC.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount of {target}: {os.strerror(number)}")


def _make_read_only(scratch: str, hidden: list[str]) -> None:
    """Make everything outside the scratch folder read-only, and hide sockets of outside processes."""
    _mount(None, "/", MS_REC | MS_PRIVATE)
    _mount(scratch, scratch, MS_BIND)
    _replace_devices(Path(scratch, "dev"))
    for name in EMPTIED:
        with contextlib.suppress(FileNotFoundError):
            _mount("tmpfs", name, 0, "tmpfs")
    for name, flags in _mounts():
        if name == scratch or name in EMPTIED or flags & MS_RDONLY:
            continue
        # What lies hidden under another mount is reached by nobody.
        with contextlib.suppress(FileNotFoundError):
            _mount(None, name, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
    for name in hidden:
        with contextlib.suppress(OSError):  # what we cannot reach, the agent cannot either
            _mount("/dev/null", name, MS_BIND)


def _replace_devices(stage: Path) -> None:
    """Replace /dev by a folder of harmless devices.

    Args:
        stage: Where it is built, below the scratch folder.
    """
    stage.mkdir()
    _mount("tmpfs", str(stage), 0, "tmpfs")
    for name in DEVICES:
        with contextlib.suppress(FileNotFoundError):  # one that this system does not have
            (stage / name).touch()
            _mount(f"/dev/{name}", str(stage / name), MS_BIND)
    for name in ("shm", "mqueue"):
        (stage / name).mkdir()
    (stage / "fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (stage / name).symlink_to(f"/proc/self/fd/{number}")
    _mount(str(stage), "/dev", MS_MOVE)


def _mounts() -> list[tuple[str, int]]:
    """Return where file systems are mounted, with their flags: those that the outside set are locked, a remount repeats them."""
    found = []
    # In bytes: a name is no text of any encoding, and only space, tab, line feed and backslash are escaped in it.
    for line in Path("/proc/self/mountinfo").read_bytes().rstrip(b"\n").split(b"\n"):
        point, options = line.split(b" ")[4:6]
        given = os.fsdecode(options).split(",")
        flags = sum(flag for option, flag in MOUNT_FLAGS.items() if option in given)
        name = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), point)
        found.append((os.fsdecode(name), flags))
    return found


def _drop_rights() -> None:
    """Drop every capability that could undo the isolation; runs in the agent's process before it starts."""
    for capability in range(CAPABILITIES_MAX):
        _LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def _forward(listener: socket.socket, path: str) -> None:
    """Forward connections of the port to the replay server's socket file."""

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
