# SPDX-License-Identifier: Apache-2.0
"""Real receivers of pages on loopback: an HTTP endpoint and an SMTP server that keep what they were sent."""

from __future__ import annotations

import email
import json
import socketserver
import threading
import time
from contextlib import contextmanager
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["mail_sink", "web_sink"]


class WebSink:
    """What an HTTP endpoint was sent, and how it answers."""

    def __init__(self):
        self.status, self.delay_s, self.drip_s, self.port = 200, 0.0, 0.0, 0
        self.received = []

    @property
    def url(self):
        return f"json://127.0.0.1:{self.port}/page"

    @property
    def titles(self):
        return [body["title"] for _, body in self.received]

    @property
    def keys(self):
        return [key for key, _ in self.received]


@contextmanager
def web_sink():
    sink = WebSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(sink.delay_s)
            if sink.status < 300:
                sink.received.append((self.headers["Idempotency-Key"], body))
            try:
                self.send_response(sink.status)
                if 300 <= sink.status < 400:
                    self.send_header("Location", "/sign-in")
                ends_s = time.monotonic() + sink.drip_s
                while time.monotonic() < ends_s:
                    self.send_header("X-Wait", "a little")
                    self.flush_headers()
                    time.sleep(0.05)
                self.end_headers()
            except OSError:
                pass  # the other side gave up waiting

        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()


class MailSink:
    """What an SMTP server was given."""

    def __init__(self):
        self.port, self.messages = 0, []

    @property
    def url(self):
        return (
            f"mailto://127.0.0.1:{self.port}/?from=pilothouse@corp.example&to=sam@corp.example&mode=insecure"
        )


@contextmanager
def mail_sink():
    sink = MailSink()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line):
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self):
            self.say("220 sink")
            while line := self.rfile.readline():
                word = line.strip().upper()[:4]
                if word == b"DATA":
                    self.say("354 go on")
                    lines = []
                    while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                        lines.append(part)
                    sink.messages.append(email.message_from_bytes(b"".join(lines), policy=policy.default))
                    self.say("250 taken")
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
