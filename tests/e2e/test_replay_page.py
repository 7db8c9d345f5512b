# SPDX-License-Identifier: Apache-2.0
"""A run is played again on its page with other instructions: the model is asked live, through the server's own gateway."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from forked_process import run_command_line
from started_server import started_server
from tests.stubs.provider_stub import Plan, ProviderStub

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
MODEL, AGENT = "acme-large-2026-04-12", "ap-invoice-triage"
ASKED = [{"role": "system", "content": "Route it."}, {"role": "user", "content": "where is it?"}]
ROUTED = '{"document":"D-00001","status":"routed","task_type":"po_invoice","queue":"%s","po_number":"","confidence":1.0}'


class Visitor:
    """A browser without a window: keeps cookies, says where its posts come from."""

    def __init__(self, base):
        self.base = base
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar())).open

    def get(self, path):
        with self._open(f"{self.base}{path}", timeout=30) as answer:
            return answer.read().decode()

    def send(self, path, **fields):
        token = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.get("/sign-in"))
        data = urllib.parse.urlencode({**fields, **({"form_token": token[1]} if token else {})}).encode()
        request = urllib.request.Request(f"{self.base}{path}", data, {"sec-fetch-site": "same-origin"})
        with self._open(request, timeout=60) as answer:
            return answer.read().decode()


def test_other_instructions_are_asked_live_and_stand_beside_the_record(tmp_path):
    home = tmp_path / "home"
    env = {**os.environ, "PILOTHOUSE_HOME": str(home)}
    shutil.copytree(DEMO, tmp_path / "charter")
    charter = tmp_path / "charter/charter.yaml"
    charter.write_text(re.sub(r"(?m)^guardrails:.*", 'guardrails: "?"', charter.read_text()))
    with ProviderStub(default=Plan(text=ROUTED % "po-match")) as stub:
        run_command_line("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY", env=env)
        key = json.loads(run_command_line("key", "add", AGENT, "--json", env=env).stdout)["key"]
        words = ("--grpc-port", "0", "--home", str(home), "--charter", str(charter))
        with started_server(*words, ACME_KEY="sk-1") as base:
            body = json.dumps({"model": MODEL, "messages": ASKED}).encode()
            request = urllib.request.Request(
                f"{base}/gw/v1/chat/completions", body, {"authorization": f"Bearer {key}"}
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                run = answer.headers["x-pilothouse-run"]
            told = run_command_line("sign-in", "dana", env=env)
            link = re.search(r"/sign-in/([\w.-]+)", told.stdout + told.stderr)[1]
            dana = Visitor(base)
            dana.send("/sign-in", link=link)
            run_command_line("pause", AGENT, "--as", "dana", env=env)
            page = f"/agents/{AGENT}/runs/{run}"
            assert "Route it.</textarea>" in dana.get(page)
            typed = f"pilothouse replay {run[:12]} --mode compare --model MODEL --upstream {base}/gw"
            assert typed in dana.get(page), "the address is known here, and stood there as URL"
            stub.plan(Plan(text=ROUTED % "approval"))
            asked = len(stub.seen)
            told = dana.send(f"{page}/replay", do="changed", model="", param="", prompt="Approve it.")
            live = [one.json["messages"][0]["content"] for one in stub.seen[asked:]]
            again = dana.send(f"{page}/replay", do="again")
            stub.plan(*[Plan(status=500)] * 9)
            failed = dana.send(f"{page}/replay", do="changed", model="", param="seed=1", prompt="")
            stub._plans.clear()
            apart = ("--grpc-port", "0", "--home", str(home), "--role", "gateway")
            with started_server(*apart, ACME_KEY="sk-1") as beside:
                compare = (
                    "replay",
                    run,
                    "--mode",
                    "compare",
                    "--param",
                    "seed=1",
                    "--upstream",
                    f"{beside}/gw",
                )
                compared = run_command_line(*compare, env=env)
            assert list(home.glob("gateway-*.json")) == []
    assert "Parts from the replay at call 1: the answer differs." in told
    assert "changed: prompt; 0 calls answered from the record; 1 asked live, 0 of them the same" in told
    assert "po-match" in told
    assert "approval" in told
    assert "Approve it.</textarea>" in told, "who changes a word again begins from the last one"
    assert live == ["Approve it."]
    assert "Every call is the one of the replay." in again
    assert compared.returncode == 0, (
        "a gateway beside the server is this installation's own: no key is needed"
    )
    assert "Call 1 was not answered: HTTP 5" in failed
    assert "No answer</span>" in failed, "nobody knows what it would have said: that is no difference"
