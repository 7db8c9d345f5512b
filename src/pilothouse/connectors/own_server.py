# SPDX-License-Identifier: Apache-2.0
"""Where this installation's server and gateway processes listen: written when they start, read by every other command."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilothouse.durable_file import replace_file

__all__ = [
    "GATEWAY_PROGRAM",
    "ServerAddress",
    "ask_health",
    "forget_gateway",
    "forget_server",
    "gateway_addresses",
    "is_running",
    "note_gateway",
    "note_server",
    "read_server",
]

FILE_NAME = "server.json"
SERVER_PROGRAM, GATEWAY_PROGRAM = "pilothouse", "pilothouse-gateway"
"""What a server, and a gateway beside one, call themselves in their health."""

HEALTH_TIMEOUT_S = 2.0
"""Loopback answers in milliseconds; two seconds is a server that hangs."""

ANSWER_BYTES_MAX = 64 * 1024
"""A health answer is a few hundred bytes; whatever is larger is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """A server that was started on this data folder.

    Attributes:
        url: Base address, for example `http://127.0.0.1:4318`.
        pid: Its process.
    """

    url: str
    pid: int


def note_server(home: Path, url: str) -> None:
    """Record the address of this process, replacing that of an earlier server.

    Args:
        home: Data folder.
        url: Base address.
    """
    replace_file(home / FILE_NAME, json.dumps({"url": url, "pid": os.getpid()}).encode())


def forget_server(home: Path) -> None:
    """Remove the record, if it belongs to this process."""
    noted = read_server(home)
    if noted is not None and noted.pid == os.getpid():
        (home / FILE_NAME).unlink(missing_ok=True)


def read_server(home: Path) -> ServerAddress | None:
    """Return the recorded server, or None without a readable record; whether it is alive is not checked."""
    try:
        noted = json.loads((home / FILE_NAME).read_text(encoding="utf-8"))
        return ServerAddress(url=str(noted["url"]), pid=int(noted["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_gateway(home: Path, url: str) -> None:
    """Write down where this process, a gateway beside the server, listens; notes of gateways that were killed here go.

    Args:
        home: Data folder.
        url: Base address.
    """
    for path, noted in _gateways(home):
        if noted is None:
            path.unlink(missing_ok=True)
    note = {"url": url, "pid": os.getpid(), "host": socket.gethostname()}
    replace_file(_gateway_file(home), json.dumps(note).encode())


def forget_gateway(home: Path) -> None:
    """Remove the note of this process."""
    _gateway_file(home).unlink(missing_ok=True)


def gateway_addresses(home: Path) -> tuple[str, ...]:
    """Return where gateways of this data folder listen: the server's, and those of processes that run on this host.

    Args:
        home: Data folder.
    """
    server = read_server(home)
    apart = tuple(noted for _, noted in _gateways(home) if noted is not None)
    return apart if server is None else (server.url, *apart)


def _gateway_file(home: Path) -> Path:
    return home / f"gateway-{socket.gethostname()}-{os.getpid()}.json"


def _gateways(home: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield the notes of gateways on this host with their addresses, None for one whose process has ended."""
    for path in sorted(home.glob("gateway-*.json")):
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            url, pid, host = str(noted["url"]), int(noted["pid"]), noted["host"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if host == socket.gethostname():
            yield path, url if is_running(pid) else None


def is_running(pid: int) -> bool:
    """Return whether a process of this host runs; one that has ended does not, also where nobody has asked how it ended.

    Args:
        pid: Its id.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1]
    except OSError:  # a system without such files
        return True
    return state != [b"Z"]


def ask_health(url: str, *, program: str = SERVER_PROGRAM) -> dict[str, object] | None:
    """Return the health of a server, or None when no Pilothouse answers in time.

    Args:
        url: Base address on loopback.
        program: What it must call itself.
    """
    import urllib.error  # noqa: PLC0415 - every command loads this module, few ask
    import urllib.request  # noqa: PLC0415 - same reason

    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=HEALTH_TIMEOUT_S) as answer:  # noqa: S310 - loopback address from our own note
            told = json.loads(answer.read(ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("program") == program else None
