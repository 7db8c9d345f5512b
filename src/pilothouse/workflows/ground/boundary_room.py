# SPDX-License-Identifier: Apache-2.0
"""An installation with its audit log and approvals, handed to every use case of the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.ports.audit import AUDIT_PAGE_MAX

if TYPE_CHECKING:
    from pilothouse.ledger.audit import SqlAuditLog
    from pilothouse.ports.approvals import Approvals
    from pilothouse.workflows.ground.installation import Installation

__all__ = ["BoundaryRoom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryRoom:
    """What commands about permissions and proof need.

    Attributes:
        installation: Lake and ledger.
        log: The audit log.
        approvals: What waits for people.
        searched_max: Decisions that are looked through at once.
    """

    installation: Installation
    log: SqlAuditLog
    approvals: Approvals
    searched_max: int = AUDIT_PAGE_MAX

    def agents(self) -> Sequence[str]:
        """Return the agents with a charter in force."""
        return [record.agent for record in self.installation.ledger.charters()]
