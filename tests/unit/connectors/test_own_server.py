# SPDX-License-Identifier: Apache-2.0
"""The note that says where this installation's server listens."""

from __future__ import annotations

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pilothouse.connectors.own_server import (
    ask_health,
    forget_gateway,
    forget_server,
    gateway_addresses,
    note_gateway,
    note_server,
    read_server,
)


def test_a_note_is_read_back_and_forgotten_by_the_process_that_wrote_it(tmp_path):
    note_server(tmp_path, "http://127.0.0.1:4318")
    noted = read_server(tmp_path)
    assert noted is not None
    assert (noted.url, noted.pid) == ("http://127.0.0.1:4318", os.getpid())
    forget_server(tmp_path)
    assert read_server(tmp_path) is None


def test_the_note_of_another_process_is_left_alone(tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": os.getpid() + 1}))
    forget_server(tmp_path)
    assert read_server(tmp_path) is not None


def test_gateways_beside_the_server_are_known_while_their_process_runs(tmp_path):
    note_server(tmp_path, "http://127.0.0.1:1")
    host = socket.gethostname()
    killed = json.dumps({"url": "http://127.0.0.1:2", "pid": 2**22 + 1, "host": host})
    (tmp_path / f"gateway-{host}-9.json").write_text(killed)
    elsewhere = json.dumps({"url": "http://127.0.0.1:3", "pid": os.getpid(), "host": "elsewhere"})
    (tmp_path / "gateway-elsewhere-1.json").write_text(elsewhere)
    (tmp_path / "gateway-broken.json").write_text("{")
    assert gateway_addresses(tmp_path) == ("http://127.0.0.1:1",)
    note_gateway(tmp_path, "http://127.0.0.1:4")
    assert gateway_addresses(tmp_path) == ("http://127.0.0.1:1", "http://127.0.0.1:4")
    assert not (tmp_path / f"gateway-{host}-9.json").exists()
    assert (tmp_path / "gateway-elsewhere-1.json").exists(), "another host's is its own affair"
    forget_gateway(tmp_path)
    assert gateway_addresses(tmp_path) == ("http://127.0.0.1:1",)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "x"}', '{"url": "x", "pid": "y"}'])
def test_a_broken_note_is_no_note(tmp_path, text):
    (tmp_path / "server.json").write_text(text)
    assert read_server(tmp_path) is None


@pytest.fixture
def answering():
    """A loopback server that answers /healthz with whatever the test puts into `told`."""
    told = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told["body"])

        def log_message(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", told
    server.shutdown()
    server.server_close()
    thread.join()


def test_only_a_server_of_ours_counts(answering):
    url, told = answering
    told["body"] = b'{"program": "pilothouse", "ticks": []}'
    assert ask_health(url) == {"program": "pilothouse", "ticks": []}
    for foreign in (b"<html>", b"[]", b'{"program": "other"}'):
        told["body"] = foreign
        assert ask_health(url) is None


def test_nobody_there_is_none_and_no_error():
    assert ask_health("http://127.0.0.1:9") is None
