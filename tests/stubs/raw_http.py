# SPDX-License-Identifier: Apache-2.0
"""A client on a bare socket: it sees every byte, and can stop reading or go away."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass


@dataclass
class Raw:
    """An answer as bytes."""

    status: int
    headers: dict
    body: bytes

    @property
    def error(self):
        return json.loads(self.body)["error"]

    @property
    def raw(self):
        return repr(self.headers).encode() + self.body


def ask(site, path, body, headers=None):
    """POST a body, bytes as they are, or GET without one, and return the whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    try:
        connection.request(
            "GET" if body is None else "POST",
            f"/gw{path}",
            body if body is None or isinstance(body, bytes) else json.dumps(body),
            {"authorization": f"Bearer {site.key}", "content-type": "application/json", **(headers or {})},
        )
        answer = connection.getresponse()
        return Raw(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def open_stream(site, path, body, headers=None, receive_bytes=None):
    """Send a request and return the socket, nothing read yet."""
    client = socket.socket()
    if receive_bytes is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.connect(("127.0.0.1", site.port))
    data = b"" if body is None else json.dumps(body).encode()
    lines = {
        "host": "localhost",
        "authorization": f"Bearer {site.key}",
        "content-length": str(len(data)),
        **(headers or {}),
    }
    head = f"POST /gw{path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    client.sendall(head.encode() + b"\r\n" + data)
    return client
