# SPDX-License-Identifier: Apache-2.0
"""The least that a proxy can be: uvicorn and aiohttp, bytes in, bytes out, nothing checked, nothing kept.

`python benchmarks/gateway/bare.py UPSTREAM_PORT PORT`: what a gateway costs beyond this is what it does.
"""

from __future__ import annotations

import sys

import aiohttp
import uvicorn

_DROPPED = {b"host", b"content-length", b"connection", b"transfer-encoding", b"keep-alive"}
_session = None


async def app(scope, receive, send):
    global _session  # noqa: PLW0603 - one session for the one loop
    if scope["type"] != "http":
        return
    if _session is None:
        _session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=600))
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(n.decode(), v.decode()) for n, v in scope["headers"] if n not in _DROPPED]
    url = f"http://127.0.0.1:{sys.argv[1]}{scope['path']}"
    async with _session.request(scope["method"], url, data=body, headers=headers) as answer:
        passed = [(n.lower(), v) for n, v in answer.raw_headers if n.lower() not in _DROPPED]
        await send({"type": "http.response.start", "status": answer.status, "headers": passed})
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False, lifespan="off")
