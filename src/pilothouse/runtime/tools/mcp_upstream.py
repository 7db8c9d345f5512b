# SPDX-License-Identifier: Apache-2.0
"""One MCP server behind us: a connection that stays open, and what it says about its tools held against the pins.

A connection belongs to the task that opened it, so each upstream is a task of its own that is asked
through a queue. A server that has gone is connected to again at the next call, at most once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CallToolResult, Tool

from pilothouse.core.charter.contract import manifest_digest
from pilothouse.runtime.tools.credentials import CredentialBroker
from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
from pilothouse.runtime.tools.mcp_sign_in import signed_in

__all__ = [
    "PAGES_MAX",
    "TOOLS_MAX",
    "Upstream",
    "UpstreamGone",
    "manifest_of",
]

PAGES_MAX = 20
"""Pages of a list of tools; a server that has more has no end."""

TOOLS_MAX = 500
"""No model can choose among more."""

CONNECT_S = 10.0
LIST_S = 10.0
RECONNECT_S = 1.0
ASKED_MAX = 1_024


class UpstreamGone(ConnectionError):
    """The server cannot be reached, or went away during a call."""


def manifest_of(tool: Tool) -> str:
    """Return the digest of everything that a server says about a tool; see `manifest_digest`."""
    said = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    return manifest_digest(
        tool.name,
        description=tool.description,
        input_schema=said.get("inputSchema"),
        output_schema=said.get("outputSchema"),
        annotations=said.get("annotations"),
    )


_Asked = tuple[str, tuple[Any, ...], "asyncio.Future[Any]"]


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
        self._asked: asyncio.Queue[_Asked] = asyncio.Queue(ASKED_MAX)
        self._task: asyncio.Task[None] | None = None
        self.changes = 0
        """How often the server said that its list of tools is another one."""

    async def tools(self) -> list[Tool]:
        """Return what the server says about its tools, at most `TOOLS_MAX` from `PAGES_MAX` pages.

        Raises:
            UpstreamGone: It does not answer.
        """
        found: list[Tool] = await self._ask("list")
        return found

    async def call(
        self, tool: str, args: dict[str, Any], timeout_s: float, *, on_progress: ProgressFnT | None = None
    ) -> CallToolResult:
        """Call a tool of the server; when the caller gives up, the server is told.

        Args:
            tool: Name on the server.
            args: Arguments.
            timeout_s: Longest wait, seconds.
            on_progress: Told how far the server says it is.

        Raises:
            UpstreamGone: It went away.
            TimeoutError: It did not answer in time.
        """
        found: CallToolResult = await self._ask("call", tool, args, timeout_s, on_progress)
        return found

    async def close(self) -> None:
        """End the connection, and the program where we started one."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def _filled(self) -> dict[str, str]:
        """Headers or variables with their credentials.

        Raises:
            ToolError: One of them cannot be used.
        """
        asked = self.address.asked
        if self._broker is None:
            return dict(asked)
        return {name: self._broker.filled(text, host=self.address.host) for name, text in asked.items()}

    async def _ask(self, what: str, *args: Any) -> Any:
        self._filled()  # said before anything is sent, and also while a connection still stands
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._live(), name=f"mcp-{self.address.name}")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._asked.put_nowait((what, args, answer))
        except asyncio.QueueFull:
            raise UpstreamGone(f"{ASKED_MAX} calls wait for {self.address.name}") from None
        return await answer

    async def _live(self) -> None:
        """Connect whenever something is asked and no connection stands; answer until it breaks."""
        while True:
            first = await self._asked.get()
            try:
                async with asyncio.timeout(CONNECT_S) as limit:
                    client = await self._client().__aenter__()
                    limit.reschedule(None)
            except Exception as error:  # noqa: BLE001 - whatever keeps us from connecting, it is not there
                self._fail(first, error)
                await asyncio.sleep(RECONNECT_S)
                continue
            try:
                await self._serve(client, first)
            finally:
                with contextlib.suppress(Exception):
                    await client.__aexit__(None, None, None)

    async def _serve(self, client: Client, first: _Asked) -> None:
        """Answer side by side until the connection breaks."""
        going: set[asyncio.Task[bool]] = {asyncio.create_task(self._answer(client, first))}
        asked = asyncio.create_task(self._asked.get())
        try:
            while True:
                done, _ = await asyncio.wait({asked, *going}, return_when=asyncio.FIRST_COMPLETED)
                if asked in done:
                    going.add(asyncio.create_task(self._answer(client, asked.result())))
                    asked = asyncio.create_task(self._asked.get())
                ended = {task for task in done if task is not asked and task in going}
                going -= ended
                if any(not task.result() for task in ended):
                    return
        finally:
            asked.cancel()
            for task in going:
                task.cancel()
            await asyncio.gather(*going, return_exceptions=True)

    async def _answer(self, client: Client, asked: _Asked) -> bool:
        """Answer one question; False when the connection is of no use any more."""
        what, args, answer = asked
        try:
            if what == "list":
                async with asyncio.timeout(LIST_S):
                    value: Any = await _list(client)
            else:
                tool, arguments, timeout_s, on_progress = args
                asking = asyncio.ensure_future(
                    client.call_tool(tool, arguments, progress_callback=on_progress)
                )
                answer.add_done_callback(lambda given: asking.cancel() if given.cancelled() else None)
                async with asyncio.timeout(timeout_s):
                    value = await asking
        except TimeoutError as error:
            _set(answer, error)
            return True
        except asyncio.CancelledError:
            if answer.cancelled():
                return True  # the caller gave up; the connection is as good as before
            _set(answer, UpstreamGone(f"{self.address.name} went away"))
            raise
        except Exception as error:  # noqa: BLE001 - the caller is told, and the door translates it
            broken = _is_broken(error)
            if self._is_refused and self._broker is not None:
                self._is_refused = False
                _set(answer, self._broker.refused(" ".join(self.address.asked.values())))
                return not broken
            _set(answer, UpstreamGone(f"{self.address.name} went away") if broken else error)
            return not broken
        if not answer.done():
            answer.set_result(value)
        return True

    def _client(self) -> Client:
        address = self.address
        server: Any
        if address.url is None:
            # The SDK hands on a short list of harmless variables; ours are added by name.
            server = StdioServerParameters(
                command=address.command[0], args=list(address.command[1:]), env=self._filled()
            )
        else:
            server = signed_in(address.url, self._filled, self._note_refusal)
        return Client(server, message_handler=self._heard, cache=None)

    def _note_refusal(self) -> None:
        self._is_refused = True

    async def _heard(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self.changes += 1

    def _fail(self, first: _Asked, error: BaseException) -> None:
        gone: Exception = UpstreamGone(f"{self.address.name} cannot be reached ({type(error).__name__})")
        if self._is_refused and self._broker is not None:
            self._is_refused = False
            gone = self._broker.refused(" ".join(self.address.asked.values()))
        _set(first[2], gone)
        while not self._asked.empty():
            _set(self._asked.get_nowait()[2], gone)


async def _list(client: Client) -> list[Tool]:
    found: list[Tool] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await client.list_tools(cursor=cursor)
        found.extend(page.tools)
        cursor = page.next_cursor
        if cursor is None or len(found) >= TOOLS_MAX:
            break
    return found[:TOOLS_MAX]


def _set(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _is_broken(error: BaseException) -> bool:
    """Whether an error is about the connection: JSON-RPC errors are answers, everything else may be its end."""
    name = type(error).__name__
    if name in ("MCPError", "ValidationError", "RuntimeError", "InputRequiredRoundsExceededError"):
        return "closed" in str(error).lower()
    return True
