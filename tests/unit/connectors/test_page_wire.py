# SPDX-License-Identifier: Apache-2.0
"""Pages over HTTP against real receivers: an answer has an end, and a webhook is signed as the standard says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
import tracemalloc
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from pilothouse.connectors import page_wire
from pilothouse.connectors.apprise_notifier import AppriseNotifier
from pilothouse.connectors.page_wire import ANSWER_BYTES_MAX, Signing, signature_headers, without_secret
from pilothouse.errors import UsageError
from pilothouse.ports.contacts import Message

KEY = bytes(range(200, 232))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
PAGE = Message(key="INC-7/1.5", title="Completion fell", body="to 79 % — “today”")


@contextmanager
def hook(answer=lambda out: None, headers=()):
    """An HTTP endpoint that keeps what it was sent and answers as it is told."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            for name, value in (*headers, ("Connection", "close")):
                self.send_header(name, value)
            self.end_headers()
            try:
                answer(self.wfile)
            except OSError:
                got.append("gone")
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"json://127.0.0.1:{server.server_address[1]}/page", got
    finally:
        server.shutdown()
        server.server_close()


def test_the_vector_of_the_standard():
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    how = Signing(key="msg_p5jXN8AQM9LWM0D4loKWxJek", secret=key)
    assert signature_headers(how, b'{"test": 2432232314}', 1614265330) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_receiver_can_tell_who_sent_a_page_and_that_it_is_whole_and_new():
    before = time.time()
    with hook() as (url, got):
        assert AppriseNotifier().send(f"{url}?secret={SECRET}&:team=ops", PAGE) == ""
    headers, body = got[0]
    assert headers["webhook-id"] == "INC-7/1_5"
    assert headers["Idempotency-Key"] == PAGE.key
    assert before - 1 <= int(headers["webhook-timestamp"]) <= time.time()
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    right = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{right}"
    assert b'"team": "ops"' in body
    assert SECRET.encode() not in body
    assert SECRET not in str(headers)


def test_without_a_secret_nothing_is_signed():
    with hook() as (url, got):
        assert AppriseNotifier().send(url, PAGE) == ""
    assert not any(name.startswith("webhook-") for name in got[0][0])


@pytest.mark.parametrize("secret", ["hunter2", "whsec_", "whsec_AAAA", "whsec_%%%", "whsec_" + "A" * 200])
def test_a_secret_that_proves_nothing_is_refused_where_it_is_given(secret):
    with pytest.raises(UsageError, match="no secret") as refused:
        AppriseNotifier().masked(f"jsons://hooks.corp.example/page?secret={secret}")
    assert secret == page_wire.SECRET_START or secret not in str(refused.value)
    assert (
        AppriseNotifier().send(f"jsons://h.example/?secret={secret}", PAGE)
        == "that is no secret of a webhook"
    )


def test_the_secret_is_no_part_of_what_is_shown_and_others_keep_their_own_words():
    shown = AppriseNotifier().masked(f"jsons://hooks.corp.example/page?secret={SECRET}")
    assert shown == "jsons://hooks.corp.example/…"
    plus = "whsec_" + base64.b64encode(b"\xfb\xef\xbe" * 10).decode()
    assert "+" in plus
    assert without_secret(f"json://h/?secret={plus}&a=b") == ("json://h/?a=b", b"\xfb\xef\xbe" * 10)
    assert without_secret("ntfy://h/?secret=mine") == ("ntfy://h/?secret=mine", None)
    assert without_secret("json://h/?my-secret=mine") == ("json://h/?my-secret=mine", None)


def test_an_answer_without_an_end_takes_no_memory_and_the_page_counts_as_taken():
    def forever(out):
        for _ in range(4_096):
            out.write(b"x" * 65_536)

    with hook(forever) as (url, got):
        notifier = AppriseNotifier()
        notifier.masked(url)
        tracemalloc.start()
        try:
            assert notifier.send(url, PAGE) == ""
            assert tracemalloc.get_traced_memory()[1] < 16 * ANSWER_BYTES_MAX
        finally:
            tracemalloc.stop()
        deadline = time.monotonic() + 10
        while "gone" not in got and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "gone" in got


def test_a_byte_now_and_then_ends(monkeypatch):
    monkeypatch.setattr(page_wire, "ANSWER_S_MAX", 0.3)

    def drip(out):
        for _ in range(100):
            out.write(b"x")
            out.flush()
            time.sleep(0.1)

    with hook(drip) as (url, _):
        began = time.monotonic()
        assert AppriseNotifier().send(url, PAGE) == ""
        assert time.monotonic() - began < 5


def test_a_kilobyte_does_not_become_a_gigabyte():
    with hook(lambda out: out.write(b"\x1f\x8b bomb"), [("Content-Encoding", "gzip")]) as (url, got):
        assert AppriseNotifier().send(url, PAGE) == ""
    assert got[0][0]["Accept-Encoding"] == "identity"


def test_an_answer_that_breaks_off_is_a_failed_try():
    with hook(lambda out: out.write(b"5\r\nab"), [("Transfer-Encoding", "chunked")]) as (url, _):
        assert AppriseNotifier().send(url, PAGE) != ""


def test_whatever_else_a_service_asks_of_the_library_is_the_librarys():
    wire = page_wire._WIRE
    assert wire.codes is requests.codes
    assert wire.RequestException is requests.RequestException
    with hook() as (url, got):
        address = url.replace("json://", "http://")
        assert wire.post(address, data="a").status_code == 200
        for method in (wire.get, wire.put, wire.patch, wire.delete):
            assert method(address, data="a").status_code == 501
    assert got[0][1] == b"a"
