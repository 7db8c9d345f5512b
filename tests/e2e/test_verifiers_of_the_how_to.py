# SPDX-License-Identifier: Apache-2.0
"""The verifiers of the how-to, word for word, against a PostgreSQL, a web service and a file that misbehave."""

from __future__ import annotations

import gzip
import json
import os
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from postgres_server import fresh_postgres_url, postgres_server
from source_tree import ROOT

from pilothouse.testing import example_task
from pilothouse.workflows.ground.asking import Asker

__all__ = ["postgres_server"]
HOW_TO = ROOT / "docs" / "how-to" / "verify-against-a-system.md"
pytestmark = pytest.mark.slow


def verifier(name):
    """The function of this name as the how-to writes it."""
    blocks = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [one for one in blocks if f"def {name}(" in one]
    names = {}
    exec(compile(block, str(HOW_TO), "exec"), names)
    return names[name]


def answer(ask, timeout_s=10.0, **claim):
    """What is found, or why nothing is."""
    with Asker(ask, timeout_s) as asker:
        found = asker.ask(example_task(claim=json.dumps(claim)))
    return found.problem if found.finding is None else found.finding.status.value


@pytest.fixture
def refunds(request, monkeypatch):
    """Refunds in a database, and an account that may read them."""
    url = fresh_postgres_url(request)
    reader = f"reader_{url.rsplit('/', 1)[1]}"
    with psycopg.connect(url, autocommit=True) as link:
        link.execute("CREATE TABLE refund (order_id text, amount numeric(12,2), state text)")
        link.execute(
            "INSERT INTO refund VALUES ('A1', 12.50, 'issued'), ('A2', 12.50, 'issued'), ('A2', 12.50, 'issued'),"
            " ('A3', NULL, 'issued'), ('A4', 99, 'issued'), ('A5', 12.50, 'draft')"
        )
        link.execute(f"CREATE ROLE {reader} LOGIN")
        link.execute(f"GRANT SELECT ON refund TO {reader}")
        monkeypatch.setenv("REFUNDS_DSN", url.replace("postgres@", f"{reader}@"))
        yield link, reader


def refund(order, amount="12.50"):
    return answer(verifier("refund_issued"), refund_issued={"target": order, "amount": amount})


def test_a_database_is_read_exactly(refunds):
    link, _ = refunds
    found = [refund(order) for order in ("A1", "A2", "A3", "A4", "A5", "A9")]
    assert found == ["verified", "contradicted", "pending", "contradicted", "pending", "pending"]
    assert (refund("A1", 12.5), refund("A1", None), refund("'; --")) == (
        "verified",
        "unverifiable",
        "pending",
    )
    link.execute("INSERT INTO refund VALUES ('A9', 12.50, 'issued')")
    assert refund("A9") == "verified", "the row comes after the claim"


def test_a_database_that_cannot_be_asked_says_nothing(refunds):
    link, reader = refunds
    with psycopg.connect(link.info.dsn) as other:
        other.execute("LOCK TABLE refund IN ACCESS EXCLUSIVE MODE")
        assert refund("A1").startswith("QueryCanceled")
        other.rollback()
    link.execute(f"ALTER ROLE {reader} CONNECTION LIMIT 0")
    assert "too many connections" in refund("A1")
    link.execute(f"ALTER ROLE {reader} CONNECTION LIMIT -1")
    link.execute(f"REVOKE SELECT ON refund FROM {reader}")
    assert refund("A1").startswith("InsufficientPrivilege")
    link.execute(f"GRANT SELECT ON refund TO {reader}")
    link.execute("ALTER TABLE refund RENAME COLUMN amount TO amount_eur")
    assert refund("A1").startswith("UndefinedColumn")
    link.execute("ALTER TABLE refund RENAME COLUMN amount_eur TO amount")
    assert refund("A1") == "verified"


@contextmanager
def tickets(answered):
    """A web service that answers as it is told; yields its address and what it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            answered(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def sends(status, body=b"", **headers):
    def answered(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answered


def drips(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(400):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


CLOSED = json.dumps({"fields": {"status": {"name": "Closed"}}}).encode()


@pytest.mark.parametrize(
    ("answered", "found"),
    [
        (sends(200, CLOSED), "verified"),
        (sends(200, gzip.compress(CLOSED), Content_Encoding="gzip"), "verified"),
        (sends(200, CLOSED.replace(b"Closed", b"Open")), "contradicted"),
        (sends(404), "pending"),
        (sends(401), "HTTPStatusError: Client error '401 Unauthorized'"),
        (sends(429, Retry_After="120"), "HTTPStatusError: Client error '429 Too Many Requests'"),
        (sends(503), "HTTPStatusError: Server error '503 Service Unavailable'"),
        (sends(302, Location="/sign-in"), "HTTPStatusError: Redirect response '302 Found'"),
        (sends(200, b"<html>sign in</html>"), "JSONDecodeError"),
        (sends(200, b'{"fields": {}}'), "KeyError: 'status'"),
        (sends(200, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"), "ValueError: the answer does not end"),
        (drips, "ValueError: the answer does not end"),
    ],
)  # fmt: skip
def test_a_web_service_is_believed_only_where_it_answers(monkeypatch, answered, found):
    ask = verifier("ticket_closed")
    ask.__globals__["ANSWER_S"] = 1.0 if answered is drips else 8.0
    with tickets(answered) as (url, asked):
        monkeypatch.setenv("TICKETS_URL", url)
        monkeypatch.setenv("TICKETS_TOKEN", "t0ken")
        assert answer(ask, ticket_closed={"target": "OPS-12"}).startswith(found)
        assert asked == [("/api/tickets/OPS-12?fields=status", "Bearer t0ken")]
        assert answer(ask, ticket_closed={"target": "../users/OPS-12"}) == "unverifiable"
        assert len(asked) == 1


def test_a_web_service_that_is_not_there_says_nothing(monkeypatch):
    monkeypatch.setenv("TICKETS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TICKETS_TOKEN", "t0ken")
    assert answer(verifier("ticket_closed"), ticket_closed={"target": "OPS-12"}).startswith("ConnectError")


def test_a_file_is_read_when_it_is_newer_than_the_task(tmp_path, monkeypatch):
    file = tmp_path / "shipments.csv"
    monkeypatch.setenv("SHIPMENTS_CSV", str(file))

    def shipped(order):
        return answer(verifier("order_shipped"), order_shipped={"target": order})

    assert shipped("A1").startswith("FileNotFoundError")
    file.write_text("\ufefforder_id,carrier\nA1,x\nA2,x\nA2,y\n", encoding="utf-8")
    assert [shipped(order) for order in ("A1", "A2", "A3", "")] == [
        "verified", "contradicted", "pending", "unverifiable",
    ]  # fmt: skip
    file.write_text('order_id,carrier\nA1,"x', encoding="utf-8")
    assert shipped("A1").startswith("Error: unexpected end of data")
    file.write_text("id\nA1\n", encoding="utf-8")
    assert shipped("A1") == "KeyError: 'order_id'"
    os.utime(file, ns=(1, 1))
    assert shipped("A1") == "pending"
