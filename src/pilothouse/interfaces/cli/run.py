# SPDX-License-Identifier: Apache-2.0
"""`pilothouse run -- CMD`: start any agent with the environment that makes its traces arrive here."""

from __future__ import annotations

import os
import secrets
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import hint_console
from pilothouse.interfaces.cli.options import Home
from pilothouse.ports.runlog import RecordMode
from pilothouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.gateway.launch import CharterSummary

__all__ = ["Egress", "register"]

CHARTER_NAME = "charter.yaml"
VERSION_SHOWN_CHARACTERS = 12
OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables that say where the user's traces go, the stronger one first."""


class Egress(StrEnum):
    """Where an agent's process may connect to."""

    OPEN = "open"
    DECLARED = "declared"


def register(cli: typer.Typer, services: Services) -> None:
    """Add `run` to the command tree."""

    @cli.command("run", context_settings={"ignore_unknown_options": True})
    def run(
        *,
        command: Annotated[
            list[str], typer.Argument(metavar="CMD", help="The agent's own command, after `--`.")
        ],
        agent: Annotated[
            str | None, typer.Option(help="Agent name. Default: the charter's, else the command's.")
        ] = None,
        charter: Annotated[
            Path | None, typer.Option(help="Charter of the agent. Default: ./charter.yaml if it is there.")
        ] = None,
        task: Annotated[
            str | None, typer.Option(help="This process is one task of this type: all its calls are one run.")
        ] = None,
        environment: Annotated[
            str | None, typer.Option(help="Deployment environment to report, for example pilot.")
        ] = None,
        base_url: Annotated[
            str | None,
            typer.Option(help="Send model calls here: sets OPENAI_BASE_URL and ANTHROPIC_BASE_URL."),
        ] = None,
        no_gateway: Annotated[
            bool,
            typer.Option(
                "--no-gateway",
                help="Leave model calls as they are. Without it they go through the gateway, with a key of a day, "
                "where it knows a provider: the server's, or one for the life of the agent where no server runs.",
            ),
        ] = False,
        record: Annotated[
            RecordMode | None,
            typer.Option(
                help="What becomes of a model call that cannot be recorded: `required` refuses it, `best_effort` lets it go and "
                "counts the gap; `off` records none, and the run says so. From phase 1 on all are required. Default: "
                "required under a charter, else best_effort."
            ),
        ] = None,
        taps: Annotated[
            str,
            typer.Option(
                help="What to record of a Python process, which is then one run: clock,uuid,random,env,egress."
            ),
        ] = "",
        egress: Annotated[
            Egress,
            typer.Option(
                help="Where a Python process may connect to: `declared` refuses what is under no integration of the charter."
            ),
        ] = Egress.OPEN,
        home: Home = None,
        port: Annotated[int | None, typer.Option(help="Port of the Pilothouse server.")] = None,
        no_server_check: Annotated[
            bool, typer.Option("--no-server-check", help="Do not ask first whether a server listens.")
        ] = False,
    ) -> None:
        """Start an agent so that its OpenTelemetry traces arrive here; its code stays as it is.

        The command replaces this process, so signals, terminal and exit status are the agent's own.
        """
        from pilothouse.connectors.own_server import ask_health
        from pilothouse.runtime.launcher import (
            Launch,
            agent_environment,
            command_name,
            gateway_address,
            read_taps,
        )

        console = hint_console()
        settings = load_settings(home=home, port=port)
        endpoint, is_guess = _endpoint(settings, port)
        summary = _summary(charter)
        if task is not None and summary.task_types and task not in summary.task_types:
            raise UsageError(
                f"{summary.agent} has no task type {task!r}",
                remedy=f"Name one: `--task {summary.task_types[0]}`; it has {', '.join(summary.task_types)}",
                subject=task,
            )
        name = agent or summary.agent or os.environ.get("OTEL_SERVICE_NAME") or command_name(command)
        tapped = read_taps(taps)
        if record is RecordMode.OFF and tapped:
            raise UsageError(
                "`--taps` records the process, and `--record off` wants no record",
                remedy="Leave one of them out.",
                subject="record",
            )
        run_id = secrets.token_hex(16) if tapped or task else None
        answers = not no_server_check and ask_health(endpoint) is not None
        # Nobody said where our server is and none is there: what the environment says of telemetry is more than a guess.
        elsewhere = (
            next(filter(None, map(os.environ.get, OTLP_ENDPOINTS)), None)
            if is_guess and not answers
            else None
        )
        wants_gateway = not (no_gateway or base_url or no_server_check)
        gateway = None
        if wants_gateway:
            gateway = endpoint if answers else _other_gateway(services, settings, charter)
        key = (
            _gateway_key(
                services, settings, name, environment=environment, version=summary.version, record=record
            )
            if gateway
            else None
        )
        if record is RecordMode.REQUIRED and key is None:
            raise UsageError(
                "its model calls would not pass the gateway, so none would be recorded",
                remedy="`pilothouse provider list` shows a provider, and neither `--no-gateway` nor `--base-url`.",
                subject="record",
            )
        launch_id = secrets.token_hex(6)
        launch = Launch(
            endpoint=None if elsewhere else endpoint,
            agent=name,
            version=summary.version,
            task_type=task or summary.task_type,
            environment=environment,
            base_url=gateway_address(gateway, run=run_id, launch=launch_id) if gateway and key else base_url,
            key=key,
            token=_agent_token(services, settings, name) if answers else None,
            run=run_id,
            taps=tapped,
            spool=_spool(settings, launch_id) if tapped else None,
            declared=_declared(charter, endpoint, base_url or gateway) if egress is Egress.DECLARED else None,
            refusals=_refusals(settings, launch_id) if egress is Egress.DECLARED else None,
        )
        version = f", version {summary.version[:VERSION_SHOWN_CHARACTERS]}" if summary.version else ""
        console.print(escape(f"traces of {launch.agent}{version} go to {elsewhere or endpoint}"))
        if summary.agent and not summary.version:
            console.print(
                "warning: the charter leaves model.pin.provider or model.pin.model open, so these traces name no version "
                "and no evidence can be bound to one. Answer it: `pilothouse check`"
            )
        if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            console.print("warning: OTEL_SDK_DISABLED=true in your environment: the agent will send nothing")
        if key is not None:
            console.print(
                escape(f"model calls go through {gateway}/gw" + (f", as run {run_id}" if run_id else ""))
                + (", and are not recorded" if record is RecordMode.OFF else "")
            )
        elif wants_gateway:
            console.print(
                "model calls go to their provider as they are, neither pinned nor recorded: no provider is known here. Name it: "
                "`pilothouse provider add NAME URL --credential-env VARIABLE`"
            )
        if elsewhere:
            console.print(
                "no Pilothouse server runs, so the traces go where OTEL_EXPORTER_OTLP_ENDPOINT says. To have them here: "
                "`pilothouse up`, then start the agent again"
            )
        elif not (no_server_check or answers):
            console.print(
                f"warning: no Pilothouse answers at {endpoint}, so the traces will be lost. "
                "Start it first: `pilothouse up`"
            )
        _replace_process(command, agent_environment(launch, os.environ))


