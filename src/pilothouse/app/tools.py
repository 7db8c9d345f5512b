# SPDX-License-Identifier: Apache-2.0
"""Composes the tool layer of one agent: charter, contracts, kill switch, permissions, ledger, records."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.app.control_room import running_controls
from pilothouse.runtime.sdk.run import identity
from pilothouse.runtime.tools.runtime import ToolRuntime

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports import CharterInForce

__all__ = ["open_tool_runtime", "tool_runtime_of"]

_HELD_OPEN = ExitStack()
"""The ledger stays open for as long as the agent's process lives."""


def open_tool_runtime() -> ToolRuntime | None:
    """Compose the runtime for this process, as `pilothouse run` named its agent.

    Returns:
        The runtime; None where the agent has no name or no charter in force.

    Raises:
        PilothouseError: There is a charter, and ledger or contracts are not in order.
    """
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.settings import load_settings

    said = identity()
    agent = said.get("pilothouse.agent")
    if agent is None:
        return None
    ledger = _HELD_OPEN.enter_context(open_ledger(load_settings().ledger_url))
    record = ledger.charter(agent)
    if record is None:
        _HELD_OPEN.close()
        return None
    return tool_runtime_of(ledger, record, _HELD_OPEN, version=said.get("pilothouse.version"))


def tool_runtime_of(
    ledger: SqlLedger, record: CharterInForce, held: ExitStack, *, version: str | None = None
) -> ToolRuntime:
    """Compose the runtime for a charter in force.

    Args:
        ledger: The ledger, open for as long as the runtime is used.
        record: The charter in force.
        held: What is to be closed afterwards.
        version: Version digest of the agent, or None.
    """
    from pilothouse.core.charter.answers import known
    from pilothouse.ledger.tool_calls import SqlToolCalls
    from pilothouse.runtime.tools.governed import governed_tools
    from pilothouse.runtime.tools.guards import EntitlementGuard, PauseGuard
    from pilothouse.runtime.tools.pipeline import Door
    from pilothouse.workflows.in_force import charter_of
    from pilothouse.workflows.tool_contracts import read_contracts

    charter = charter_of(record)
    contracts = read_contracts(charter, Path(record.path).parent)
    controls = held.enter_context(running_controls(ledger))
    door = Door(
        guards=(PauseGuard(controls), EntitlementGuard(known(charter.tools) or {})),
        store=SqlToolCalls(ledger.database),
    )
    return ToolRuntime(
        agent=charter.agent, version=version, tools=governed_tools(charter, contracts), door=door
    )
