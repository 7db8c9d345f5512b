# SPDX-License-Identifier: Apache-2.0
"""The environment that makes any agent's standard instrumentation report here, and the version it reports.

An agent keeps its code. OpenTelemetry reads where to send, who is sending and how much to say from environment
variables, so that is all we set. What the user has set for other purposes stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote, unquote

import yaml
from pydantic import ValidationError

from pilothouse.core.charter.digest import version_digest
from pilothouse.core.charter.models import FallbackPin

__all__ = [
    "CharterSummary",
    "Launch",
    "agent_environment",
    "code_revision",
    "command_name",
    "summarize_charter",
]

SOURCE_FILES_MAX = 2_000
"""Files read for a code digest without git; more is no narrow agent, and the rest would not change the name."""

OPEN_QUESTION = "?"
CHARTER_BYTES_MAX = 1024 * 1024
GIT_TIMEOUT_S = 10.0

OVERRULING = (
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
)
"""Variables for one signal, which would overrule the endpoint that we set for all."""

PARENT_CONTEXT = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")
"""A parent from outside would join all tasks of the process into one trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterSummary:
    """What a launch needs of a charter; the charter itself need not be complete or valid.

    Attributes:
        agent: Agent id, or None.
        version: Version digest, or None when the model is not pinned yet.
    """

    agent: str | None
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an agent process is to be started.

    Attributes:
        endpoint: Base address for OTLP, without `/v1/traces`.
        agent: Agent name.
        version: Version digest, or None.
        environment: Deployment environment, for example `pilot`, or None to say nothing.
        base_url: Address that answers model calls instead of the provider, or None.
    """

    endpoint: str
    agent: str
    version: str | None = None
    environment: str | None = None
    base_url: str | None = None


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
    env = {name: value for name, value in inherited.items() if name not in (*OVERRULING, *PARENT_CONTEXT)}
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
    return env


def command_name(command: Sequence[str]) -> str:
    """Name an agent after the command that starts it, when nobody named it.

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


def summarize_charter(path: Path, *, revision: str | None = None) -> CharterSummary:
    """Read agent and version from a charter file, whatever else is open or wrong in it.

    Args:
        path: The charter file.
        revision: Revision of the agent's code; found from the charter's folder when None.

    Returns:
        What could be read. `pilothouse check` is the place for everything that is wrong.
    """
    try:
        with path.open("rb") as file:
            document = yaml.safe_load(file.read(CHARTER_BYTES_MAX))
    except (OSError, yaml.YAMLError):
        return CharterSummary(agent=None, version=None)
    if not isinstance(document, dict):
        return CharterSummary(agent=None, version=None)
    agent = document.get("agent")
    return CharterSummary(
        agent=agent if isinstance(agent, str) else None, version=_version(document, path.parent, revision)
    )


def code_revision(folder: Path) -> str:
    """Name the state of an agent's code: the git commit, with a digest of what is not committed.

    Args:
        folder: The agent's folder.

    Returns:
        `<commit>`, `<commit>+<digest of the changes>`, or `files:<digest>` where there is no git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return f"files:{_files_digest(folder)}"
    untracked = (_git(folder, "ls-files", "--others", "--exclude-standard", "--", "*.py") or b"").splitlines()
    changes = _git(folder, "diff", "HEAD", "--", ".") or b""
    for path in untracked[:SOURCE_FILES_MAX]:
        changes += path + _file_digest(folder / os.fsdecode(path)).encode()
    name = commit.decode("ascii", "replace").strip()
    return f"{name}+{hashlib.sha256(changes).hexdigest()[:16]}" if changes else name


def _resource_attributes(launch: Launch, inherited: str) -> str:
    """Add ours to the user's; a key of ours is ours."""
    ours = {"pilothouse.agent": launch.agent}
    if launch.version is not None:
        ours["pilothouse.version"] = launch.version
    if launch.environment is not None:
        ours["deployment.environment.name"] = launch.environment
    pairs = [pair.partition("=") for pair in inherited.split(",") if "=" in pair]
    kept = {key.strip(): unquote(value) for key, _, value in pairs if key.strip() not in ours}
    return ",".join(f"{key}={quote(value, safe='')}" for key, value in {**kept, **ours}.items())


def _version(document: Mapping[str, Any], folder: Path, revision: str | None) -> str | None:
    """Digest of model pin, prompts, tool contracts and code; None without a pin."""
    model = document.get("model")
    pinned = model.get("pin") if isinstance(model, dict) else None
    if not isinstance(pinned, dict) or OPEN_QUESTION in (pinned.get("provider"), pinned.get("model")):
        return None
    try:
        pin = FallbackPin.model_validate({key: pinned.get(key) for key in ("provider", "model", "region")})
    except ValidationError:
        return None
    prompts = document.get("prompts")
    tools = document.get("tools")
    contracts = {
        str(name): str(policy["contract"])
        for name, policy in (tools.items() if isinstance(tools, dict) else ())
        if isinstance(policy, dict) and isinstance(policy.get("contract"), str)
    }
    return version_digest(
        pin,
        prompts={
            path: _file_digest(folder / path)
            for path in (prompts if isinstance(prompts, list) else ())
            if isinstance(path, str)
        },
        contracts={name: _file_digest(folder / path) for name, path in contracts.items()},
        code_revision=revision or code_revision(folder),
    )


def _file_digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _files_digest(folder: Path) -> str:
    """Digest of the Python files of a folder, by name and content."""
    seen = hashlib.sha256()
    files = sorted(
        path
        for path in folder.rglob("*.py")
        if not any(part.startswith(".") for part in path.parts[len(folder.parts) :])
    )
    for path in files[:SOURCE_FILES_MAX]:
        seen.update(f"{path.relative_to(folder)}\0{_file_digest(path)}\n".encode())
    return seen.hexdigest()


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Run a reading git command; None when git is absent or refuses."""
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with our own words and an existing folder
            [program, "-C", str(folder), *arguments], capture_output=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
