# SPDX-License-Identifier: Apache-2.0
"""A call that comes near the window calls somebody once a week for each level, and calls that do not are never looked at."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from control_rooms import AGENT
from tests.stubs.gateway_site import taken_from

from pilothouse.app.gateway import running_gateway
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.controls import NO_CONTROLS
from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.runtime.gateway.near_window import REFUSED_LEVEL, NearCall, NearWindow
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.gateway.context_reading import windows_of
from pilothouse.workflows.gateway.keys import add_key
from pilothouse.workflows.gateway.near_window import NEAR_KIND, note_near
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.watch.provider_watch import watch_providers

DEMO = Path(__file__).parents[4] / "src/pilothouse/demo/charter"
DAY_NS = 86_400 * 10**9


def near(level=70, share=0.7312, model="m-1", agent=AGENT):
    return NearCall(agent=agent, model=model, run="5e" * 16, level=level, share=share, window=200_000)


def test_of_a_day_only_what_comes_nearer_waits_to_be_told():
    seen = NearWindow()
    for call in (near(70), near(70), near(95), near(85), near(70, model="m-2"), near(70, agent="other")):
        seen.note(call, 0)
    seen.note(near(70), DAY_NS)
    assert [(one.agent, one.model, one.level) for one in taken_from(seen.untold)] == [
        (AGENT, "m-1", 70),
        (AGENT, "m-1", 95),
        (AGENT, "m-2", 70),
        ("other", "m-1", 70),
        (AGENT, "m-1", 70),
    ]


def test_somebody_is_called_once_a_week_for_each_level_and_not_of_a_lower_one(room, clock):
    ledger = room.installation.ledger
    assert note_near(ledger, near(85, 0.861), clock())
    assert not note_near(ledger, near(85, 0.87), clock())
    assert not note_near(ledger, near(70, 0.71), clock())
    assert [watch_providers(room, clock()) for _ in range(2)] == [1, 0]
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert incident.title.startswith(
        f"A call of {AGENT} (run 5e5e5e5e) may fill 86 % of the 200,000 tokens of m-1, and 85 % is told: it went on. "
    )
    assert note_near(ledger, near(REFUSED_LEVEL, 1.2), clock())
    watch_providers(room, clock())
    lines = [
        event.text
        for one in room.incidents.incidents(agent=AGENT)
        for event in room.incidents.events(one.number)
    ]
    assert any("did not fit into the 200,000 tokens of m-1 and was refused" in text for text in lines)
    clock.move(days=7, minutes=1)
    assert note_near(ledger, near(85, 0.861), clock())


def ask(app, key, text):
    async def asked():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://gateway"
        ) as client:
            return await client.post(
                "/gw/v1/chat/completions",
                headers={"authorization": f"Bearer {key}"},
                json={"model": MODEL, "messages": [{"role": "user", "content": text}]},
            )

    return asyncio.run(asked())


MODEL = "m-2026-01-01"


@pytest.fixture
def governed(tmp_path):
    """A ledger with a charter of a small window, a key, and a provider that nobody asks."""
    now = datetime.now(UTC)
    charter = shutil.copytree(DEMO, tmp_path / "charter") / "charter.yaml"
    text = charter.read_text()
    text = re.sub(
        r"(?m)^  pin:.*",
        f"  pin: {{provider: acme, model: {MODEL}, region: eu, retires_on: 2032-06-30}}\n  limits: {{window_tokens: 1000}}",
        text,
    )
    charter.write_text(text)
    with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger, Recorder(tmp_path / "runs") as log:
        accept_file(ledger, charter, now - timedelta(hours=1), actor="test")
        (agent,) = [one.agent for one in ledger.charters()]
        store = SqlGatewayStore(ledger.database)
        provider = Provider(
            name="acme", url="http://127.0.0.1:9/v1", protocol=WireProtocol.OPENAI, region="eu"
        )
        store.save_provider(provider, at=now, actor="test")
        key = add_key(
            store, agent, environment=None, models=(), spans=False, life=None, actor="test", now=now
        )
        yield SimpleNamespace(ledger=ledger, log=log, agent=agent, key=key.key, now=now)


def test_what_the_gateway_sees_is_on_record_half_a_minute_later(governed):
    assert windows_of(governed.ledger, governed.agent)(MODEL) == 1_000
    prices, controls = SimpleNamespace(read=lambda: ()), SimpleNamespace(state=lambda: NO_CONTROLS)
    with running_gateway(governed.ledger, prices, controls, None, governed.log, on_note=print) as gateway:
        (signs,) = [tick for tick in gateway.ticks if tick.name == "gateway-signs"]
        ask(gateway.app, governed.key, "short")
        signs.run(governed.now)
        assert not governed.ledger.decisions(governed.agent, kind=NEAR_KIND)
        refused = ask(gateway.app, governed.key, "the order of the customer is on its way " * 200)
        assert refused.json()["error"]["code"] == "context_length_exceeded"
        signs.run(governed.now)
    (told,) = governed.ledger.decisions(governed.agent, kind=NEAR_KIND)
    said = json.loads(told.document)
    assert (said["model"], said["level"], said["window"]) == (MODEL, REFUSED_LEVEL, 1_000)
    assert said["share"] > 1_000
