# SPDX-License-Identifier: Apache-2.0
"""The stage of the demo: type a command at a simulated moment, let the agent work through some days, ask the ERP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from pilothouse.demo.agent_process import AgentProcess
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.parts import DemoParts, Step, Typed
from pilothouse.demo.people import people_who_answer
from pilothouse.demo.place import AGENT, DemoPlace
from pilothouse.errors import InfrastructureError
from pilothouse.runtime.launcher import Launch, agent_environment
from pilothouse.workflows.drills.canary_trace import record_canary
from pilothouse.workflows.gateway.launch import summarize_charter
from pilothouse.workflows.integrations.verify import VerifyLimits, verify_due
from pilothouse.workflows.phases.demote import act_on_verdicts
from pilothouse.workflows.verdict.assess import Assessment, assess

__all__ = ["GatewayAccess", "Stage"]

VERIFY_LIMITS = VerifyLimits(calls_max=5_000, tick_s=30.0)
VERIFY_TICKS_MAX = 10
"""Far above what a chapter of mail needs; a verifier that never settles must not hold the demo for ever."""

CODE = ("agent.py", "agent_model.py", "agent_tools.py", "erp.py")
"""Files that are the agent's code, for its version."""

ANSWER_CHARACTERS_MAX = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAccess:
    """How the agent's model calls go through the gateway.

    Attributes:
        base_url: Address with its path, as an OpenAI client takes it.
        key: Key of the gateway for this launch.
    """

    base_url: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the story plays.

    Attributes:
        place: The demo's folder.
        parts: From the composition root.
        began_at: Start of the first simulated day, aware UTC.
        agent_process: The agent's processes.
        on_step: Told about progress.
    """

    place: DemoPlace
    parts: DemoParts
    began_at: datetime
    agent_process: AgentProcess
    on_step: Callable[[Step], None]

    def moment(self, day: int, hour: float = 18.0) -> datetime:
        """Return a moment of a simulated day, aware UTC.

        Args:
            day: From 1.
            hour: Hours after the start of the day.
        """
        return self.began_at + timedelta(days=day - 1, hours=hour)

    def chapter(self, text: str) -> None:
        """Begin a chapter."""
        self.on_step(Step(text=text, is_chapter=True))

    def say(self, day: int, text: str) -> None:
        """Tell what happens outside of any command."""
        self.on_step(Step(text=text, day=day))

    def type(
        self, day: int, *words: str, hour: float = 18.0, expects: int | None = 0, at_home: bool = True
    ) -> Typed:
        """Type one command, as a person would, and tell it with the first line of its answer.

        Args:
            day: Simulated day.
            words: What is typed after `pilothouse`; the demo's `--home` is added and not told.
            hour: Hour of the day.
            expects: Exit status that the story needs; None accepts any.
            at_home: Whether the command works on an installation, and so takes `--home`.

        Raises:
            InfrastructureError: It ended otherwise, which is a defect of the demo or of the product.
        """
        home = ("--home", str(self.place.home)) if at_home else ()
        done = self.parts.type_command((*words, *home), self.moment(day, hour))
        shown = Typed(words=words, status=done.status, said=done.said, hints=done.hints)
        if expects is not None and done.status != expects:
            raise InfrastructureError(
                f"`{shown.line}` ended with status {done.status} instead of {expects}: {done.said}{done.hints}",
                remedy="Run it again: `pilothouse demo`.",
            )
        self.on_step(
            Step(text=f"$ {shown.line.replace(str(self.place.home), self.place.home.name)}", day=day)
        )
        self.quote(shown.answer)
        return done

    def quote(self, line: str) -> None:
        """Tell one line of what a command has answered."""
        self.on_step(Step(text=f"        {line.strip()[:ANSWER_CHARACTERS_MAX]}"))

    def work(
        self,
        inbox: str,
        environment: str,
        model: ModelServer,
        note: Callable[[int], str],
        *,
        gateway: GatewayAccess | None = None,
    ) -> None:
        """Let the agent work through an inbox, telling each day; its telemetry goes the server's own road.

        Args:
            inbox: Name of the inbox.
            environment: Deployment environment that its spans name.
            model: The provider.
            note: What is said about a day.
            gateway: Who passes its model calls on to the provider; None for nobody.
        """
        with self.parts.receive_telemetry(self.place.settings) as address:
            for day, tasks in self._work(inbox, environment, model, address, gateway):
                self.on_step(Step(text=note(day), day=day, tasks=tasks))

    def newest_incident(self) -> int:
        """Return the number of the newest incident that is no drill."""
        with self.parts.open_control_room(self.place.settings) as room:
            return max(one.number for one in room.incidents.incidents(agent=AGENT) if not one.drill)

    def people(self, day: int, hour: float) -> AbstractContextManager[None]:
        """Let the people of the charter answer whoever asks them, for the time of a block.

        Args:
            day: Simulated day.
            hour: Hour of the day.
        """
        return people_who_answer(self.parts, self.place, self.moment(day, hour))

    def version(self) -> str:
        """Return the version digest of the agent as its folder is now."""
        revision = sha256(b"".join((Path(__file__).parent / file).read_bytes() for file in CODE)).hexdigest()
        return summarize_charter(self.place.charter, revision=revision).version or ""

    def verify(self, day: int, hour: float = 18.0) -> None:
        """Ask the charter's verifier until nothing is due; a broken verifier is a defect of the demo."""
        now = self.moment(day, hour)
        with self.parts.open_installation(self.place.settings) as installation:
            for _ in range(VERIFY_TICKS_MAX):
                report = verify_due(installation, now, agent=AGENT, thorough=True, limits=VERIFY_LIMITS)
                if report.problems:
                    raise InfrastructureError(
                        f"the demo's verifier failed: {report.problems[0].text}",
                        remedy="Run it again: `pilothouse demo`.",
                    )
                if not report.more:
                    return

    def plant_canary(self, day: int, hour: float) -> None:
        """Plant a trace of our own, as the server does every few hours."""
        now = self.moment(day, hour)
        with (
            self.parts.at_simulated(now),
            self.parts.open_installation(self.place.settings) as installation,
            self.parts.open_intake(self.place.settings) as intake,
        ):
            record_canary(installation, intake, now)

    def judge(self, day: int, hour: float = 18.0, *, freeze: bool = True) -> Assessment:
        """Judge the agent as the server does every few minutes."""
        with self.parts.open_installation(self.place.settings) as installation:
            return assess(installation, AGENT, self.moment(day, hour), freeze=freeze)

    def act(self, day: int, hour: float = 18.0) -> int:
        """Do what the newest verdict makes necessary, as `pilothouse up` does every half minute; return the steps."""
        now = self.moment(day, hour)
        with self.parts.at_simulated(now), self.parts.open_control_room(self.place.settings) as room:
            return act_on_verdicts(room, now)

    def _work(
        self,
        inbox: str,
        environment: str,
        model: ModelServer,
        address: str,
        gateway: GatewayAccess | None,
    ) -> Iterator[tuple[int, int]]:
        """Run the agent on one inbox in a process of its own; yield each finished day and its tasks."""
        launch = Launch(
            endpoint=address,
            agent=AGENT,
            version=self.version(),
            environment=environment,
            base_url=model.base_url if gateway is None else gateway.base_url,
            key="offline" if gateway is None else gateway.key,
        )
        inherited = agent_environment(launch, os.environ)
        variables = {name: value for name, value in inherited.items() if os.environ.get(name) != value}
        variables |= {"DEMO_RATES_PROXY": model.origin}
        arguments = ["--inbox", str(self.place.inbox(inbox))]
        arguments += ["--erp", str(self.place.erp), "--prompt", str(self.place.prompt)]
        for done in self.agent_process.work(arguments, variables):
            yield done["day"], done["tasks"]
