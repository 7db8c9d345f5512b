# SPDX-License-Identifier: Apache-2.0
"""The how-to of a server for a team: its own nginx file before a real server, with a gateway beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from forked_process import run_command_line
from started_server import started_server
from tests.stubs.provider_stub import ProviderStub

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "run-it-for-a-team.md"
DEMO = ROOT / "src" / "pilothouse" / "demo" / "charter" / "charter.yaml"
MODEL, AGENT = "acme-large-2026-04-12", "ap-invoice-triage"
SECRET = "REPLACE-BY-32-RANDOM-CHARACTERS-OR-MORE"
HOST = "pilothouse.corp.example"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def certificate(folder):
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


@contextmanager
def proxy(folder, server, gateway):
    """Run nginx with the file of the how-to, on a free port and before these two."""
    certificate(folder)
    # What `htpasswd` writes for `secret`; {PLAIN} is a form that nginx knows.
    (folder / "people").write_text("dana@harbour.example:{PLAIN}secret\nmallory@corp.example:{PLAIN}secret\n")
    port = free_port()
    block = re.search(r"```nginx\n(.+?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)[1]
    for said, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/pilothouse.pem", folder / "cert.pem"),
        ("/etc/ssl/private/pilothouse.key", folder / "key.pem"),
        ("/etc/nginx/pilothouse.people", folder / "people"),
        ("http://127.0.0.1:4318", server),
        ("http://127.0.0.1:4319", gateway),
    ):
        assert said in block
        block = block.replace(said, str(here))
    places = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {places}\n{block}\n}}\n"
    )
    running = subprocess.Popen([NGINX, "-c", str(file), "-e", str(folder / "error.log")])
    try:
        address = f"https://{HOST}:{port}"
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=False, headers={"host": f"{HOST}:{port}"}
        ) as client:
            for _ in range(200):
                try:
                    client.get("/v1/traces")
                    break
                except httpx.TransportError:
                    assert running.poll() is None, (folder / "error.log").read_text()
            yield client, address
    finally:
        running.terminate()
        running.wait(20)


def test_the_file_of_the_how_to_lets_in_whom_it_says_and_nobody_else(tmp_path):
    home = str(tmp_path / "home")
    variables = {
        "PILOTHOUSE_HOME": home,
        "PILOTHOUSE_ALLOWED_HOSTS": HOST,
        "PILOTHOUSE_PROXY_HEADER": "x-forwarded-user",
        "PILOTHOUSE_PROXY_SECRET": SECRET,
    }

    def type_in(*words):
        return run_command_line(*words, env={**os.environ, **variables}).stdout

    with ProviderStub() as stub:
        type_in("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
        quiet = ("--grpc-port", "0")
        with (
            started_server(*quiet, "--charter", str(DEMO), ACME_KEY="sk-up", **variables) as server,
            started_server(*quiet, "--role", "gateway", ACME_KEY="sk-up", **variables) as gateway,
            proxy(tmp_path, server, gateway) as (client, address),
        ):
            key = json.loads(type_in("key", "add", AGENT, "--json"))["key"]
            assert client.get("/").status_code == 401
            dana, mallory = ("dana@harbour.example", "mallory@corp.example")
            assert "D. Ruiz" in client.get("/", auth=(dana, "secret")).text
            stranger = client.get("/", auth=(mallory, "secret"), headers={"x-forwarded-user": dana})
            assert stranger.status_code == 403
            assert "You are mallory@corp.example, whom no charter in force names" in stranger.text

            form = {"origin": address, "sec-fetch-site": "same-origin"}
            signed_out = client.post("/sign-out", auth=(dana, "secret"), headers=form)
            assert signed_out.status_code != 403, "a form of our own page is taken"
            elsewhere = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
            assert client.post("/sign-out", auth=(dana, "secret"), headers=elsewhere).status_code == 403

            traces = {"json": {"resourceSpans": []}, "headers": {"x-pilothouse-key": "orders-7f3a9c"}}
            assert client.post("/v1/traces", **traces).status_code == 200
            assert client.post("/v1/traces", json={"resourceSpans": []}).status_code == 401

            asked = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
            answer = client.post(
                "/gw/v1/chat/completions", json=asked, headers={"authorization": f"Bearer {key}"}
            )
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-pilothouse-model"] == MODEL
            assert client.post("/gw/v1/chat/completions", json=asked).status_code == 401
