# SPDX-License-Identifier: Apache-2.0
"""The environment variables that make any agent's standard instrumentation report here.

An agent keeps its code. OpenTelemetry reads where to send, who is sending and how much to say from environment
variables, so that is all we set. What the user has set for other purposes stays as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote, unquote, urlsplit

from pilothouse.errors import UnknownName
from pilothouse.runtime.sdk.server import TOKEN_VARIABLE
from pilothouse.runtime.taps import hook_folder
from pilothouse.settings import LOOPBACK_HOSTS

__all__ = [
    "ENVIRONMENT",
    "OTHER_ADDRESSES",
    "PROXIES",
    "REFUSALS_FOLDER",
    "Launch",
    "agent_environment",
    "command_name",
    "gateway_address",
    "read_taps",
]

ENVIRONMENT = "deployment.environment.name"
"""Resource attribute that says where an agent runs."""

REFUSALS_FOLDER = "refused"
"""Below the folder of runs: where start-up hooks say which connections they refused."""

TAPS = ("clock", "uuid", "random", "env", "egress")
"""What the start-up hook can watch."""

OVERRULING = (
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
)
"""Variables for one signal, which would overrule the endpoint that we set for all."""

OTHER_ADDRESSES = ("OPENAI_API_BASE", "OPENAI_PROXY", "ANTHROPIC_API_URL", "ANTHROPIC_API_BASE")
"""Variables by which frameworks send model calls elsewhere, whatever the clients' own variables say."""

