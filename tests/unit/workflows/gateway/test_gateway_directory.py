# SPDX-License-Identifier: Apache-2.0
"""A stand-in may answer only while the release gate of the agent with that model holds."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.core.evidence.evidence import Binding, Evidence, Source
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.runtime.gateway.policy import ConfidenceRule
from pilothouse.schemas.text_check import text_problem
from pilothouse.workflows.controls.controls import ControlsCache
from pilothouse.workflows.gateway import directory as gateway_directory
from pilothouse.workflows.gateway.directory import DirectoryCache
from pilothouse.workflows.gateway.keys import add_key
from pilothouse.workflows.gateway.launch import launch_key, summarize_charter
from pilothouse.workflows.verdict.accept import accept_file

AGENT, NOW = "ap-invoice-triage", datetime(2026, 11, 20, tzinfo=UTC)
DEMO = Path(__file__).parents[4] / "src/pilothouse/demo/charter"
PROVIDER = Provider(name="other", url="http://127.0.0.1:9/v1", protocol=WireProtocol.OPENAI)
STAND_IN = "{provider: other, model: other-large-2026-03-01, region: eu}"


@pytest.fixture
def site(tmp_path):
    charter = shutil.copytree(DEMO, tmp_path / "charter") / "charter.yaml"
    text = charter.read_text()
    text = re.sub(r"(?m)^  fallback:.*", f"  fallback: [{STAND_IN}]", text)
    charter.write_text(text)
    with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        accept_file(ledger, charter, NOW, actor="test")
        yield ledger, charter


def verdict(version, *, passed=True, age=timedelta(days=1)):
    at = NOW - age
    return Evidence(
        kind="release.verdict",
        agent=AGENT,
        window_from=at,
        window_to=at,
        n=100,
        passed=passed,
        binds=Binding(version=version),
        source=Source(command="pilothouse gate"),
        recorded_at=at,
    )


def proven(ledger):
    cache = DirectoryCache(ledger, SqlGatewayStore(ledger.database), now=lambda: NOW)
    chain = cache.directory().policies[AGENT].chain
    return [pin.proven for pin in chain]


def test_a_stand_in_needs_a_release_verdict_of_its_own_version_that_holds_and_is_fresh(site, tmp_path):
    ledger, charter = site
    assert proven(ledger) == [True, False]
    pinned = tmp_path / "charter" / "as-pinned.yaml"
    pinned.write_text(re.sub(r"(?m)^  pin:.*", f"  pin: {STAND_IN}", charter.read_text()))
    version = summarize_charter(pinned).version
    assert version != summarize_charter(charter).version
    ledger.add_evidence([verdict(version, age=timedelta(days=40))])
    assert proven(ledger) == [True, False]
    ledger.add_evidence([verdict("f" * 64)])
    assert proven(ledger) == [True, False]
    ledger.add_evidence([verdict(version, age=timedelta(days=2))])
    assert proven(ledger) == [True, True]
    ledger.add_evidence([verdict(version, passed=False)])
    assert proven(ledger) == [True, False]


def test_what_a_charter_says_of_pins_and_calls_reaches_the_gateway(site):
    ledger, charter = site
    said = "served_as: [l], fingerprint: refuse, fingerprints: [fp_1]}"
    text = charter.read_text().replace("retires_on: 2032-06-30}", f"retires_on: 2032-06-30, {said}")
    text = text.replace(STAND_IN, STAND_IN.replace("}", ", fingerprint: ignore}"))
    more = "  inject_usage: true\n  fallback_when_refused: true\n  limits: {usd_per_day: 40, alert: {usd_per_day: 30}}\n"
    charter.write_text(text.replace("  require_evidence: true\n", f"  require_evidence: false\n{more}"))
    store = SqlGatewayStore(ledger.database)
    before = DirectoryCache(ledger, store, now=lambda: NOW).directory().policies[AGENT]
    accept_file(ledger, charter, NOW, actor="test")
    policy = DirectoryCache(ledger, store, now=lambda: NOW).directory().policies[AGENT]
    assert (before.inject_usage, before.fallback_when_refused, before.alert) == (False, False, None)
    assert (policy.inject_usage, policy.fallback_when_refused) == (True, True)
    assert (policy.budget.usd_per_day, policy.alert.usd_per_day) == (40, 30)
    pin, stand_in = policy.chain
    assert (pin.served_as, pin.fingerprint, pin.fingerprints) == ({"l"}, "refuse", {"fp_1"})
    assert (stand_in.fingerprint, stand_in.proven) == ("ignore", True)
    assert stand_in.version == before.chain[1].version != policy.version, (
        "its work is another version's all the same"
    )
    assert [one.version for one in policy.of_version("f" * 64).chain] == [None, None]
    assert policy.of_version(policy.version) is policy
    assert policy.version == before.version, "the same agent under other terms"


def test_a_held_answer_waits_as_long_as_the_charter_says_and_a_day_where_it_leaves_it_open(site):
    ledger, charter = site
    store = SqlGatewayStore(ledger.database)
    assert DirectoryCache(ledger, store, now=lambda: NOW).directory().policies[AGENT].hold_life == timedelta(
        hours=4
    )
    charter.write_text(re.sub(r"hold_deadline: 4h", 'hold_deadline: "?"', charter.read_text()))
    accept_file(ledger, charter, NOW, actor="test")
    assert DirectoryCache(ledger, store, now=lambda: NOW).directory().policies[AGENT].hold_life == timedelta(
        days=1
    )


@pytest.mark.parametrize("lost", [Path.unlink, lambda file: file.write_bytes(b"\xff{}")])
def test_a_schema_that_is_lost_lets_no_answer_through(lost, site):
    ledger, charter = site
    store = SqlGatewayStore(ledger.database)
    guard = DirectoryCache(ledger, store, now=lambda: NOW).directory().policies[AGENT].guard
    assert text_problem(guard.schema, "1")
    lost(charter.parent / re.search(r"(?m)^guardrails: \{schema: ([^,]*),", charter.read_text())[1])
    guard = DirectoryCache(ledger, store, now=lambda: NOW).directory().policies[AGENT].guard
    assert "cannot be applied" in text_problem(guard.schema, "{}")
    charter.write_text(re.sub(r"(?m)^(guardrails: \{schema: )[^,]*", r'\1"?"', charter.read_text()))
    accept_file(ledger, charter, NOW, actor="test")
    assert DirectoryCache(ledger, store, now=lambda: NOW).directory().policies[AGENT].guard is None


def test_a_running_gateway_looks_again(site, monkeypatch):
    ledger, _ = site
    cache = DirectoryCache(ledger, SqlGatewayStore(ledger.database), now=lambda: NOW)
    (stand_in,) = cache.directory().policies[AGENT].chain[1:]
    ledger.add_evidence([verdict(stand_in.version)])
    cache.refresh()
    assert not cache.directory().policies[AGENT].chain[1].proven
    monkeypatch.setattr(gateway_directory, "PROOF_EVERY_S", 0.0)
    cache.refresh()
    assert cache.directory().policies[AGENT].chain[1].proven


def test_a_ledger_that_is_as_it_was_is_not_read_again_until_a_proof_is_due(site, monkeypatch):
    ledger, _ = site
    state = iter("aabbb")
    cache = DirectoryCache(
        ledger, SqlGatewayStore(ledger.database), now=lambda: NOW, state=lambda: next(state)
    )
    seen = []
    for _ in range(4):
        cache.refresh()
        seen.append(cache.directory())
    assert seen[0] is seen[1] is not seen[2]
    assert seen[2] is seen[3]
    monkeypatch.setattr(gateway_directory, "PROOF_EVERY_S", 0.0)
    cache.refresh()
    assert cache.directory() is not seen[3]


def test_what_any_process_writes_is_known_at_the_next_look(site, tmp_path):
    ledger, _ = site
    cache = DirectoryCache(
        ledger, SqlGatewayStore(ledger.database), now=lambda: NOW, state=ledger.database.state
    )
    cache.refresh()
    before = cache.directory()
    with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as elsewhere:
        SqlGatewayStore(elsewhere.database).save_provider(PROVIDER, at=NOW, actor="ana")
    cache.refresh()
    assert before.providers == {}
    assert list(cache.directory().providers) == [PROVIDER.name]
    ledger.add_evidence([verdict("f" * 64)])
    between = cache.directory()
    cache.refresh()
    assert cache.directory() is not between, "what this process itself wrote is news as well"


def test_a_charter_that_cannot_be_read_forbids_its_agent_everything_and_nobody_else_anything(site):
    ledger, _ = site
    ledger.accept_charter(agent="aged", digest="0" * 64, text="agent: [", path="aged.yaml", at=NOW)
    policies = DirectoryCache(ledger, SqlGatewayStore(ledger.database), now=lambda: NOW).directory().policies
    assert "charter" in policies["aged"].problem
    assert (policies[AGENT].problem, len(policies[AGENT].chain)) == ("", 2)


def test_a_look_that_fails_in_any_way_is_followed_by_the_next(site, monkeypatch):
    ledger, _ = site
    controls = ControlsCache(SqlControls(ledger.database))
    directory = DirectoryCache(ledger, SqlGatewayStore(ledger.database), now=lambda: NOW)

    def worn(*_):
        raise KeyError("worn")

    with monkeypatch.context() as failing:
        failing.setattr(SqlControls, "read", worn)
        failing.setattr(SqlGatewayStore, "list_keys", worn)
        for cache in (controls, directory):
            cache.refresh()
            assert cache.trouble == "KeyError: 'worn'"
    for cache in (controls, directory):
        cache.refresh()
        assert cache.trouble == ""


def test_a_prompt_that_changes_beside_the_same_charter_is_another_version_at_the_gateway_too(
    site, monkeypatch
):
    ledger, charter = site
    cache = DirectoryCache(ledger, SqlGatewayStore(ledger.database), now=lambda: NOW)
    before = cache.directory().policies[AGENT]
    assert before.version == summarize_charter(charter).version
    prompt = next((charter.parent / "prompts").iterdir())
    prompt.write_text(prompt.read_text() + "Be quick.")
    monkeypatch.setattr(gateway_directory, "VERSION_EVERY_S", 0.0)
    cache.refresh()
    after = cache.directory().policies[AGENT]
    assert after.version == summarize_charter(charter).version != before.version
    assert after.chain[1].version != before.chain[1].version
    shutil.rmtree(charter.parent)
    cache.refresh()
    assert cache.directory().policies[AGENT].version == after.version, "a folder that is away is no version"


def test_only_one_agents_files_are_read_at_a_look(site, monkeypatch):
    """Git takes its time, and a revoked key waits for the same look."""
    ledger, charter = site
    other = shutil.copytree(charter.parent, charter.parent.parent / "other") / "charter.yaml"
    other.write_text(re.sub(r"(?m)^agent:.*", "agent: second-triage", other.read_text()))
    accept_file(ledger, other, NOW, actor="test")
    compiled, seen = [], []

    def counted(charter, record):
        compiled.append(record.agent)
        return gateway_directory.compile_policy(charter, record)

    cache = DirectoryCache(ledger, SqlGatewayStore(ledger.database), now=lambda: NOW, compiled=counted)
    monkeypatch.setattr(gateway_directory, "VERSION_EVERY_S", 0.0)
    for _ in range(4):
        compiled.clear()
        cache.refresh()
        seen += compiled
    assert sorted(seen) == sorted([AGENT, "second-triage"] * 2), "each in its turn, one at a look"


def test_whoever_was_launched_as_a_version_is_that_version_whatever_lies_beside_the_charter_by_now(site):
    """A rollback held against the files let the bad process go on, and refused the good one that came back."""
    ledger, _ = site
    store = SqlGatewayStore(ledger.database)
    store.save_provider(PROVIDER, at=NOW, actor="test")
    launched = launch_key(store, AGENT, version="b" * 64, environment=None, now=NOW)
    add_key(store, AGENT, environment=None, models=(), spans=True, life=None, actor="test", now=NOW)
    directory = DirectoryCache(ledger, store, now=lambda: NOW).directory()
    keys = {key.version: key for key in directory.keys.values()}
    assert hashlib.sha256(launched.encode()).hexdigest() == keys["b" * 64].digest
    policy = directory.policies[AGENT]
    assert directory.policy_of(keys[None]) is policy
    proven = replace(policy, confidence=ConfidenceRule(field="sure", threshold=0.5))
    directory = replace(directory, policies={AGENT: proven})
    other = directory.policy_of(keys["b" * 64])
    assert [pin.version for pin in proven.chain] == [None, proven.chain[1].version]
    assert other == replace(
        proven.of_version("b" * 64), confidence=ConfidenceRule(field="sure", threshold=None)
    ), "its answers are held: the threshold was proven for another version"
    assert directory.policy_of(replace(keys["b" * 64], agent="nobody")).version == "b" * 64


@pytest.mark.parametrize(("deadline", "silent"), [("90s", (60.0, 45.0)), ("10m", (300.0, 300.0))])
def test_a_stream_may_be_silent_for_half_of_a_long_deadline(deadline, silent, tmp_path):
    charter = shutil.copytree(DEMO, tmp_path / "charter") / "charter.yaml"
    limits = f"  fallback: []\n  limits: {{deadline: {deadline}}}"
    charter.write_text(charter.read_text().replace("  fallback: []", limits, 1))
    with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        accept_file(ledger, charter, NOW, actor="test")
        cache = DirectoryCache(ledger, SqlGatewayStore(ledger.database), now=lambda: NOW)
        limits = cache.directory().policies[AGENT].limits
    assert (limits.first_byte_s, limits.idle_s) == silent
