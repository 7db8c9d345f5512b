# SPDX-License-Identifier: Apache-2.0
"""The gateway serves whom the phase in force reaches, and a fall of the phase takes effect at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.stubs.control_rooms import AGENT as CHARTERED
from tests.stubs.control_rooms import NOW, Hands, control_room_at
from tests.stubs.gateway_site import AGENT, MODEL, GatewaySite
from tests.stubs.provider_stub import ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove
from pilothouse.core.verdict.routing import Reach
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.runtime.gateway.policy import AgentPolicy, Pin
from pilothouse.workflows.gateway.directory import DirectoryCache
from pilothouse.workflows.ground.phase_log import MOVED
from pilothouse.workflows.phases.phases import demote_phase

CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
POLICY = AgentPolicy(agent=AGENT, chain=(Pin(provider="one", model=MODEL),))
TENTH = Reach(agent=AGENT, phase="1", share=0.1, groups=frozenset({"ap-team-a"}))
INSIDE = next(
    name for name in map("user-{}".format, range(100)) if TENTH.refusal_of(name, ["ap-team-a"]) is None
)
OUTSIDE = next(name for name in map("user-{}".format, range(100)) if TENTH.refusal_of(name, ["ap-team-a"]))


def headers(subject, groups="ap-team-a"):
    return {"x-pilothouse-subject": subject, "x-pilothouse-groups": groups}


@pytest.mark.slow
def test_the_gateway_leaves_who_is_outside_to_the_incumbent():
    with ProviderStub() as stub, GatewaySite({"one": stub.origin}, replace(POLICY, reach=TENTH)) as site:
        assert ask(site, CHAT, BODY, headers(INSIDE, "other, ap-team-a")).status == 200
        seen = len(stub.seen)
        for refused in (
            ask(site, CHAT, BODY, headers(OUTSIDE)),
            ask(site, CHAT, BODY, headers(INSIDE, "guests")),
        ):
            assert (refused.status, refused.error["code"]) == (403, "outside_rollout")
            assert refused.headers["x-pilothouse-route"] == "incumbent"
        assert len(stub.seen) == seen
        assert ask(site, CHAT, BODY).status == 200
        assert site.gateway.counters["calls_without_subject"] == 1
        site.policies = {AGENT: replace(POLICY, reach=replace(TENTH, share=1.0))}
        assert ask(site, CHAT, BODY, headers(OUTSIDE)).status == 200


def test_the_directory_follows_the_phase_in_force(tmp_path):
    with control_room_at(tmp_path, Hands()) as room:
        ledger = room.installation.ledger
        cache = DirectoryCache(ledger, SqlGatewayStore(room.controls.database), now=lambda: NOW)

        def reach():
            cache.refresh()
            return cache.directory().policies[CHARTERED].reach

        assert (reach().phase, reach().share) == ("pilot", 0.05)
        entered = PhaseEvent(move=PhaseMove.ENTERED, phase="2", at=NOW, by=("dana",), reason="held")
        ledger.record(kind=MOVED, agent=CHARTERED, at=NOW, actor="dana", document=entered.model_dump_json())
        assert (reach().phase, reach().share, reach().groups) == ("2", 0.5, frozenset({"ap-dept"}))
        demote_phase(ledger, CHARTERED, NOW + timedelta(minutes=1), to="1", actor="verdict", reason="MON-7")
        assert (reach().phase, reach().share) == ("1", 0.1)
