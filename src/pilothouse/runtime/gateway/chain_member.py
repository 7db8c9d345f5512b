# SPDX-License-Identifier: Apache-2.0
"""One member of a chain: a model at a provider, whether it is well, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pilothouse.ports.gateway import Provider
from pilothouse.runtime.gateway.policy import Pin
from pilothouse.runtime.gateway.upstream import UpstreamAnswer
from pilothouse.runtime.resilience.breaker import Breaker

__all__ = ["Member", "Opener"]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the chain, with what it needs to be asked.

    Attributes:
        pin: Which model.
        provider: Where.
        breaker: Whether it is well.
        is_asked: Whether it is the model that the request names; else the name is replaced.
    """

    pin: Pin
    provider: Provider
    breaker: Breaker
    is_asked: bool


class Opener(Protocol):
    """Sends a request to a provider."""

    async def open(
        self,
        provider: Provider,
        *,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> UpstreamAnswer:
        """Send and return once status and headers have come.

        Raises:
            UpstreamFailed: No answer came.
        """
        ...
