# SPDX-License-Identifier: Apache-2.0
"""A fault-injecting HTTP server in front of a backend, for verification on the wire.

Faults are made where they happen, below the tool's own code, so that a function which swallows an error
or retries on its own is seen. Good answers come from the real backend or from a recording of it.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pilothouse.errors import IntegrationError, UsageError

__all__ = [
    "Backend",
    "ExampleBackend",
    "FaultServer",
    "Hit",
    "Misbehave",
    "RealBackend",
    "RecordedBackend",
    "Reply",
]

BODY_BYTES_MAX = 16 * 1024 * 1024
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length", "host"}
)


@dataclass(frozen=True, slots=True)
class Hit:
    """One request that reached the server.

    Attributes:
        method: HTTP method.
        path: Path with its query.
        headers: Headers, names in lower case.
        body: Body.
        at_s: Monotonic seconds.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float

    @property
    def digest(self) -> str:
        """What makes two requests the same."""
        return hashlib.sha256(b"\0".join((self.method.encode(), self.path.encode(), self.body))).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a request, or the fault instead.

    Attributes:
        status: HTTP status.
        headers: Headers.
        body: Body.
        wait_s: Wait so long first, seconds.
        drip_s: Send one byte in so many seconds; 0 sends all at once.
        reset: Reset the connection instead of answering.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait_s: float = 0.0
    drip_s: float = 0.0
    reset: bool = False


Backend = Callable[[Hit], Reply]
Misbehave = Callable[[Hit, int, Callable[[], Reply]], Reply]
"""Request, its number from 1, and how to get the good answer → what happens."""


class RealBackend:
    """Forwards requests to the real system; redirects are not followed.

    Args:
        base_url: Its address.
        record: File that keeps what it answered, or None.
    """

    def __init__(self, base_url: str, *, record: Path | None = None) -> None:
        self._parts = urlsplit(base_url)
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise UsageError(
                f"{base_url!r} is no address of a backend",
                remedy="Write it as --redirect ERP_URL=https://erp.corp.example",
                subject=base_url,
            )
        self._record = record
        self._kept: dict[str, Any] = {}

    @property
    def host(self) -> str:
        """`host:port` that is spoken to."""
        port = self._parts.port or (443 if self._parts.scheme == "https" else 80)
        return f"{self._parts.hostname}:{port}"

    def __call__(self, hit: Hit) -> Reply:
        """Ask the real system once."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=30.0)
        headers = {name: value for name, value in hit.headers.items() if name not in HOP_BY_HOP}
        try:
            connection.request(hit.method, self._parts.path.rstrip("/") + hit.path, hit.body, headers)
            with connection.getresponse() as answer:
                body = answer.read(BODY_BYTES_MAX)
        except OSError as error:
            raise IntegrationError(
                f"{self.host} cannot be reached ({type(error).__name__})",
                remedy="Check the address, or verify against a recording: --standin FILE.",
                subject=self.host,
            ) from error
        finally:
            connection.close()
        kept = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
        reply = Reply(status=answer.status, headers=kept, body=body)
        if self._record is not None:
            self._kept[hit.digest] = {
                "status": reply.status,
                "content_type": kept.get("content-type", ""),
                "body": base64.b64encode(body).decode(),
            }
            self._record.write_text(json.dumps(self._kept, indent=1), encoding="utf-8")
        return reply


class RecordedBackend:
    """Answers from a recording; unknown requests get 404.

    Raises:
        UsageError: It cannot be read.
    """

    host = "recording"

    def __init__(self, file: Path) -> None:
        try:
            self._kept = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{str(file)!r} is no recording",
                remedy="Make one: pilothouse integration verify NAME --redirect VAR=URL --record FILE",
                subject=str(file),
            ) from error

    def __call__(self, hit: Hit) -> Reply:
        """Answer as the real system once did."""
        kept = self._kept.get(hit.digest)
        if kept is None:
            return Reply(status=404)
        headers = {"content-type": kept["content_type"]} if kept["content_type"] else {}
        return Reply(status=kept["status"], headers=headers, body=base64.b64decode(kept["body"]))


class ExampleBackend:
    """Answers every request with the result of a contract's example: for writes, which never reach production."""

    host = "example"

    def __init__(self, result: Any) -> None:
        self._reply = Reply(200, {"content-type": "application/json"}, json.dumps(result).encode())

    def __call__(self, _hit: Hit) -> Reply:
        """Answer as the contract says."""
        return self._reply


class FaultServer:
    """The server; `hits` is what the tool really sent."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._misbehave: Misbehave | None = None
        self._stopping = threading.Event()
        self.hits: list[Hit] = []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                server.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815 - names of http.server

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that has gone is what some faults are about."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True, name="fault-server").start()

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def begin(self, misbehave: Misbehave | None) -> None:
        """Clear the hits, and inject this fault from now on."""
        with self._lock:
            self.hits, self._misbehave = [], misbehave

    def stop(self) -> None:
        """Close it, and release requests that hang."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        length = min(int(handler.headers.get("content-length") or 0), BODY_BYTES_MAX)
        hit = Hit(
            method=handler.command,
            path=handler.path,
            headers={name.lower(): value for name, value in handler.headers.items()},
            body=handler.rfile.read(length) if length else b"",
            at_s=time.monotonic(),
        )
        with self._lock:
            self.hits.append(hit)
            number, misbehave = len(self.hits), self._misbehave

        def good() -> Reply:
            return self.backend(hit)

        try:
            reply = good() if misbehave is None else misbehave(hit, number, good)
        except IntegrationError:
            reply = Reply(status=502)
        self._send(handler, reply)

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.wait_s and self._stopping.wait(reply.wait_s):
            handler.close_connection = True
            return
        if reply.reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(reply.body)))
        handler.end_headers()
        if not reply.drip_s:
            handler.wfile.write(reply.body)
            return
        for index in range(len(reply.body)):
            handler.wfile.write(reply.body[index : index + 1])
            handler.wfile.flush()
            if self._stopping.wait(reply.drip_s):
                break
