# SPDX-License-Identifier: Apache-2.0
"""`pilothouse drill model-timeout | tool-outage | fallback`: an agent works while something that it needs is down."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.drill_options import Command, Live, Runs, Step, Wait
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home, Who
from pilothouse.ports.planted import FAULT_LIFE_MAX, SHADOW, FaultKind
from pilothouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.drills.faults import Rehearsal
    from pilothouse.workflows.drills.outages import Outage
    from pilothouse.workflows.drills.records import DrillResult
    from pilothouse.workflows.ground.control_room import ControlRoom

__all__ = ["OutageDrill", "hold_outage", "register_outages"]

RUN_S_MAX = 120.0
"""Time of one run of the agent's command; a shadow that hangs is ended, and what it did is looked at."""

MARGIN = timedelta(minutes=3)
"""A fault outlives the runs by the time in which the last tasks arrive, and ends by itself then."""

Integration = Annotated[str, typer.Argument(help="Integration as the charter names it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageDrill:
    """A drill of an outage as the command line asks for it.

    Attributes:
        command: The agent's own command, or None for the live agent.
        runs: How often it is run.
        integration: Integration that is down; empty for every model.
        live_s: Seconds for which the live agent meets the outage, or None.
        hang_s: Seconds that each provider is silent at each attempt.
        wait_s: Seconds to wait for people.
        to_step: Whether to wait until a step of the runbook is done.
        tell: Told each step in one sentence.
    """

    command: list[str] | None
    runs: int
    integration: str = ""
    live_s: float | None = None
    hang_s: float = 1.0
    wait_s: float
    to_step: bool = False
    tell: Callable[[str], None]


def register_outages(
    group: typer.Typer,
    services: Services,
    *,
    tell: Callable[[str], None],
    show: Callable[..., None],
) -> None:
    """Add the drills of outages to the group.

    Args:
        group: The group `drill`.
        services: What a command is given.
        tell: Shows a step.
        show: Shows a result and sets the exit status.
    """

    @group.command("model-timeout")
    def model_timeout(
        command: Command = None,
        *,
        agent: AgentOption = None,
        runs: Runs = 3,
        live: Live = None,
        hang: Annotated[
            float,
            typer.Option(min=0.05, max=30, help="Seconds that each provider is silent at each attempt."),
        ] = 1.0,
        wait: Wait = 60.0,
        to_step: Step = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """The gateway hears nothing of any model while the agent's own command works: an alert must reach somebody."""
        drill = OutageDrill(
            command=command, runs=runs, live_s=live, hang_s=hang, wait_s=wait, to_step=to_step, tell=tell
        )
        settings = load_settings(home=home)
        with services.open_control_room(settings) as room:
            done = hold_outage(services, settings, room, agent, drill)
        show(done, as_json=as_json)

    @group.command("tool-outage")
    def tool_outage(
        integration: Integration,
        command: Command = None,
        *,
        agent: AgentOption = None,
        runs: Runs = 3,
        live: Live = None,
        wait: Wait = 60.0,
        to_step: Step = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """The breaker of an integration is held open while the agent's own command works: an alert must reach somebody."""
        drill = OutageDrill(
            command=command,
            runs=runs,
            integration=integration,
            live_s=live,
            wait_s=wait,
            to_step=to_step,
            tell=tell,
        )
        settings = load_settings(home=home)
        with services.open_control_room(settings) as room:
            done = hold_outage(services, settings, room, agent, drill)
        show(done, as_json=as_json)

    @group.command("fallback")
    def fallback(
        integration: Integration,
        command: Command = None,
        *,
        agent: AgentOption = None,
        runs: Runs = 1,
        live: Live = None,
        person: Who = "",
        as_declared: Annotated[
            bool | None,
            typer.Option(
                "--as-declared/--not-as-declared",
                help="Whether what happened is the declared fallback; asked at the end when left out.",
            ),
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """An integration is down while the agent works; who answers for it says whether the declared fallback happened."""
        from pilothouse.workflows.drills.outages import declared_fallback, observe, record_fallback

        drill = OutageDrill(
            command=command, runs=runs, integration=integration, live_s=live, wait_s=0.0, tell=tell
        )
        settings = load_settings(home=home)
        with services.open_control_room(settings) as room:
            rehearsal = _rehearsal(room, agent, "fallback", drill)
            declared = declared_fallback(rehearsal.charter, integration, person)
            outage = _outage(rehearsal, settings, drill)
            seen = observe(rehearsal, outage)
            tell(f"{seen.sentence}. Declared is: {declared}")
            for task in seen.met[:3]:
                tell(f"`pilothouse trace {task.trace_id}` shows one that {task.result.value}.")
            if as_declared is None:
                as_declared = bool(seen.met) and typer.confirm("Is that what happened?", err=True)
            done = record_fallback(rehearsal, outage, seen, person=person, as_declared=as_declared)
        show(done, as_json=as_json)


def hold_outage(
    services: Services, settings: Settings, room: ControlRoom, agent: str | None, drill: OutageDrill
) -> DrillResult:
    """Hold the drill of one outage: of an integration, or of every model where none is named.

    Args:
        services: What a command is given.
        settings: Values in force.
        room: Opened parts.
        agent: Agent id, or None for the only one.
        drill: What is asked for.
    """
    from pilothouse.workflows.drills.outages import drill_outage

    rehearsal = _rehearsal(room, agent, "tool-outage" if drill.integration else "model-timeout", drill)
    if not drill.integration:
        _need_provider(services, settings, rehearsal)
    return drill_outage(rehearsal, _outage(rehearsal, settings, drill))


def _rehearsal(room: ControlRoom, agent: str | None, name: str, drill: OutageDrill) -> Rehearsal:
    from pilothouse.workflows.drills.faults import Rehearsal
    from pilothouse.workflows.ground.agents import choose_agent
    from pilothouse.workflows.ground.in_force import charter_in_force

    chosen = choose_agent(room.installation, agent)
    return Rehearsal(
        room=room,
        charter=charter_in_force(room.installation.ledger, chosen),
        name=name,
        began_s=time.monotonic(),
        wait_s=drill.wait_s,
        to_step=drill.to_step,
        tell=drill.tell,
    )


def _need_provider(services: Services, settings: Settings, rehearsal: Rehearsal) -> None:
    """Refuse where the gateway could answer nothing anyway: what failed then would not be the planted silence."""
    from pilothouse.core.charter.answers import known

    pin = known(rehearsal.charter.model.pin.provider)
    with services.open_gateway_store(settings) as store:
        names = {one.name for one in store.providers()}
    if pin is None or pin not in names:
        raise UsageError(
            f"the gateway knows no provider {pin or 'of the pinned model'}, so no model call passes through it",
            remedy=f"Say where it is: `pilothouse provider add {pin or 'NAME'} URL --credential-env VARIABLE`.",
            subject="model.pin.provider",
        )


def _outage(rehearsal: Rehearsal, settings: Settings, drill: OutageDrill) -> Outage:
    from pilothouse.workflows.drills.outages import Outage
    from pilothouse.workflows.integrations.verify_integration import declared_integration

    if bool(drill.command) is (drill.live_s is not None):
        raise UsageError(
            "a drill of an outage needs an agent that works meanwhile: its command, or the live one",
            remedy="`pilothouse drill model-timeout -- python agent.py`, or `--live 120`.",
            subject="CMD",
        )
    if drill.integration:
        declared_integration(rehearsal.charter, drill.integration)
    is_live = drill.live_s is not None
    working_s = drill.runs * RUN_S_MAX if drill.live_s is None else drill.live_s
    return Outage(
        kind=FaultKind.TOOL_OUTAGE if drill.integration else FaultKind.MODEL_TIMEOUT,
        integration=drill.integration,
        environment=None if is_live else SHADOW,
        hang_s=drill.hang_s,
        life=min(timedelta(seconds=working_s), FAULT_LIFE_MAX - MARGIN) + MARGIN,
        actor=command_line_actor(),
        drive=partial(time.sleep, working_s)
        if is_live
        else partial(_run_shadow, rehearsal, settings, drill.command or [], drill.runs),
    )


def _run_shadow(rehearsal: Rehearsal, settings: Settings, command: list[str], runs: int) -> None:
    """Run the agent's command through `pilothouse run` as a shadow; how it ends is the agent's own affair."""
    record = rehearsal.room.installation.ledger.charter(rehearsal.charter.agent)
    charter = ["--charter", record.path] if record is not None and Path(record.path).is_file() else []
    whole = [sys.executable, "-m", "pilothouse", "run", "--home", str(settings.home), *charter]
    whole += ["--agent", rehearsal.charter.agent, "--environment", SHADOW, "--", *command]
    for number in range(runs):
        try:
            done = subprocess.run(whole, check=False, stdout=subprocess.DEVNULL, timeout=RUN_S_MAX)  # noqa: S603 - the user's own command
        except subprocess.TimeoutExpired:
            rehearsal.tell(f"run {number + 1} was ended after {RUN_S_MAX:.0f} s.")
        else:
            rehearsal.tell(f"run {number + 1} of {runs} ended with status {done.returncode}.")
