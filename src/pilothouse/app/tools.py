# SPDX-License-Identifier: Apache-2.0
"""Composes the tool layer of one agent: charter, contracts, kill switch, permissions, ledger, records."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.app.boundary import permission_desk
from pilothouse.app.control_room import running_controls
from pilothouse.runtime.launcher import ENVIRONMENT
from pilothouse.runtime.sdk.run import identity
from pilothouse.runtime.tools.runtime import ToolRuntime

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.controls import Controls
    from pilothouse.ports.ledger import CharterInForce
    from pilothouse.ports.runlog import RunLog
    from pilothouse.runtime.permissions.open_tasks import OpenTasks
    from pilothouse.settings import Settings

__all__ = ["open_tool_runtime", "recorded", "tool_runtime_of"]

_HELD_OPEN: list[ExitStack] = []
"""The ledger stays open for as long as the agent's process lives; a forked one has its parent's beside its own."""

_TASKS: list[OpenTasks] = []
"""The tasks of this process: what one has read stays read in a process that is forked from it."""


def open_tool_runtime() -> ToolRuntime | None:
    """Compose the runtime for this process, as `pilothouse run` named its agent.

    Returns:
        The runtime; None where the agent has no name or no charter in force.

    Raises:
        PilothouseError: There is a charter, and ledger or contracts are not in order.
    """
    from pilothouse.app.runs import open_run_log
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.runtime.permissions.open_tasks import OpenTasks
    from pilothouse.settings import load_settings
    from pilothouse.workflows.controls.policy_change import widening_note

    said = identity()
    agent = said.get("pilothouse.agent")
    if agent is None:
        return None
    settings = load_settings()
    held = ExitStack()
    ledger = held.enter_context(open_ledger(settings.ledger_url))
    record = ledger.charter(agent)
    if record is None:
        held.close()
        return None
    _HELD_OPEN.append(held)
    if not _TASKS:
        _TASKS.append(OpenTasks())
    if (waits := widening_note(ledger, record)) is not None:
        # In the agent's own terminal: a call that is refused cannot tell that the charter on disk would let it pass.
        warnings.warn(waits, RuntimeWarning, stacklevel=2)
    runtime = tool_runtime_of(
        ledger, settings, record, held, version=said.get("pilothouse.version"), tasks=_TASKS[0]
    )
    return recorded(runtime, held.enter_context(open_run_log(settings)))


def recorded(runtime: ToolRuntime, run_log: RunLog) -> ToolRuntime:
    """Return a runtime whose calls are also recorded in the run log."""
    from pilothouse.runtime.tools.recording import RunRecord

    record = RunRecord(run_log)
    door = replace(runtime.door, observers=(*runtime.door.observers, record))
    return replace(runtime, door=door)


def tool_runtime_of(
    ledger: SqlLedger,
    settings: Settings,
    record: CharterInForce,
    held: ExitStack,
    *,
    version: str | None = None,
    controls: Controls | None = None,
    tasks: OpenTasks | None = None,
) -> ToolRuntime:
    """Compose the runtime for a charter in force.

    Args:
        ledger: The ledger, open for as long as the runtime is used.
        settings: Values in force.
        record: The charter in force.
        held: What is to be closed afterwards.
        version: Version digest of the agent, or None.
        controls: The kill switch; one of its own when None.
        tasks: Those that are open under the charter before.
    """
    from pilothouse.core.charter.answers import known
    from pilothouse.ledger.audit_keys import load_keys
    from pilothouse.ledger.tool_calls import SqlToolCalls
    from pilothouse.runtime.permissions.guard import PermissionGuard
    from pilothouse.runtime.tools.door import Door
    from pilothouse.runtime.tools.governed import governed_tools
    from pilothouse.runtime.tools.guards import OutageGuard, PauseGuard
    from pilothouse.workflows.controls.policy_change import effective_charter
    from pilothouse.workflows.ground.in_force import charter_of
    from pilothouse.workflows.integrations.tool_contracts import read_contracts

    charter = charter_of(record)
    agreed = known(effective_charter(ledger, record, charter).tools) or {}
    contracts = read_contracts(charter, Path(record.path).parent)
    desk = permission_desk(ledger, settings, record, charter, held, tasks=tasks)
    switch = controls or held.enter_context(running_controls(ledger))
    pause = PauseGuard(switch)
    door = Door(
        guards=(pause, OutageGuard(switch, identity().get(ENVIRONMENT)), PermissionGuard(desk)),
        stops=(pause,),
        presenter=desk,
        store=SqlToolCalls(ledger.database, load_keys(settings.keys_folder).wrapper),
    )
    return ToolRuntime(
        agent=charter.agent,
        version=version,
        tools=governed_tools(charter, contracts, agreed=agreed),
        door=door,
        tasks=desk,
    )
