# SPDX-License-Identifier: Apache-2.0
"""Sends what an answer writes in one turn of the loop with one system call: its head and its body, above all.

A write to a socket wakes the reader in another process, and on small answers that costs more than making them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["JoinedWritesProtocol"]

COPIED_BYTES_MAX = 64 << 10
"""More than this is handed over in parts, because copying it costs more than the further system calls."""


class JoinedWritesProtocol(HttpToolsProtocol):
    """uvicorn's protocol over a transport that joins writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the joining transport in front of the loop's."""
        super().connection_made(_JoinedWrites(transport, self.loop))

    def on_response_complete(self) -> None:
        """Send a whole answer at once: what its handler still does afterwards is nothing that the client waits for."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()


class _JoinedWrites(asyncio.Transport):
    """A transport that keeps what is written until the loop's next turn, and passes everything else on."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] = []

    def write(self, data: Any) -> None:
        if not self._kept:
            self._loop.call_soon(self.flush)
        self._kept.append(data)

    def flush(self) -> None:
        """Write what is kept."""
        kept = self._kept
        if not kept:
            return
        self._kept = []
        if len(kept) == 1:
            self._transport.write(kept[0])
        elif sum(map(len, kept)) <= COPIED_BYTES_MAX:
            self._transport.write(b"".join(kept))
        else:
            self._transport.writelines(kept)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._kept.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()
