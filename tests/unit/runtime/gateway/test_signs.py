# SPDX-License-Identifier: Apache-2.0
"""A provider that refuses counts as refusing until it answers again, and a fingerprint is new once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.stubs.gateway_site import taken_from

from pilothouse.ports.gateway import VirtualKey, WireProtocol
from pilothouse.runtime.gateway import signs as module
from pilothouse.runtime.gateway import untold
from pilothouse.runtime.gateway.call import Attempt, Call, Ending
from pilothouse.runtime.gateway.policy import AgentPolicy
from pilothouse.runtime.gateway.routes import find_place
from pilothouse.runtime.gateway.signs import ProviderSigns

ROUTE = find_place("POST", "/gw/v1/chat/completions", says_anthropic=False).route


def over(*failures, agent="triage", fingerprint=None):
    """A call that is over: one attempt for each failure, at a provider of its own; an empty one was answered."""
    key = VirtualKey(
        prefix="p", digest="d", agent=agent, created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="t"
    )
    call = Call(
        run="r" * 32,
        route=ROUTE,
        key=key,
        policy=AgentPolicy(agent=agent),
        protocol=WireProtocol.OPENAI,
        identity="new",
    )
    call.attempts = [
        Attempt(f"p{place}", "m", 10**9, failure=failure) for place, failure in enumerate(failures)
    ]
    call.ending = Ending.DONE if failures and not failures[-1] else Ending.FAILED
    call.served_by, call.served_model, call.fingerprint = f"p{len(failures) - 1}", "m", fingerprint
    return call


@pytest.mark.parametrize("failure", ["status_401", "status_403", "credential"])
def test_a_refused_credential_stands_until_its_provider_answers(failure):
    signs = ProviderSigns()
    signs.note(over(failure))
    signs.note(over(failure))
    signs.note(over("", agent="other"))
    (one,) = signs.refusing()
    assert (one.agent, one.provider, one.calls, one.since_ns) == ("triage", "p0", 2, 10**9)
    signs.note(over("status_500"))
    assert len(signs.refusing()) == 1
    signs.note(over(""))
    assert signs.refusing() == []


def test_a_stand_in_that_answers_hides_nothing():
    signs = ProviderSigns()
    signs.note(over("credential", ""))
    assert [one.provider for one in signs.refusing()] == ["p0"]
    signs.note(over("status_500", "status_401"))
    signs.note(over("status_500", ""))
    assert [one.provider for one in signs.refusing()] == ["p0"]


def test_what_we_refuse_ourselves_says_nothing_about_a_provider():
    signs = ProviderSigns()
    signs.note(over())
    assert signs.refusing() == []


def test_a_fingerprint_is_new_once_for_each_agent():
    signs = ProviderSigns()
    for fingerprint in ("fp_1", "fp_1", "x" * 999, "x" * 998, None):
        signs.note(over("", fingerprint=fingerprint))
    signs.note(over("", fingerprint="fp_1", agent="other"))
    assert [(one.agent, len(one.fingerprint)) for one in taken_from(signs.untold)] == [
        ("triage", 4),
        ("triage", 128),
        ("other", 4),
    ]
    assert taken_from(signs.untold) == []


def test_agents_and_fingerprints_without_end_fill_no_memory(monkeypatch):
    monkeypatch.setattr(module, "REFUSING_MAX", 2)
    monkeypatch.setattr(module, "BACKENDS_MAX", 2)
    signs = ProviderSigns()
    for number in range(5):
        signs.note(over("status_401", agent=f"a{number}"))
        signs.note(over("", fingerprint=f"fp_{number}"))
    assert [one.agent for one in signs.refusing()] == ["a3", "a4"]
    assert len(signs._seen) <= 2
    monkeypatch.setattr(untold, "WAITING_MAX", 5)
    signs.note(over("", fingerprint="fp_9"))
    assert [one.fingerprint for one in taken_from(signs.untold)] == [f"fp_{number}" for number in range(5)]
    signs.note(over("", fingerprint="fp_9"))
    assert [one.fingerprint for one in taken_from(signs.untold)] == ["fp_9"], (
        "what found no room is told later"
    )
