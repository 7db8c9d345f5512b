# SPDX-License-Identifier: Apache-2.0
"""Ask a provider once which models it serves, with the credential and over the connections of calls."""

from __future__ import annotations

import asyncio

from pilothouse.errors import ProviderError
from pilothouse.ports.gateway import Provider
from pilothouse.runtime.gateway.upstream import Upstream, UpstreamFailed
from pilothouse.runtime.gateway.wire import inflate

__all__ = ["fetch_listing"]

LISTING_S = 20.0
"""A listing is small; a server that takes longer is not well."""

LISTING_BYTES_MAX = 4 << 20
"""Of a listing: some catalogues have thousands of models, half a kilobyte each."""

HEADERS = [(b"accept", b"application/json"), (b"accept-encoding", b"identity")]


def fetch_listing(provider: Provider) -> bytes:
    """Return the body of a provider's list of models; waits for it, beside the loop that serves.

    Args:
        provider: Who is asked.

    Raises:
        ProviderError: It did not answer, or refused.
    """
    try:
        status, body = asyncio.run(asyncio.wait_for(_fetch(provider), LISTING_S))
    except (UpstreamFailed, TimeoutError) as error:
        raise _unread(provider, str(error) or "it said nothing in time") from error
    if status != 200:
        raise _unread(provider, f"it answered with status {status}")
    return body


async def _fetch(provider: Provider) -> tuple[int, bytes]:
    async with Upstream() as upstream:
        answer = await upstream.open(
            provider, method="GET", path="/v1/models", query=b"", headers=HEADERS, body=b""
        )
        try:
            body = await answer.read_all(LISTING_BYTES_MAX)
        finally:
            answer.close()
        return answer.status, inflate(body, answer.encoding) or b""


def _unread(provider: Provider, why: str) -> ProviderError:
    return ProviderError(
        f"the models of provider {provider.name} could not be listed: {why}",
        remedy="Look at its address and credential: `pilothouse provider list`.",
        subject=provider.name,
    )
