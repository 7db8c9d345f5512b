# SPDX-License-Identifier: Apache-2.0
"""Attributes of resource and scope, which hold for all of their spans and log records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilothouse.lake.otlp_dialect import Dialect
from pilothouse.lake.otlp_fields import claim_text, optional_text, plain_json

__all__ = ["Sender", "read_sender", "scope_text"]


@dataclass(frozen=True, slots=True)
class Sender:
    """The attributes of a resource, which hold for all of its spans."""

    text: str
    agent: str | None
    service: str
    version: str | None
    environment: str | None
    digest: str | None
    task_type: str | None
    result: str | None
    claim: str | None
    confidence: Any


def read_sender(resource: Any, dialect: Dialect) -> Sender:
    """Read a resource."""
    attributes = dialect.attributes(resource.attributes)
    text = optional_text
    return Sender(
        text=plain_json(attributes),
        agent=text(attributes.get("pilothouse.agent")),
        service=text(attributes.get("service.name")) or "unknown_service",
        version=text(attributes.get("service.version")),
        environment=text(
            attributes.get("deployment.environment.name") or attributes.get("deployment.environment")
        ),
        digest=text(attributes.get("pilothouse.version")),
        task_type=text(attributes.get("pilothouse.task.type")),
        result=text(attributes.get("pilothouse.task.result")),
        claim=claim_text(attributes.get("pilothouse.task.claim")),
        confidence=attributes.get("pilothouse.task.confidence"),
    )


def scope_text(scope: Any, dialect: Dialect) -> str:
    """Return a scope as JSON text."""
    return plain_json({"name": scope.name, "version": scope.version, **dialect.attributes(scope.attributes)})
