# SPDX-License-Identifier: Apache-2.0
"""Providers that say nothing, for the calls of a drill: everything behind them is the gateway's own way of failing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Never

from pilothouse.ports.gateway import Provider
from pilothouse.runtime.gateway.chain_member import Member
from pilothouse.runtime.gateway.upstream import UpstreamFailed
from pilothouse.runtime.resilience.breaker import Breaker, BreakerPolicy

__all__ = ["SilentUpstream", "apart"]


class SilentUpstream:
    """Takes each request and never answers it.

    Args:
        hang_s: How long it is silent until the attempt is given up, seconds; the call's own deadline may end it before.
    """

    def __init__(self, hang_s: float) -> None:
        self._hang_s = hang_s

    async def open(
        self,
        provider: Provider,
        *,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> Never:
        """Say nothing.

        Raises:
            UpstreamFailed: Always, when the time is over.
        """
        del method, path, query, headers, body
        await asyncio.sleep(self._hang_s)
        raise UpstreamFailed("timeout", f"{provider.name} said nothing for {self._hang_s:g} s")


def apart(chain: Sequence[Member]) -> list[Member]:
    """Return a chain whose breakers are its own, so that a drill never stops calls that are not part of it."""
    return [replace(one, breaker=Breaker(BreakerPolicy())) for one in chain]
