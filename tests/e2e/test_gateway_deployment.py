# SPDX-License-Identifier: Apache-2.0
"""`pilothouse provider check` asks the server of a model that somebody hosts, and the verdict says what it answered."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from forked_process import run_command_line
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.errors import ProviderError
from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.runtime.gateway import model_listing
from pilothouse.runtime.gateway.model_listing import fetch_listing

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
MODEL, AGENT = "acme-large-2026-04-12", "ap-invoice-triage"
SECRET = "sk-canary-5d20c7aa"


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


def listing(**entry):
    return Plan(body=json.dumps({"data": [{"id": MODEL, **entry}]}).encode())


def test_what_a_server_lists_stands_in_the_verdict(tmp_path, stub):
    charter = shutil.copytree(DEMO, tmp_path / "charter") / "charter.yaml"
    declared = "retires_on: 2032-06-30, deployment: {weights: 4f1c2d9, quantisation: fp8}}"
    charter.write_text(charter.read_text().replace("retires_on: 2032-06-30}", declared))

    def pilothouse(*words):
        return run_command_line(
            *words, env={**os.environ, "PILOTHOUSE_HOME": str(tmp_path / "home"), "ACME_KEY": SECRET}
        )

    def judged():
        said = pilothouse("verdict", AGENT, "--charter", str(charter), "--json").stdout
        page, _ = json.JSONDecoder().raw_decode(said)
        return json.dumps(
            next(one for area in page["domains"] for one in area["requirements"] if one["id"] == "EVAL-7")
        )

    assert f"pilothouse provider check --agent {AGENT}" in judged()
    assert pilothouse("provider", "check").returncode == 4, "nobody knows where it is"
    pilothouse("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
    stub.plan(listing(), listing(revision="9e0", quantization="fp8"))
    unsaid, other = pilothouse("provider", "check"), pilothouse("provider", "check")
    assert stub.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert (unsaid.returncode, other.returncode) == (3, 1)
    assert "does not say its weights or quantisation" in unsaid.stdout
    assert "weights is 9e0 and not 4f1c2d9" in other.stdout
    assert "breached" in judged()
    stub.plan(listing(revision="4f1c2d9", quantization="fp8"))
    same = pilothouse("provider", "check", "--json")
    assert (same.returncode, json.loads(same.stdout)["passed"]) == (0, True)
    assert "breached" not in judged()


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (Plan(status=401), "status 401"),
        (Plan(body=b"x" * 300), "more than 200 bytes"),
        (Plan(pause_s=5.0), "in time"),
        (Plan(ending="reset", after=0), "could not be listed"),
    ],
)
def test_a_server_that_gives_no_listing_is_no_evidence_of_anything(plan, why, stub, monkeypatch):
    monkeypatch.setattr(model_listing, "LISTING_S", 0.5)
    monkeypatch.setattr(model_listing, "LISTING_BYTES_MAX", 200)
    stub.plan(plan)
    provider = Provider(name="acme", url=stub.origin, protocol=WireProtocol.OPENAI)
    with pytest.raises(ProviderError, match=why):
        fetch_listing(provider)
