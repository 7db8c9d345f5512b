# SPDX-License-Identifier: Apache-2.0
"""Composes the tool layer of one agent: charter, contracts, kill switch, permissions, ledger, records."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.app.boundary import permission_desk
from pilothouse.app.control_room import running_controls
from pilothouse.app.opening import SystemClock
from pilothouse.errors import UsageError
from pilothouse.runtime.sdk.run import identity
from pilothouse.runtime.tools.runtime import ToolRuntime

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import McpRequest
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.ledger import CharterInForce
    from pilothouse.runtime.tools.mcp_upstream import UpstreamAddress
    from pilothouse.settings import Settings

__all__ = ["list_mcp_tools", "open_tool_runtime", "recorded", "run_mcp_proxy", "tool_runtime_of"]

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
    settings = load_settings()
    ledger = _HELD_OPEN.enter_context(open_ledger(settings.ledger_url))
    record = ledger.charter(agent)
    if record is None:
        _HELD_OPEN.close()
        return None
    runtime = tool_runtime_of(ledger, settings, record, _HELD_OPEN, version=said.get("pilothouse.version"))
    return recorded(runtime, settings, _HELD_OPEN)


def recorded(runtime: ToolRuntime, settings: Settings, held: ExitStack) -> ToolRuntime:
    """Return a runtime whose calls are kept in the run log too.

    Args:
        runtime: The runtime.
        settings: Values in force.
        held: What is to be closed afterwards.
    """
    from pilothouse.app.runs import open_run_log
    from pilothouse.runtime.tools.recording import RunRecord

    record = RunRecord(held.enter_context(open_run_log(settings)))
    door = replace(runtime.door, observers=(*runtime.door.observers, record))
    return replace(runtime, door=door)


def run_mcp_proxy(request: McpRequest) -> None:
    """Stand between an agent and its MCP servers on standard input and output until the agent goes.

    Args:
        request: What `mcp proxy` asks for.

    Raises:
        UsageError: No charter is in force, or no tool of it stands on one of the servers.
    """
    import asyncio
    import json

    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.runtime.tools.mcp_proxy import McpProxy, PinChange

    def tell(change: PinChange) -> None:
        ledger.record(
            kind="mcp.pin_changed",
            agent=runtime.agent,
            at=SystemClock().now(),
            actor="pilothouse mcp proxy",
            document=json.dumps(asdict(change)),
        )
        request.on_note(
            f"{change.tool} is disabled: {change.server} says something else than was reviewed "
            f"({change.found or 'it has the tool no more'}, pinned {change.pinned})"
        )

    async def serve() -> None:
        proxy = McpProxy(runtime, request.servers, on_change=tell, task_type=request.task_type)
        try:
            await proxy.serve_stdio()
        finally:
            await proxy.close()

    with ExitStack() as held:
        ledger = held.enter_context(open_ledger(request.settings.ledger_url))
        record = ledger.charter(request.agent)
        if record is None:
            raise UsageError(
                f"no charter is in force for {request.agent!r}",
                remedy="Put one into force: `pilothouse verdict --charter charter.yaml`.",
                subject=request.agent,
            )
        runtime = recorded(tool_runtime_of(ledger, request.settings, record, held), request.settings, held)
        asyncio.run(serve())


def list_mcp_tools(address: UpstreamAddress) -> list[tuple[str, str, dict[str, object]]]:
    """Return name, digest and own words of each tool of a server, for review.

    Args:
        address: The server.
    """
    import asyncio

    from pilothouse.errors import IntegrationError
    from pilothouse.runtime.tools.mcp_upstream import Upstream, UpstreamGone, manifest_of

    async def ask() -> list[tuple[str, str, dict[str, object]]]:
        upstream = Upstream(address)
        try:
            tools = await upstream.tools()
        except (UpstreamGone, TimeoutError) as error:
            raise IntegrationError(
                f"MCP server {address.name!r} does not answer ({error})",
                remedy="Start it by hand and look at what it prints, then run the command again.",
                subject=address.name,
            ) from error
        finally:
            await upstream.close()
        return [
            (tool.name, manifest_of(tool), tool.model_dump(mode="json", by_alias=True, exclude_none=True))
            for tool in tools
        ]

    return asyncio.run(ask())


def tool_runtime_of(
    ledger: SqlLedger,
    settings: Settings,
    record: CharterInForce,
    held: ExitStack,
    *,
    version: str | None = None,
) -> ToolRuntime:
    """Compose the runtime for a charter in force.

    Args:
        ledger: The ledger, open for as long as the runtime is used.
        settings: Values in force.
        record: The charter in force.
        held: What is to be closed afterwards.
        version: Version digest of the agent, or None.
    """
    from pilothouse.ledger.tool_calls import SqlToolCalls
    from pilothouse.runtime.permissions.guard import PermissionGuard
    from pilothouse.runtime.tools.governed import governed_tools
    from pilothouse.runtime.tools.guards import PauseGuard
    from pilothouse.runtime.tools.pipeline import Door
    from pilothouse.workflows.in_force import charter_of
    from pilothouse.workflows.tool_contracts import read_contracts

    charter = charter_of(record)
    contracts = read_contracts(charter, Path(record.path).parent)
    controls = held.enter_context(running_controls(ledger))
    boundary = PermissionGuard(permission_desk(ledger, settings, record, charter))
    door = Door(
        guards=(PauseGuard(controls), boundary),
        presenter=boundary,
        store=SqlToolCalls(ledger.database),
    )
    return ToolRuntime(
        agent=charter.agent, version=version, tools=governed_tools(charter, contracts), door=door
    )
