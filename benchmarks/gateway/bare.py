# SPDX-License-Identifier: Apache-2.0
"""The least that a proxy can be: uvicorn and aiohttp, bytes in, bytes out, nothing checked, nothing kept.

`python benchmarks/gateway/bare.py UPSTREAM_PORT PORT`: what a gateway costs beyond this is what it does. With a FOLDER behind it
keeps each call in a run log there, by the same second process as a gateway: what a gateway is late beyond that is its own.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import aiohttp
import uvicorn

_DROPPED = {b"host", b"content-length", b"connection", b"transfer-encoding", b"keep-alive"}
_session = None
_log = None


def keep(body, answer):
    run = secrets.token_hex(16)
    _log.append(run, RunOpened(agent="bare"))
    _log.append(run, ModelRequest(route="/v1/chat/completions", body=body), call=run[:16])
    _log.append(run, ModelResponse(status=200, body=answer), call=run[:16])


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
        chunks = []
        async for chunk in answer.content.iter_any():
            chunks.append(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    if _log is not None:
        keep(body, b"".join(chunks))


if __name__ == "__main__":
    if len(sys.argv) > 3:
        from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse, RunOpened
        from pilothouse.runtime.runlog.recorder import open_recorder

        _log = open_recorder(Path(sys.argv[3]), on_note=print)
    uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False, lifespan="off")
