# SPDX-License-Identifier: Apache-2.0
"""Read from a charter file what a launch needs: who the agent is, which version of it, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.errors import CharterSyntaxError, UsageError
from pilothouse.ports.gateway import GatewayStore
from pilothouse.runtime.version import version_of
from pilothouse.workflows.gateway_keys import add_key

__all__ = ["CharterSummary", "launch_key", "stand_in_version", "summarize_charter"]

KEY_LIFE = timedelta(days=1)
"""A process that lives longer gets a key of its own: `pilothouse key add`."""


def launch_key(store: GatewayStore, agent: str, *, environment: str | None, now: datetime) -> str | None:
    """Return a key of the gateway for one launch, or None where it knows no provider.

    Args:
        store: Keys and providers.
        agent: Agent that it stands for.
        environment: Deployment environment, or None.
        now: The moment, aware UTC.
    """
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
    ).key


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterSummary:
    """What a launch needs of a charter; the charter itself need not be complete or valid.

    Attributes:
        agent: Agent id, or None.
        version: Version digest, or None when the model is not pinned yet.
        task_type: The only task type, or None when there are several, or none yet.
    """

    agent: str | None
    version: str | None
    task_type: str | None = None


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
    return version_of({**document, "model": {**document["model"], "pin": dict(stand_in)}}, path.parent)


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
    task_types = document.get("task_types")
    only = next(iter(task_types)) if isinstance(task_types, dict) and len(task_types) == 1 else None
    return CharterSummary(
        agent=agent if isinstance(agent, str) else None,
        version=version_of(document, path.parent, revision=revision),
        task_type=only if isinstance(only, str) else None,
    )
