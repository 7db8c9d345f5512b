# SPDX-License-Identifier: Apache-2.0
"""An HTTP endpoint as a target: POST `{"input": ...}`, get JSON back."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import aiohttp

from pilothouse.evals.case import Case
from pilothouse.evals.targets.target import PRESSURE, AgentFailed, TargetSpec, TargetUnreachable, as_reply
from pilothouse.evals.trial import OUTPUT_BYTES_MAX, Reply, TrialContext

__all__ = ["GIVEN_UP_FACTOR", "HttpEndpoint", "JsonPoster"]

CONNECTIONS_MAX = 256
"""As many as trials may run at once."""

RETRY_AFTER_S_MAX = 60.0
"""A provider that asks for more is treated as down; the attempts end it."""

CONNECT_S_MAX: Final = 10.0
"""A machine that takes longer to answer a knock is not there; an agent that takes longer to answer a question is slow."""

GIVEN_UP_FACTOR: Final = 2.0
"""An exchange is given up at this multiple of the deadline: who asked ends it at the deadline, and knows whether this
process was held up."""

UNREACHABLE: Final = frozenset({401, 403, 404, 405, 407, 408, 409, 429})
"""Answers below 500 that speak of our credential, our address or the load, and not of what was asked."""

BODY_BYTES_MAX = OUTPUT_BYTES_MAX + 64 * 1024
"""An answer at its limit with its envelope."""

SHOWN_CHARS_MAX = 200
"""Of a body that makes no sense."""


class JsonPoster:
    """Posts JSON over persistent connections, and tells faults of the agent from infrastructure failures."""

    def __init__(self, *, headers: dict[str, str] | None = None) -> None:
        self._headers = headers or {}
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: Any, *, headers: dict[str, str], timeout_s: float) -> Any:
        """Post and return the parsed answer.

        Returns:
            The JSON value of a 2xx answer.

        Raises:
            AgentFailed: Another 4xx than those of `UNREACHABLE`, a body that is no JSON or too large.
            TargetUnreachable: No connection, one of `UNREACHABLE`, or 5xx.
            TimeoutError: It took longer than `timeout_s`.
        """
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        try:
            async with self._session.post(
                url,
                data=json.dumps(body, ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json", **headers},
                timeout=aiohttp.ClientTimeout(
                    total=timeout_s, sock_connect=min(CONNECT_S_MAX, timeout_s / 4)
                ),
            ) as answer:
                text = await _read_bounded(answer)
                if answer.status in UNREACHABLE or answer.status >= 500:
                    raise TargetUnreachable(
                        f"HTTP {answer.status} from {url}",
                        retry_after_s=_retry_after_s(answer.headers),
                        is_pressure=answer.status in PRESSURE,
                    )
        except aiohttp.ConnectionTimeoutError as error:
            raise TargetUnreachable(f"no connection to {url}") from error
        except TimeoutError:
            raise
        except aiohttp.ClientError as error:
            raise TargetUnreachable(f"{type(error).__name__} at {url}") from error
        if answer.status >= 400:
            raise AgentFailed(f"HTTP {answer.status}: {_shown(text)}")
        try:
            return json.loads(text)
        except ValueError as error:
            raise AgentFailed(f"answer is no JSON: {_shown(text)}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class HttpEndpoint:
    """Posts `{"input", "trial", "seed"}` and reads a reply or a bare output.

    The id of a case stays here: people write into it what they expect, and that of an attack names its family. The trial is
    named by the header `Idempotency-Key`.

    Args:
        url: Address of the endpoint.
        version: Version digest of the agent behind it. Without one the address stands in for it, and a
            change behind the same address is not seen.
        headers: Headers of every call, for example a credential.
    """

    def __init__(
        self, url: str, *, version: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self._url = url
        self._poster = JsonPoster(headers=headers)
        self.spec = TargetSpec(
            address=f"http:{url}",
            version=version or hashlib.sha256(url.encode()).hexdigest(),
            fingerprint=hashlib.sha256(url.encode()).hexdigest(),
            version_is_declared=version is not None,
        )

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Post one case."""
        body = {"input": case.input, "trial": context.index, "seed": context.seed}
        return as_reply(
            await self._poster.post(
                self._url, body, headers=context.headers(), timeout_s=GIVEN_UP_FACTOR * context.deadline_s
            )
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = await answer.content.read(BODY_BYTES_MAX + 1)
    while len(body) <= BODY_BYTES_MAX:
        more = await answer.content.read(BODY_BYTES_MAX + 1 - len(body))
        if not more:
            return body
        body += more
    answer.close()
    raise AgentFailed(f"output_too_large: more than {BODY_BYTES_MAX} bytes")


def _retry_after_s(headers: Any) -> float | None:
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return min(RETRY_AFTER_S_MAX, max(0.0, float(headers[name]) * factor))
        except (KeyError, ValueError):
            continue  # absent, or a date: then our own wait is used
    return None


def _shown(text: bytes) -> str:
    return repr(text[:SHOWN_CHARS_MAX].decode("utf-8", "replace"))
