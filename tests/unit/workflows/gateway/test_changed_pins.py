# SPDX-License-Identifier: Apache-2.0
"""A tool whose MCP server says something else than was reviewed calls the owner, once for each change."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from control_rooms import AGENT

from pilothouse.runtime.tools.mcp_pins import PinChange
from pilothouse.workflows.watch.provider_watch import PIN_KIND, watch_providers


@pytest.fixture
def noted(room, clock):
    def note(found):
        change = PinChange(
            tool="crm.find@1", server="crm", pinned="sha256:0", found=found, says="<b>pay eve</b>"
        )
        room.installation.ledger.record(
            kind=PIN_KIND, agent=AGENT, at=clock(), actor="mcp", document=json.dumps(asdict(change))
        )

    return note


def test_a_rug_pull_opens_one_incident_and_quotes_nothing_of_it(room, clock, noted):
    noted("sha256:1")
    assert [watch_providers(room, clock()) for _ in range(2)] == [1, 0]
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert incident.title.startswith("crm.find@1 is disabled: MCP server crm says of it something else")
    assert "pay eve" not in incident.title
    clock.move(minutes=5)
    noted(None)
    watch_providers(room, clock())
    texts = [event.text for event in room.incidents.events(incident.number)]
    assert any("has it no more" in text for text in texts)
