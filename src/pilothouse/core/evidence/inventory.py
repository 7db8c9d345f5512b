# SPDX-License-Identifier: Apache-2.0
"""The integrations of an agent, declared against seen."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["IntegrationRow", "Inventory"]


class IntegrationRow(BaseModel):
    """One integration.

    Attributes:
        name: Its name.
        kind: `api`, `middleware` or `manual`; `?` while open.
        environment: Where it stands.
        hosts: Declared hosts.
        tools: Tools that talk to it.
        tasks_seen: Tasks of the last 14 days that touched one of its hosts or tools.
        certificate: `valid`, `failed`, `expired`, `void` or `none`.
        certified_at: When the last certificate was made.
        expires_at: When it lapses.
        detail: What the last certificate found, or why it is void.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    environment: str
    hosts: tuple[str, ...]
    tools: tuple[str, ...]
    tasks_seen: int
    certificate: Literal["valid", "failed", "expired", "void", "none"]
    certified_at: datetime | None = None
    expires_at: datetime | None = None
    detail: str = ""


class Inventory(BaseModel):
    """Declared against seen.

    Attributes:
        agent: Agent id.
        integrations: What the charter declares.
        unknown_hosts: Hosts in telemetry that no integration declares, with the number of tasks.
        unknown_tools: Tools in telemetry that the charter does not declare.
        refused: Destinations that processes were kept from connecting to, with the number of processes.
        tasks: Tasks of the window.

    Example:
        >>> seen = {"fx-rates.example:80": 5}
        >>> Inventory(agent="triage", integrations=(), unknown_hosts=seen, unknown_tools={}, refused={}, tasks=211).unknown_hosts
        {'fx-rates.example:80': 5}
    """

    model_config = ConfigDict(frozen=True)

    agent: str
    integrations: tuple[IntegrationRow, ...]
    unknown_hosts: dict[str, int]
    unknown_tools: dict[str, int]
    refused: dict[str, int]
    tasks: int
