# SPDX-License-Identifier: Apache-2.0
"""Composes the MCP proxy: on standard input and output beside an agent, and at `/mcp` of the server."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.app.credentials import credential_broker
from pilothouse.app.opening import SystemClock
from pilothouse.app.runs import open_run_log
from pilothouse.app.tools import recorded, tool_runtime_of
from pilothouse.errors import IntegrationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilothouse.interfaces.cli.services import McpRequest
    from pilothouse.interfaces.http.server import App
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.ports.controls import Controls
    from pilothouse.ports.runlog import RunLog
    from pilothouse.runtime.gateway.key_book import KeyBook
    from pilothouse.runtime.permissions.open_tasks import OpenTasks
    from pilothouse.runtime.tools.mcp_proxy import McpProxy
    from pilothouse.runtime.tools.mcp_rooms import McpRoom
    from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
    from pilothouse.runtime.tools.runtime import ToolRuntime
    from pilothouse.settings import Settings

__all__ = ["SERVERS_FILE", "McpEndpoint", "list_mcp_tools", "mcp_endpoint", "run_mcp_proxy"]

SERVERS_FILE = "mcp-servers.json"
"""Where the server looks for an agent's MCP servers: beside its charter."""


WAITING_EVERY_S = 10.0
"""While a wider policy waits for its second person, an agent's proxy is built anew this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpEndpoint:
    """The part of the server that answers MCP.

    Attributes:
        app: Takes everything under `/mcp`.
        close: Ends every proxy; to be awaited in the loop that served.
    """

    app: App
    close: Callable[[], Awaitable[None]]


def mcp_endpoint(
    ledger: SqlLedger,
    settings: Settings,
    *,
    keys: KeyBook,
    controls: Controls,
    run_log: RunLog,
    on_note: Callable[[str], None],
) -> McpEndpoint:
    """Return the MCP endpoint for every agent of the installation.

    Args:
        ledger: Charters and records, open for as long as it answers.
        settings: Values in force.
        keys: Whose a key is, and what is in force.
        controls: The kill switch.
        run_log: Takes the calls.
        on_note: Told about tools that are disabled.
    """
    from pilothouse.interfaces.http.mcp import mcp_app
    from pilothouse.runtime.tools.mcp_rooms import McpRoom, McpRooms
    from pilothouse.runtime.tools.mcp_servers import read_servers
    from pilothouse.workflows.controls.policy_change import waiting_widening
    from pilothouse.workflows.ground.in_force import record_in_force

    tasks: dict[str, OpenTasks] = {}

    def opened(agent: str) -> McpRoom:
        from pilothouse.runtime.permissions.open_tasks import OpenTasks

        # Not before an agent asks for its tools: the SDK takes twenty megabytes, and a second of the server's start.
        from pilothouse.runtime.tools.mcp_http import McpHttp

        record = record_in_force(ledger, agent)
        held = ExitStack()
        # What a task has read stays read when the charter changes under it.
        kept = tasks.setdefault(agent, OpenTasks())
        composed = tool_runtime_of(ledger, settings, record, held, controls=controls, tasks=kept)
        runtime = recorded(composed, run_log)
        assert runtime.tasks is not None  # noqa: S101 - it was composed with a boundary
        servers = read_servers(Path(record.path).parent / SERVERS_FILE)
        proxy = _proxy(runtime, servers, ledger, on_note, actor="pilothouse up")
        waits = waiting_widening(ledger, record) is not None
        return McpRoom(
            agent=agent,
            http=McpHttp(proxy),
            decider=runtime.tasks,
            held=held,
            again_at_s=time.monotonic() + WAITING_EVERY_S if waits else None,
        )

    rooms = McpRooms(keys, opened, now=SystemClock().now)
    return McpEndpoint(app=mcp_app(rooms), close=rooms.close)


def run_mcp_proxy(request: McpRequest) -> None:
    """Run the proxy between an agent and its MCP servers on standard input and output until the agent disconnects.

    Raises:
        UsageError: No charter is in force, or no tool of it stands on one of the servers.
    """
    import asyncio

    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.ground.in_force import record_in_force

    async def serve() -> None:
        proxy = _proxy(
            runtime,
            request.servers,
            ledger,
            request.on_note,
            actor="pilothouse mcp proxy",
            task_type=request.task_type,
        )
        try:
            await proxy.serve_stdio()
        finally:
            await proxy.close()

    with ExitStack() as held:
        ledger = held.enter_context(open_ledger(request.settings.ledger_url))
        record = record_in_force(ledger, request.agent)
        run_log = held.enter_context(open_run_log(request.settings))
        runtime = recorded(tool_runtime_of(ledger, request.settings, record, held), run_log)
        asyncio.run(serve())


def list_mcp_tools(address: UpstreamAddress) -> list[tuple[str, str, dict[str, object]]]:
    """Return name, digest and description of each tool of a server, for review."""
    import asyncio

    from pilothouse.runtime.tools.mcp_listing import manifest_of
    from pilothouse.runtime.tools.mcp_upstream import Upstream, UpstreamGone

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


def _proxy(
    runtime: ToolRuntime,
    servers: Mapping[str, UpstreamAddress],
    ledger: SqlLedger,
    on_note: Callable[[str], None],
    *,
    actor: str,
    task_type: str = "unknown",
) -> McpProxy:
    """Return the proxy of an agent; a tool that differs from what was reviewed is recorded and reported."""
    from pilothouse.runtime.tools.mcp_pins import PinChange
    from pilothouse.runtime.tools.mcp_proxy import McpProxy
    from pilothouse.workflows.watch.provider_watch import PIN_KIND

    def tell(change: PinChange) -> None:
        ledger.record(
            kind=PIN_KIND,
            agent=runtime.agent,
            at=SystemClock().now(),
            actor=actor,
            document=broker.without(json.dumps(asdict(change))),
        )
        on_note(
            f"{change.tool} is disabled: {change.server} says something else than was reviewed "
            f"({change.found or 'it has the tool no more'}, pinned {change.pinned})"
        )

    def tell_refused(host: str) -> None:
        from pilothouse.workflows.gateway.refused_connections import RefusedConnection, record_refusal

        name, _, port = host.rpartition(":")
        refused = RefusedConnection(agent=runtime.agent, host=name, port=int(port), version=runtime.version)
        record_refusal(ledger, refused, actor=actor, at=SystemClock().now())
        on_note(f"{host} is not asked: the charter of {runtime.agent} does not declare it")

    broker = credential_broker(ledger, runtime.agent, on_note)
    return McpProxy(
        runtime, servers, on_change=tell, on_refused=tell_refused, task_type=task_type, broker=broker
    )
