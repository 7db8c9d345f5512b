# SPDX-License-Identifier: Apache-2.0
"""Opens connections to providers and keeps them for the next call."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import deque
from typing import NamedTuple
from urllib.parse import SplitResult

import aiohappyeyeballs

from pilothouse.runtime.gateway.connection import Connection

__all__ = ["ConnectionPool", "Target", "target_of"]

CONNECTIONS_MAX = 1_000
"""Connections in use to all providers; a file descriptor each, with the clients' far below the usual limit."""

IDLE_MAX = 200
"""Connections of one provider that wait for the next call."""

CONNECT_S = 5.0
"""Until a connection stands, with its name looked up and its certificate checked."""

SECOND_ADDRESS_AFTER_S = 0.25
"""A name with an address that does not answer costs this, not the whole time: RFC 8305."""

KEEP_ALIVE_S = 15.0
"""Idle connections are closed before common servers close them under a request."""


class Target(NamedTuple):
    """Where connections lead; a tuple, because each call looks its connections up by it.

    Attributes:
        host: Name or address.
        port: Port.
        is_secure: Whether it speaks TLS.
    """

    host: str
    port: int
    is_secure: bool


def target_of(address: SplitResult) -> tuple[Target, str]:
    """Return where connections to an address lead, and how a request's `host` header names it.

    Args:
        address: An http(s) address, taken apart.
    """
    is_secure = address.scheme == "https"
    usual = 443 if is_secure else 80
    host = (address.hostname or "").encode("idna").decode()
    named = f"[{host}]" if ":" in host else host
    if address.port not in {None, usual}:
        named = f"{named}:{address.port}"
    return Target(host, address.port or usual, is_secure), named


class ConnectionPool:
    """The connections of one loop; nobody else may use them.

    Certificates are checked against the system's authorities, or those that `SSL_CERT_FILE` names.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._idle: dict[Target, list[tuple[float, Connection]]] = {}
        self._used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._tls: ssl.SSLContext | None = None

    async def take(self, target: Target) -> Connection:
        """Return a free connection; `give_back` must follow, once.

        Args:
            target: Where it must lead.

        Raises:
            OSError: It cannot be connected in time.
        """
        if self._used >= CONNECTIONS_MAX:
            await self._room()
        self._used += 1
        try:
            idle = self._idle.get(target)
            while idle:
                since, connection = idle.pop()
                if connection.is_free and time.monotonic() - since < KEEP_ALIVE_S:
                    return connection
                connection.abort()
            return await self._connect(target)
        except BaseException:
            self._leave()
            raise

    def give_back(self, target: Target, connection: Connection) -> None:
        """Keep a connection for the next call when it is free, else close it.

        Args:
            target: Where it leads.
            connection: What `take` returned.
        """
        self._leave()
        idle = self._idle.get(target)
        if idle is None:
            idle = self._idle[target] = []
        if not connection.is_free or len(idle) >= IDLE_MAX:
            connection.abort()
            return
        idle.append((time.monotonic(), connection))
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._close_old)

    async def close(self) -> None:
        """Close those that wait."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for idle in self._idle.values():
            for _, connection in idle:
                connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop closes what was aborted in its next round

    async def _room(self) -> None:
        """Wait until a connection may be taken; who is woken looks again, for somebody may have been quicker."""
        while self._used >= CONNECTIONS_MAX:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._wake()  # it was this one's turn, and it does not take it
                raise

    def _leave(self) -> None:
        self._used -= 1
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _connect(self, target: Target) -> Connection:
        loop = asyncio.get_running_loop()
        secure = self._context() if target.is_secure else None
        async with asyncio.timeout(CONNECT_S):
            addresses = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            try:
                connected = await aiohappyeyeballs.start_connection(
                    addresses, happy_eyeballs_delay=SECOND_ADDRESS_AFTER_S
                )
            except RuntimeError as error:  # how one of the loops says that an address is none
                raise OSError(str(error)) from error
            try:
                _, connection = await loop.create_connection(
                    Connection,
                    sock=connected,
                    ssl=secure,
                    server_hostname=target.host if target.is_secure else None,
                )
            except BaseException:
                connected.close()
                raise
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _close_old(self) -> None:
        self._sweep = None
        limit = time.monotonic() - KEEP_ALIVE_S
        for target, idle in list(self._idle.items()):
            young = [one for one in idle if one[0] > limit]
            for since, connection in idle:
                if since <= limit:
                    connection.abort()
            if young:
                self._idle[target] = young
            else:
                del self._idle[target]
        if self._idle:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._close_old)
