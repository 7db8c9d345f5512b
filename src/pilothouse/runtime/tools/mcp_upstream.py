# SPDX-License-Identifier: Apache-2.0
"""One upstream MCP server: a persistent connection, whose listed tools are compared with the pins.

A connection belongs to the task that opened it, so each upstream has a task that opens and closes; calls are made by
whoever asks. A server that has gone is connected to again at the next call, at most once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, CallToolResult, Tool
from mcp_types.methods import serialize_server_result
from mcp_types.version import LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS

from pilothouse.errors import ToolError
from pilothouse.runtime.tools.credentials import CredentialBroker
from pilothouse.runtime.tools.mcp_listing import is_plain, listed_tools
from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
from pilothouse.runtime.tools.mcp_sign_in import signed_in
from pilothouse.runtime.tools.mcp_stateless import CLIENT, StatelessCalls
from pilothouse.runtime.tools.mcp_wire import Wire
from pilothouse.schemas.process import CheckUnfinished
from pilothouse.schemas.value_check import SchemaInvalid, ValueCheck

__all__ = ["Upstream", "UpstreamGone"]

CONNECT_S = 10.0
LIST_S = 10.0
RECONNECT_S = 1.0
WAITING_MAX = 1_024
"""Calls that wait for a connection."""

QUESTIONS_MAX = 0
"""Questions of a server that a call answers: nobody here can, and each answer would send the call once more on one decision."""

COMPLETE = "complete"
"""Kind of a result that is one; a server names others for a question to its caller and for a task that goes on."""

T = TypeVar("T")


class UpstreamGone(ConnectionError):
    """The server cannot be reached, or disconnected during a call."""


class Upstream:
    """One server; start it inside a running loop.

    Args:
        address: How it is reached.
        broker: Gives the credentials that the address names; None where it names none.
    """

    def __init__(self, address: UpstreamAddress, broker: CredentialBroker | None = None) -> None:
        self.address = address
        self._broker = broker
        self._is_refused = False
        self._task: asyncio.Task[None] | None = None
        self._open: Client | None = None
        self._stateless: StatelessCalls | None = None
        self._plain: dict[str, Tool] = {}
        self._outputs: dict[str, Any] = {}
        self._checks: dict[str, ValueCheck] = {}
        self._waiting: list[asyncio.Future[Client]] = []
        self._wanted, self._broken = asyncio.Event(), asyncio.Event()
        self.changes = 0
        """How often the server said that its list of tools is another one."""

    async def tools(self) -> list[Tool]:
        """Return the tools that the server lists; see `listed_tools`.

        Raises:
            UpstreamGone: It is not there.
            TimeoutError: It does not answer.
        """
        async with asyncio.timeout(LIST_S):
            found = await self._asked(listed_tools)
        self._plain = {tool.name: tool for tool in found if is_plain(tool)}
        self._outputs = {tool.name: tool.output_schema for tool in found if tool.output_schema is not None}
        self._checks.clear()
        return found

    def promises(self, tool: str) -> bool:
        """Return whether the server promised structured content of a tool, when it was last asked for its tools.

        Args:
            tool: Name on the server.
        """
        return tool in self._outputs

    async def call(
        self,
        tool: str,
        args: dict[str, Any],
        *,
        on_progress: ProgressFnT | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Call a tool of the server; cancellation is passed on to the server. How long it waits is the caller's.

        Args:
            tool: Name on the server.
            args: Arguments.
            on_progress: Told how far the server says it is.
            before: Called when a connection stands and the call is about to leave; may refuse it.

        Returns:
            The result as it stands on the wire of the latest revision, whichever the server speaks.

        Raises:
            UpstreamGone: It went away.
        """

        async def ask(client: Client) -> dict[str, Any]:
            before()
            result = await self._called_at_once(client, tool, args) if on_progress is None else None
            if result is None:
                answer = await client.call_tool(tool, args, progress_callback=on_progress)
                said = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
                result = serialize_server_result("tools/call", LATEST_MODERN_VERSION, said)
            return _whole(result)

        return await self._asked(ask)

    async def _called_at_once(self, client: Client, tool: str, args: dict[str, Any]) -> dict[str, Any] | None:
        """Call a tool without the SDK's client where a call is a single request; otherwise return None."""
        listed, version = self._plain.get(tool), client.protocol_version
        if self._stateless is None or listed is None or version not in MODERN_PROTOCOL_VERSIONS:
            return None
        result = await self._stateless.call(version, tool, args)
        if result is not None and listed.output_schema is not None and not result.get("isError"):
            await self._check_result(tool, CallToolResult.model_validate(result))
        return result

    async def _check_result(self, name: str, result: CallToolResult) -> None:
        """Hold a result against what its server says of the tool; stands in for the SDK's check, which nothing ends.

        Raises:
            RuntimeError: It is something else, or nobody knows in time.
        """
        if name not in self._outputs:
            return
        if result.structured_content is None and "structured_content" not in result.model_fields_set:
            raise RuntimeError("the answer has no structured content, which its server promises")
        try:
            check = self._checks.get(name) or ValueCheck(self._outputs[name])
            self._checks[name] = check
            problem = check.problem(result.structured_content)
            if isinstance(problem, Future):
                problem = await asyncio.wrap_future(problem)
        except (SchemaInvalid, CheckUnfinished) as unknown:
            raise RuntimeError("the answer could not be held against what its server promises") from unknown
        if problem:
            raise RuntimeError("the structured content is not what its server promises")

    async def close(self) -> None:
        """End the connection, and the program where we started one."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            self._fail(ConnectionAbortedError())
        if self._stateless is not None:
            await self._stateless.close()

    def _filled(self) -> dict[str, str]:
        """Headers or variables with their credentials.

        Raises:
            ToolError: One of them cannot be used.
        """
        asked = self.address.asked
        if self._broker is None:
            return dict(asked)
        return {name: self._broker.filled(text, host=self.address.host) for name, text in asked.items()}

    async def _asked(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """Ask the server once, in the caller's own task: a caller that gives up has its request taken back."""
        self._filled()  # said before anything is sent, and also while a connection still stands
        client = self._open or await self._connected()
        try:
            return await ask(client)
        except (TimeoutError, ToolError):  # neither says anything of the connection
            raise
        except Exception as error:
            is_broken = _is_broken(error)
            if is_broken and self._open is client:
                self._open = None
                self._broken.set()
            if self._is_refused and self._broker is not None:
                self._is_refused = False
                raise self._broker.refused(" ".join(self.address.asked.values())) from error
            if is_broken:
                raise UpstreamGone(f"{self.address.name} went away") from error
            raise

    async def _connected(self) -> Client:
        """Wait for the connection that the upstream's own task opens."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._live(), name=f"mcp-{self.address.name}")
        if len(self._waiting) >= WAITING_MAX:
            raise UpstreamGone(f"{WAITING_MAX} calls wait for {self.address.name}")
        waits: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._waiting.append(waits)
        self._wanted.set()
        return await waits

    async def _live(self) -> None:
        """Connect on demand, and keep the connection until it breaks."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            client = self._client()
            try:
                async with asyncio.timeout(CONNECT_S) as limit:
                    await client.__aenter__()
                    limit.reschedule(None)
            except Exception as error:  # noqa: BLE001 - whatever keeps us from connecting, it is not there
                self._fail(error)
                await asyncio.sleep(RECONNECT_S)
                continue
            try:
                self._broken.clear()
                self._open = client
                # The SDK asks it of itself: in place, whatever the pattern.
                setattr(client.session, "validate_tool_result", self._check_result)  # noqa: B010 - a method of its class
                for waits in self._taken():
                    if not waits.done():
                        waits.set_result(client)
                await self._broken.wait()
            finally:
                self._open = None
                with contextlib.suppress(Exception):
                    await client.__aexit__(None, None, None)

    def _taken(self) -> list[asyncio.Future[Client]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _client(self) -> Client:
        address = self.address
        server: Any
        if address.url is None:
            # The SDK hands on a short list of harmless variables; ours are added by name.
            server = StdioServerParameters(
                command=address.command[0], args=list(address.command[1:]), env=self._filled()
            )
        else:
            server = signed_in(address.url, Wire(), self._filled, self._note_refusal)
            # A password in an address is the SDK's to read.
            if self._stateless is None and "@" not in address.url:
                self._stateless = StatelessCalls(address.url, self._filled, self._note_refusal)
        return Client(
            server,
            message_handler=self._heard,
            cache=None,
            client_info=CLIENT,
            input_required_max_rounds=QUESTIONS_MAX,
        )

    def _note_refusal(self) -> None:
        self._is_refused = True

    async def _heard(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self.changes += 1

    def _fail(self, error: Exception) -> None:
        gone: Exception = UpstreamGone(f"{self.address.name} cannot be reached ({type(error).__name__})")
        if self._is_refused and self._broker is not None:
            self._is_refused = False
            gone = self._broker.refused(" ".join(self.address.asked.values()))
        for waits in self._taken():
            if not waits.done():
                waits.set_exception(gone)


def _whole(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result that says that it is whole; what is still being done, or asks to be told more, is none.

    Raises:
        MCPError: It is a question, or the promise of a result, with a content beside it that reads like one.
    """
    if result.get("resultType", COMPLETE) != COMPLETE:
        raise MCPError(INVALID_REQUEST, "the server says that this is no whole result")
    return result


def _is_broken(error: BaseException) -> bool:
    """Whether an error is about the connection: JSON-RPC errors are answers, everything else may be its end."""
    name = type(error).__name__
    if isinstance(error, MCPError):
        # A server may say of a ticket that it is closed; that takes no call of others down.
        return error.code == CONNECTION_CLOSED and "closed" in error.message.lower()
    if name in (
        "AnswerRefused",
        "ValidationError",
        "RuntimeError",
        "InputRequiredRoundsExceededError",
    ):
        return "closed" in str(error).lower()
    return True
