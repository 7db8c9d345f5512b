# SPDX-License-Identifier: Apache-2.0
"""What the audit log takes and gives: what was decided, in an order that can be proved later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["AUDIT_DOCUMENT_MAX", "AUDIT_PAGE_MAX", "AuditEntry", "AuditRecord"]

AUDIT_DOCUMENT_MAX = 4096
"""Bytes of one document: a record says what was decided; what it was about is named by its digest."""

AUDIT_PAGE_MAX = 10_000
"""Records in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A record to be appended.

    Attributes:
        kind: What happened, for example `call.decided`.
        agent: Agent id, or empty for something of the installation.
        actor: Who: a person id, a command or a part of the system.
        at: When, aware UTC.
        document: Plain JSON data, at most `AUDIT_DOCUMENT_MAX` bytes.
        payloads: Texts that belong to a person, by name: kept encrypted, only a commitment is in the tree.
        subject: The person that they belong to; needed with payloads.
    """

    kind: str
    agent: str
    actor: str
    at: datetime
    document: Mapping[str, Any]
    payloads: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """A record as the tree has it.

    Attributes:
        position: 0 for the first, without gaps.
        kind: What happened.
        agent: Agent id, or empty.
        at: When.
        text: The exact text whose hash is the leaf.
    """

    position: int
    kind: str
    agent: str
    at: datetime
    text: str
