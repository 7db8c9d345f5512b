# SPDX-License-Identifier: Apache-2.0
"""Composes the permission boundary and the audit log of an installation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.opening import SystemClock, open_stores

if TYPE_CHECKING:
    from datetime import datetime

    from pilothouse.core.charter.charter import Charter
    from pilothouse.ledger.audit import SqlAuditLog
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.ledger import CharterInForce
    from pilothouse.runtime.permissions.desk import PermissionDesk
    from pilothouse.runtime.permissions.open_tasks import OpenTasks
    from pilothouse.settings import Settings
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.ground.boundary_room import BoundaryRoom
    from pilothouse.workflows.ground.installation import Installation
    from pilothouse.workflows.server.checkup import Check

__all__ = ["audit_log", "boundary_room", "log_checks", "log_ticks", "open_boundary", "permission_desk"]


def audit_log(ledger: SqlLedger, settings: Settings) -> SqlAuditLog:
    """Return the audit log of an opened ledger; its keys lie beside it."""
    from pilothouse.ledger.approvals import forget_requester
    from pilothouse.ledger.audit import SqlAuditLog
    from pilothouse.ledger.audit_keys import load_keys
    from pilothouse.ledger.contacts import forget_contacts

    keys = load_keys(settings.keys_folder)
    return SqlAuditLog(ledger.database, keys, SystemClock(), also_erase=(forget_requester, forget_contacts))


def log_checks(ledger: SqlLedger, settings: Settings) -> Iterator[Check]:
    """Yield a failed check where the key beside the ledger is not the one that signs its log."""
    from pilothouse.errors import StorageUnavailable
    from pilothouse.workflows.server.checkup import Check

    try:
        audit_log(ledger, settings).signing_keys()
    except StorageUnavailable as error:
        yield Check(name="audit key", state="failed", sentence=f"{error.message}.", remedy=error.remedy)


def log_ticks(ledger: SqlLedger, settings: Settings) -> tuple[Tick, ...]:
    """Return what keeps the evidence of the log alive; it may take minutes, so it belongs into a thread of its own."""
    from pilothouse.connectors.log_verifier import verify_log_apart
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.server.log_watch import LOG_LOOK_EVERY_S, verify_when_due

    def look(now: datetime) -> bool:
        return verify_when_due(
            ledger,
            now,
            size=lambda: audit_log(ledger, settings).size(),
            verify=lambda: verify_log_apart(settings.home),
        )

    return (Tick(name="audit log", every_s=LOG_LOOK_EVERY_S, run=look),)


@contextmanager
def open_boundary(settings: Settings) -> Iterator[BoundaryRoom]:
    """Open lake, ledger, audit log and approvals for the time of a command."""
    with open_stores(settings) as (installation, ledger):
        yield boundary_room(installation, ledger)


def boundary_room(installation: Installation, ledger: SqlLedger) -> BoundaryRoom:
    """Return audit log and approvals of an opened installation."""
    from pilothouse.ledger.approvals import SqlApprovals
    from pilothouse.ledger.steady_clock import SteadyClock
    from pilothouse.workflows.ground.boundary_room import BoundaryRoom
    from pilothouse.workflows.ground.in_force import people_named

    log = audit_log(ledger, installation.settings)
    return BoundaryRoom(
        installation=installation,
        log=log,
        approvals=SqlApprovals(
            log, SteadyClock(installation.clock, log.latest_at()), people_named(installation.ledger)
        ),
    )


def permission_desk(
    ledger: SqlLedger,
    settings: Settings,
    record: CharterInForce,
    charter: Charter,
    held: ExitStack,
    *,
    tasks: OpenTasks | None = None,
) -> PermissionDesk:
    """Compose the permission desk of an agent.

    Args:
        ledger: The ledger.
        settings: Values in force.
        record: The charter in force.
        charter: The same, read.
        held: What is to be closed afterwards, before the ledger.
        tasks: Those that are open under the charter before.

    Raises:
        CharterInvalid: A tool policy does not compile, or an example of it fails.
    """
    from pilothouse.ledger.permission_book import SqlPermissionBook
    from pilothouse.ledger.steady_clock import SteadyClock
    from pilothouse.runtime.permissions.desk import PermissionDesk, PolicyInForce
    from pilothouse.runtime.permissions.engine import compile_charter
    from pilothouse.workflows.controls.policy_change import effective_charter

    log = audit_log(ledger, settings)
    effective = effective_charter(ledger, record, charter)
    policy = PolicyInForce(
        agent=charter.agent,
        tools=compile_charter(effective),
        charter=record.digest,
        policy=effective.section_digests["tools"],
    )
    book = SqlPermissionBook(log, SteadyClock(SystemClock(), log.latest_at()))
    book.begin(charter.agent, policy.policy)
    held.callback(book.close)
    return PermissionDesk(policy, book, tasks=tasks)
