# SPDX-License-Identifier: Apache-2.0
"""A Python process under `pilothouse run --egress declared` connects to what its charter declares and to nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pilothouse.errors import UsageError
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.launcher import REFUSALS_FOLDER, Launch, agent_environment
from pilothouse.runtime.tools.failure import read_failure
from pilothouse.testing import MemoryLedger
from pilothouse.workflows.gateway.launch import declared_hosts
from pilothouse.workflows.gateway.refused_connections import refused_destinations, take_refusals

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REACH = """
import _socket, asyncio, json, socket, sys, urllib.request
real = _socket.getaddrinfo
def resolved(host, *args, **kwargs):
    return real("127.0.0.2" if host == "erp.corp.example" else host, *args, **kwargs)
_socket.getaddrinfo = resolved
said = {}
def of(name, work):
    try:
        said[name] = work()
    except Exception as error:
        error = getattr(error, "reason", error)
        told = getattr(error, "as_tool_result", None)
        said[name] = told() if told else type(error).__name__
open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
async def later(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()
    return "in"
for name, host, port in json.loads(sys.argv[1]):
    of(name, lambda: open_(f"http://{host}:{port}/", timeout=5).read().decode())
    of(name + " asyncio", lambda: asyncio.run(later(host, port)))
of("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.3", 9)))
of("reverse name", lambda: socket.gethostbyaddr("secret.paste.example"))
of("reverse address", lambda: socket.getnameinfo(("127.0.0.5", 9), 0))
of("own name", lambda: socket.getfqdn() and "in")
print(json.dumps(said))
"""


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_args):
        """Says nothing."""


@pytest.fixture(scope="module")
def ports():
    """A server on an address that counts as outside, and one on loopback as everybody has it."""
    servers = [HTTPServer((host, 0), Hello) for host in ("127.0.0.2", "127.0.0.1")]
    threads = [threading.Thread(target=one.serve_forever, args=(0.05,)) for one in servers]
    for thread in threads:
        thread.start()
    yield [one.server_address[1] for one in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


def reach(tmp_path, declared, *places):
    folder = tmp_path / REFUSALS_FOLDER
    folder.mkdir(exist_ok=True)
    launch = Launch(
        endpoint="http://127.0.0.1:1",
        agent="orders",
        version="v1",
        declared=declared,
        refusals=folder / "launch",
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REACH, json.dumps(places)],
        env=agent_environment(launch, os.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_what_is_not_declared_is_refused_before_anything_is_sent_and_put_on_record(tmp_path, ports):
    outside, inside = ports
    said = reach(
        tmp_path,
        {"127.0.0.4": (443,)},
        ("inside", "127.0.0.1", inside),
        ("outside", "127.0.0.2", outside),
        ("other port", "127.0.0.4", outside),
        ("name", "paste.example", 443),
    )
    assert (said["inside"], said["inside asyncio"]) == ("hello", "in")
    assert said["own name"] == "in"
    refused = ("outside", "outside asyncio", "other port", "name", "name asyncio", "datagram")
    for name in (*refused, "reverse name", "reverse address"):
        assert (said[name]["error"], said[name]["side_effect"]) == ("permission", "none"), name
    assert f"127.0.0.2:{outside}" in said["outside"]["detail"]
    ledger = MemoryLedger()
    (tmp_path / REFUSALS_FOLDER / "odd.json").write_text("[]")
    assert take_refusals(tmp_path, ledger, NOW) == 6, "once for each destination"
    assert take_refusals(tmp_path, ledger, NOW) == 0
    assert refused_destinations(ledger, "orders", NOW - timedelta(days=1)) == {
        f"127.0.0.2:{outside}": 1,
        f"127.0.0.4:{outside}": 1,
        "127.0.0.3:9": 1,
        "paste.example": 1,
        "secret.paste.example": 1,
        "127.0.0.5": 1,
    }
    assert refused_destinations(ledger, "orders", NOW + timedelta(days=1)) == {}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 4_000,
        '{"agent": "orders", "host": "h", "port": Infinity, "version": null}',
        '{"agent": "orders", "host": "h", "port": 1e30, "version": null}',
        '{"agent": "orders", "host": "h", "port": -1, "version": null}',
        "\x00",
        "[]",
    ],
)
def test_what_no_hook_wrote_keeps_nothing_else_from_its_record(tmp_path, text):
    folder = tmp_path / REFUSALS_FOLDER
    folder.mkdir()
    (folder / "a.json").write_text(text)
    (folder / "b.json").write_text(
        '{"agent": "orders", "host": "half \\ud800", "port": 443, "version": null}'
    )
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        assert take_refusals(tmp_path, ledger, NOW) == 1
        assert refused_destinations(ledger, "orders", NOW - timedelta(days=1)) == {"half ?:443": 1}
    assert not list(folder.iterdir())


def test_what_is_declared_is_reached_by_name_or_address(tmp_path, ports):
    outside = ports[0]
    said = reach(tmp_path, {"127.0.0.2": (outside,)}, ("address", "127.0.0.2", outside))
    assert (said["address"], said["address asyncio"]) == ("hello", "in")
    named = ("name", "erp.corp.example", outside)
    said = reach(tmp_path, {"erp.corp.example": (outside,)}, named, ("port", "erp.corp.example", outside + 1))
    assert (said["name"], said["name asyncio"], said["port"]["error"]) == ("hello", "in", "permission")
    assert reach(tmp_path, {"erp.corp.example": ()}, named)["name"] == "hello"
    assert reach(tmp_path, {}, ("address", "127.0.0.2", outside))["address"]["error"] == "permission"


def charter(tmp_path, hosts):
    path = tmp_path / "charter.yaml"
    path.write_text(f"agent: orders\nintegrations:\n  erp: {{hosts: {hosts}}}\n")
    return path


def test_a_charter_says_hosts_with_their_ports(tmp_path):
    path = charter(tmp_path, '[ERP.corp.example:443, "erp.corp.example:8443", mail.corp.example]')
    assert declared_hosts(path, "https://telemetry.corp.example", "http://127.0.0.1:4318", None) == {
        "erp.corp.example": (443, 8443),
        "mail.corp.example": (),
        "telemetry.corp.example": (443,),
        "127.0.0.1": (4318,),
    }
    with pytest.raises(UsageError, match="hosts"):
        declared_hosts(charter(tmp_path, '"?"'))


def test_a_tool_that_was_refused_says_so_however_its_client_wraps_it():
    refused = type("EgressRefused", (PermissionError,), {})(13, "no")
    chained = OSError("pool")
    chained.__cause__ = ConnectionError("client")
    chained.__cause__.__context__ = refused
    for error in (refused, urllib.error.URLError(refused), chained):
        said = read_failure(error, tool="erp.pay@1", effect="irreversible", codes={}, now=NOW)
        assert (said.kind, said.side_effect, said.retryable) == ("permission", "none", False)
    other = read_failure(PermissionError(13, "no"), tool="erp.pay@1", effect="read", codes={}, now=NOW)
    assert other.kind == "unavailable"
