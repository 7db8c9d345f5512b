# SPDX-License-Identifier: Apache-2.0
"""The last chapter: the agent goes behind the gateway, and one recorded run is played again with the incident's prompt.

It happens now, not at a simulated moment: the gateway is the product's own process, and what it records has the time of the clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pilothouse.demo.furnish import PRICE_WORDS
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.parts import DemoParts
from pilothouse.demo.place import AGENT, DemoPlace, read_beginning
from pilothouse.demo.provider import provider_of_the_story
from pilothouse.demo.repair import with_shortcut
from pilothouse.demo.stage import GatewayAccess, Stage
from pilothouse.demo.traffic import STORY_DAYS
from pilothouse.demo.triage_model import PINNED_MODEL
from pilothouse.demo.variables import with_variables
from pilothouse.errors import InfrastructureError
from pilothouse.ports.gateway import WireProtocol
from pilothouse.workflows.gateway.keys import add_provider, replay_key
from pilothouse.workflows.gateway.launch import launch_key

__all__ = ["GatewayProcess", "gateway_process", "keep_provider", "replay_a_run"]

PROVIDER = "acme"
"""As the charter's pin names it."""

CREDENTIAL = "DEMO_PROVIDER_KEY"
START_S = 120.0
"""It takes two seconds; a machine that is busy with other things may need many times that."""

STOP_S = 20.0
ENVIRONMENT = "production"
HOUR = 24.0


@dataclass(slots=True)
class GatewayProcess:
    """A gateway that is starting, or has started.

    Attributes:
        process: Its process.
        ready: Set when it has said where it listens, or has ended.
        address: Base address with `/gw`, once it is ready; empty if it ended.
    """

    process: subprocess.Popen[str]
    ready: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def listen(self) -> None:
        """Read what it prints until it ends."""
        for line in self.process.stderr or ():
            name, _, rest = line.strip().partition(" ")
            if name == "OpenAI":
                self.address = rest.split()[0].removesuffix("/v1")
                self.ready.set()
        self.ready.set()

    def wait(self) -> str:
        """Return the address as soon as it listens.

        Raises:
            InfrastructureError: It does not.
        """
        if not self.ready.wait(START_S) or not self.address:
            raise InfrastructureError(
                "the gateway of the demo did not start",
                remedy="Start one by itself, which says why: `pilothouse up --role gateway`.",
            )
        return self.address


@contextmanager
def gateway_process(place: DemoPlace) -> Iterator[GatewayProcess]:
    """Start `pilothouse up --role gateway`, and end it with the block; it becomes ready while other things happen.

    Args:
        place: The demo's folder.
    """
    words = ["up", "--role", "gateway", "--home", str(place.home), "--port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own program with our own words
        [sys.executable, "-m", "pilothouse", *words],
        env={**os.environ, CREDENTIAL: "offline", "COLUMNS": "400"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is meant for the demo, which ends it
    ) as process:
        gateway = GatewayProcess(process)
        reader = threading.Thread(target=gateway.listen, name="gateway-of-the-demo", daemon=True)
        reader.start()
        try:
            yield gateway
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join(STOP_S)


def keep_provider(place: DemoPlace, parts: DemoParts) -> None:
    """Let the provider of the story answer as long as this process lives: pages ask it when a run is played again with a change.

    Args:
        place: The place of a finished run.
        parts: From the composition root.
    """
    model = provider_of_the_story(read_beginning(place)).start()
    os.environ.setdefault(CREDENTIAL, "offline")
    with parts.open_gateway_store(place.settings) as store:
        add_provider(
            store, PROVIDER, model.base_url, protocol=WireProtocol.OPENAI, credential_variable=CREDENTIAL,
            credential_file=None, region="eu", actor="pilothouse demo", now=parts.clock.now(),
        )  # fmt: skip


def replay_a_run(stage: Stage, model: ModelServer, gateway: GatewayProcess) -> None:
    """Let the day's mail go through the gateway, and ask what the incident's prompt would have made of one of them."""
    day, place, address = STORY_DAYS, stage.place, gateway.wait()
    stage.type(
        day, "provider", "add", PROVIDER, model.base_url, "--credential-env", CREDENTIAL, "--region", "eu", hour=HOUR,
    )  # fmt: skip
    stage.type(
        day, "price", PROVIDER, PINNED_MODEL, *PRICE_WORDS, "--source", "made up for the demo", hour=HOUR,
    )  # fmt: skip
    stage.say(
        day,
        "the agent is started by `pilothouse run`: its model calls go through the gateway, its code stays as it is",
    )
    with stage.parts.open_gateway_store(place.settings) as store:
        now = stage.parts.clock.now()
        launched = launch_key(store, AGENT, version=stage.version(), environment=ENVIRONMENT, now=now)
        asking = replay_key(store, AGENT, models=(), now=now)
    access = GatewayAccess(base_url=f"{address}/v1", key=launched or "")
    stage.work("today", ENVIRONMENT, model, lambda _day: "phase 2, every model call recorded", gateway=access)
    stage.verify(day, HOUR)
    run = _newest_run(stage)
    _replay(stage, run)
    shortcut = place.home / "shortcut.md"
    shortcut.write_text(with_shortcut(place.prompt.read_text(encoding="utf-8")), encoding="utf-8")
    stage.say(
        day,
        "what would the prompt of the incident have made of this mail? The recorded run is asked again with it",
    )
    with with_variables({"PILOTHOUSE_KEY": asking.key}):
        _replay(stage, run, "--prompt", str(shortcut), "--upstream", address)


def _replay(stage: Stage, run: str, *words: str) -> None:
    """Play a run again, and tell which calls came out as recorded and which otherwise."""
    told = stage.type(STORY_DAYS, "replay", run, *words, hour=HOUR)
    for line in told.said.splitlines():
        if line.strip().startswith(("=", "≠ call", "live answers")):
            stage.quote(line)


def _newest_run(stage: Stage) -> str:
    """List what was recorded, and return the beginning of the id of the run that was recorded last."""
    listed = stage.type(STORY_DAYS, "replay", "--list", "--agent", AGENT, hour=HOUR)
    newest = listed.said.splitlines()[1]
    stage.quote(newest)
    return newest.split()[0]
