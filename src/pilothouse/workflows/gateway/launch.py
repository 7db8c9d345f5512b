# SPDX-License-Identifier: Apache-2.0
"""Read from a charter file what a launch needs: who the agent is, which version of it, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.answers import OPEN
from pilothouse.errors import CharterSyntaxError, UsageError
from pilothouse.ports.gateway import REPLAY_ENVIRONMENT, GatewayStore
from pilothouse.ports.runlog import RecordMode
from pilothouse.runtime.version import version_of
from pilothouse.workflows.gateway.keys import add_key

__all__ = ["CharterSummary", "declared_hosts", "launch_key", "stand_in_version", "summarize_charter"]

KEY_LIFE = timedelta(days=1)
"""A process that lives longer gets a key of its own: `pilothouse key add`."""


def launch_key(
    store: GatewayStore,
    agent: str,
    *,
    version: str | None,
    environment: str | None,
    now: datetime,
    record: RecordMode | None = None,
) -> str | None:
    """Return a key of the gateway for one launch, or None where it knows no provider.

    Args:
        store: Keys and providers.
        agent: Agent that it stands for.
        version: Version that is launched, or None when its charter pins no model yet.
        environment: Deployment environment, or None.
        now: The moment, aware UTC.
        record: Whether its calls must be recorded, or None for what is usual.

    Raises:
        UsageError: The environment is the one of replays, whose calls nobody records, checks or holds.
    """
    if environment == REPLAY_ENVIRONMENT:
        raise UsageError(
            f"{REPLAY_ENVIRONMENT!r} is the environment of replays, whose calls are on no record",
            remedy="Say where the agent runs: `pilothouse run --environment pilot -- CMD`",
            subject=environment,
        )
    if not store.providers():
        return None
    return add_key(
        store,
        agent,
        environment=environment,
        models=(),
        spans=False,
        life=KEY_LIFE,
        actor="pilothouse run",
        now=now,
        version=version,
        record=record,
    ).key


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterSummary:
    """What a launch needs of a charter; the charter itself need not be complete or valid.

    Attributes:
        agent: Agent id, or None.
        version: Version digest, or None when the model is not pinned yet.
        task_type: The only task type, or None when there are several, or none yet.
        task_types: Every task type by name.
    """

    agent: str | None
    version: str | None
    task_type: str | None = None
    task_types: tuple[str, ...] = ()


def declared_hosts(path: Path, *also: str | None) -> dict[str, tuple[int, ...]]:
    """Return the hosts that a charter's integrations declare, with their ports; none named means any.

    Args:
        path: The charter file.
        also: Addresses that the launch itself needs, or None.

    Raises:
        UsageError: The file cannot be read, or a host of an integration is still open.
    """
    document = read_charter_file(path).value
    integrations = document.get("integrations") if isinstance(document, dict) else None
    found: dict[str, set[int]] = {}
    anywhere: set[str] = set()
    for name, terms in (integrations if isinstance(integrations, dict) else {}).items():
        hosts = terms.get("hosts") if isinstance(terms, dict) else None
        if not isinstance(hosts, list | tuple) or OPEN in hosts:
            raise UsageError(
                f"integration {name!r} does not say its hosts yet, so connections cannot be held to the charter",
                remedy=f"Write `hosts: [HOST:443]` under `integrations.{name}`, then `pilothouse check`.",
                subject=str(path),
            )
        for host in map(str, hosts):
            _add_host(host, found, anywhere)
    for address in filter(None, also):
        parts = urlsplit(address)
        if parts.hostname:
            _add_host(
                f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}", found, anywhere
            )
    return {name: () if name in anywhere else tuple(sorted(ports)) for name, ports in found.items()}


def _add_host(host: str, found: dict[str, set[int]], anywhere: set[str]) -> None:
    name, _, port = host.lower().rpartition(":")
    if name and port.isdigit():
        found.setdefault(name, set()).add(int(port))
    else:
        found.setdefault(host.lower(), set())
        anywhere.add(host.lower())


def stand_in_version(path: Path, stand_in: Mapping[str, str | None]) -> str | None:
    """Return the version that an agent is while a stand-in answers for its pin, or None when nothing can be read.

    Args:
        path: The charter file.
        stand_in: `provider`, `model` and `region` of the stand-in.
    """
    try:
        document = read_charter_file(path).value
    except (UsageError, CharterSyntaxError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        return None
    return version_of({**document, "model": {**document["model"], "pin": dict(stand_in)}}, path)


def summarize_charter(path: Path, *, revision: str | None = None) -> CharterSummary:
    """Read agent and version from a charter file, whatever else is open or wrong in it.

    Args:
        path: The charter file.
        revision: Revision of the agent's code; found from the charter's folder when None.

    Returns:
        What could be read. `pilothouse check` is the place for everything that is wrong.
    """
    try:
        document = read_charter_file(path).value
    except (UsageError, CharterSyntaxError):
        document = None
    if not isinstance(document, dict):
        return CharterSummary(agent=None, version=None)
    agent = document.get("agent")
    listed = document.get("task_types")
    task_types = tuple(name for name in (listed if isinstance(listed, dict) else ()) if isinstance(name, str))
    return CharterSummary(
        agent=agent if isinstance(agent, str) else None,
        version=version_of(document, path, revision=revision),
        task_type=task_types[0] if len(task_types) == 1 else None,
        task_types=task_types,
    )