OTHER_CREDENTIALS = ("ANTHROPIC_AUTH_TOKEN",)
"""Shown beside the key by older clients, in the header that is read first."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
"""Variables in either case that send requests through another host, ours to this machine among them."""

PARENT_CONTEXT = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")
"""A parent from outside would join all tasks of the process into one trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an agent process is started.

    Attributes:
        endpoint: Base address for OTLP, without `/v1/traces`; None to leave what the environment says of it.
        agent: Agent name.
        version: Version digest, or None.
        task_type: Type of every task that does not say its own, or None to say nothing.
        environment: Deployment environment, for example `pilot`, or None to say nothing.
        base_url: Address that answers model calls instead of the provider, or None.
        key: Key of the gateway, or None; it takes the place of the provider's.
        token: Token with which the agent asks for its examples and speaks about its own tasks, or None.
        run: Run id that the whole process is, or None when it holds many runs.
        taps: What the start-up hook of a Python process watches: `clock`, `uuid`, `random`, `env`, `egress`.
        spool: File whose name the hook's files begin with.
        declared: Hosts that a Python process may reach, with their ports (any when empty); None for everywhere.
        refusals: File whose name the files about refused connections begin with.
    """

    endpoint: str | None
    agent: str
    version: str | None = None
    task_type: str | None = None
    environment: str | None = None
    base_url: str | None = None
    key: str | None = None
    token: str | None = None
    run: str | None = None
    taps: tuple[str, ...] = ()
    spool: Path | None = None
    declared: Mapping[str, Sequence[int]] | None = None
    refusals: Path | None = None


def agent_environment(launch: Launch, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for an agent process.

    Args:
        launch: Where and as whom it reports.
        inherited: The environment it would have had.

    Returns:
        A new environment. Where to send, and who sends, are ours; how much content is captured and the addresses
        of models stay the user's when they are set.

    Example:
        >>> launch = Launch(endpoint="http://127.0.0.1:4318", agent="triage", version="4f1c")
        >>> agent_environment(launch, {"OTEL_RESOURCE_ATTRIBUTES": "team=ap"})["OTEL_RESOURCE_ATTRIBUTES"]
        'team=ap,pilothouse.agent=triage,pilothouse.version=4f1c'
    """
    env = {name: value for name, value in inherited.items() if name not in PARENT_CONTEXT}
    if launch.endpoint is not None:
        for name in OVERRULING:
            env.pop(name, None)
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = launch.endpoint
        env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    env["OTEL_TRACES_EXPORTER"] = "otlp"
    env["OTEL_SERVICE_NAME"] = launch.agent
    env["OTEL_RESOURCE_ATTRIBUTES"] = _resource_attributes(
        launch, inherited.get("OTEL_RESOURCE_ATTRIBUTES", "")
    )
    env.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    env.setdefault("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    if launch.base_url is not None:
        base = launch.base_url.rstrip("/")
        env["OPENAI_BASE_URL"] = base
        # Anthropic's client adds /v1 itself, OpenAI's does not.
        env["ANTHROPIC_BASE_URL"] = base.removesuffix("/v1")
        for name in OTHER_ADDRESSES:
            env.pop(name, None)
    _pass_proxies(env, launch.endpoint, launch.base_url)
    if launch.key is not None:
        for name in OTHER_CREDENTIALS:
            env.pop(name, None)
        env["OPENAI_API_KEY"] = env["ANTHROPIC_API_KEY"] = launch.key
    if launch.token is not None:
        env[TOKEN_VARIABLE] = launch.token
    if launch.taps or launch.declared is not None:
        env["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(hook_folder()), inherited.get("PYTHONPATH", "")))
        )
    if launch.declared is not None:
        env["PILOTHOUSE_EGRESS"] = json.dumps(
            {
                "agent": launch.agent,
                "version": launch.version,
                "inside": list(LOOPBACK_HOSTS),
                "declared": {name: list(ports) for name, ports in launch.declared.items()},
                "refusals": str(launch.refusals),
            }
        )
    if launch.taps:
        env["PILOTHOUSE_TAPS"] = json.dumps(
            {
                "mode": "record",
                "taps": list(launch.taps),
                "run": launch.run,
                "agent": launch.agent,
                "version": launch.version,
                "spool": str(launch.spool),
                # Named after the process that becomes the agent, so that it is taken with the others' when that is over.
                "processes": f"{launch.spool}-all.{os.getpid()}",
            }
        )
    return env


def _pass_proxies(env: dict[str, str], *addresses: str | None) -> None:
    """Exempt our addresses from proxies: requests carry the key, and a proxy may not reach us."""
    if not any(name.lower() in PROXIES and value for name, value in env.items()):
        return
    listed = [part.strip() for name in ("no_proxy", "NO_PROXY") for part in env.get(name, "").split(",")]
    listed += [urlsplit(address).hostname or "" for address in addresses if address]
    env["no_proxy"] = env["NO_PROXY"] = ",".join(dict.fromkeys(filter(None, listed)))


def gateway_address(endpoint: str, *, run: str | None, launch: str) -> str:
    """Return the base URL under which an agent's model calls go through the gateway.

    Args:
        endpoint: Address of the server.
        run: Run id when the whole process is one run, or None.
        launch: Id of the launch.

    Example:
        >>> gateway_address("http://127.0.0.1:4318", run=None, launch="a1")
        'http://127.0.0.1:4318/gw/l/a1/v1'
    """
    return f"{endpoint}/gw/{f'r/{run}' if run else f'l/{launch}'}/v1"


def read_taps(text: str) -> tuple[str, ...]:
    """Parse a list of taps.

    Args:
        text: Names with commas between.

    Raises:
        UnknownName: There is no such tap.

    Example:
        >>> read_taps("clock, egress")
        ('clock', 'egress')
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in TAPS:
            raise UnknownName.among("tap", name, TAPS, remedy=f"Give `--taps {','.join(TAPS)}`")
    return names


def command_name(command: Sequence[str]) -> str:
    """Return an agent name from the command that starts it, when none was given.

    Args:
        command: Program and arguments, at least the program.

    Example:
        >>> command_name(["python", "-u", "bots/invoice_bot.py", "--fast"])
        'invoice_bot'
        >>> command_name(["/usr/bin/my-agent"])
        'my-agent'
    """
    script = next((word for word in command[1:] if word.endswith(".py")), command[0])
    return PurePath(script).stem


def _resource_attributes(launch: Launch, inherited: str) -> str:
    """Merge our resource attributes into the user's; ours win."""
    ours = {"pilothouse.agent": launch.agent}
    if launch.version is not None:
        ours["pilothouse.version"] = launch.version
    if launch.task_type is not None:
        ours["pilothouse.task.type"] = launch.task_type
    if launch.environment is not None:
        ours[ENVIRONMENT] = launch.environment
    pairs = [pair.partition("=") for pair in inherited.split(",") if "=" in pair]
    kept = {key.strip(): unquote(value) for key, _, value in pairs if key.strip() not in ours}
    return ",".join(f"{key}={quote(value, safe='')}" for key, value in {**kept, **ours}.items())