def _other_gateway(services: Services, settings: Settings, charter: Path | None) -> str | None:
    """Return a gateway where no server answers: one that runs, else one for the life of this launch; None where it would know no provider."""
    from pilothouse.connectors.launched_gateway import start_gateway
    from pilothouse.connectors.own_server import (
        GATEWAY_PROGRAM,
        ask_health,
        gateway_addresses,
        read_server,
    )

    if not settings.home.is_dir():
        return None  # nothing was ever set up here
    with services.open_gateway_store(settings) as store:
        if not store.providers():
            return None
    silent = read_server(settings.home)
    running = (url for url in gateway_addresses(settings.home) if silent is None or url != silent.url)
    # It is asked: after a restart of the machine another process has the number of a gateway that was killed.
    found = next((url for url in running if ask_health(url, program=GATEWAY_PROGRAM) is not None), None)
    if found is None:
        hint_console().print("no Pilothouse server runs, so a gateway is started that ends with the agent")
        found = start_gateway(settings.home, charter)
    return found


def _gateway_key(
    services: Services,
    settings: Settings,
    agent: str,
    *,
    environment: str | None,
    version: str | None,
    record: RecordMode | None,
) -> str | None:
    """Make a key of a day for the agent, or none where the gateway knows no provider."""
    from pilothouse.workflows.gateway.launch import launch_key
    from pilothouse.workflows.gateway.recording import check_choice

    if record is not None:
        with services.open_installation(settings) as installation:
            check_choice(installation.ledger, agent, record)
    with services.open_gateway_store(settings) as store:
        now = services.clock.now()
        return launch_key(store, agent, version=version, environment=environment, now=now, record=record)


def _agent_token(services: Services, settings: Settings, agent: str) -> str:
    from pilothouse.workflows.traces.feedback import agent_token

    return agent_token(services.feedback_key(settings), agent)


def _declared(charter: Path | None, *also: str | None) -> dict[str, tuple[int, ...]]:
    from pilothouse.workflows.gateway.launch import declared_hosts

    path = charter or Path(CHARTER_NAME)
    if not path.is_file():
        raise UsageError(
            "without a charter nothing says where the agent may connect to",
            remedy="Name one with --charter FILE, or draft it: `pilothouse init .`",
            subject=str(path),
        )
    return declared_hosts(path.absolute(), *also)


def _refusals(settings: Settings, launch: str) -> Path:
    from pilothouse.durable_file import private_folder
    from pilothouse.runtime.launcher import REFUSALS_FOLDER

    return private_folder(settings.runs_folder / REFUSALS_FOLDER) / launch


def _spool(settings: Settings, launch: str) -> Path:
    from pilothouse.durable_file import private_folder

    return private_folder(settings.runs_folder / "spool") / launch


def _endpoint(settings: Settings, port: int | None) -> tuple[str, bool]:
    """Return where the server is (the port that was given, else the server's own note, else the setting), and whether that is the default."""
    from pilothouse.connectors.own_server import read_server

    noted = None if port is not None else read_server(settings.home)
    if noted is not None:
        return noted.url, False
    return f"http://{settings.host}:{settings.port}", dict(settings.sources)["port"] == "default"


def _summary(given: Path | None) -> CharterSummary:
    """Read the charter that was named, or the one in the working folder if there is one."""
    from pilothouse.workflows.gateway.launch import CharterSummary, summarize_charter

    if given is not None and not given.is_file():
        raise UsageError(
            f"no charter at {given}", remedy="Draft one: `pilothouse init .`", subject=str(given)
        )
    path = given or Path(CHARTER_NAME)
    return summarize_charter(path.absolute()) if path.is_file() else CharterSummary(agent=None, version=None)


def _replace_process(command: list[str], environment: dict[str, str]) -> None:
    """Become the agent; returns only by raising."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - running the user's own command is what `run` is for
    except FileNotFoundError as error:
        raise UsageError(
            f"no program {command[0]!r} on the path",
            remedy=f"Look for it: `command -v {command[0]}`",
            subject=command[0],
        ) from error
    except OSError as error:
        raise UsageError(
            f"{command[0]!r} cannot be started: {error.strerror}",
            remedy=f"Try it alone: `{' '.join(command)}`",
            subject=command[0],
        ) from error
