# SPDX-License-Identifier: Apache-2.0
"""A chat endpoint that answers after a fixed time, for every harness alike: `python stub.py 0.05` prints its address."""

from __future__ import annotations

import asyncio
import json
import sys

ANSWER = "The answer is 42."


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency_s: float) -> None:
    body = json.dumps(
        {
            "id": "c", "object": "chat.completion", "created": 1, "model": "stub",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
        }
    ).encode()  # fmt: skip
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in request.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            await reader.readexactly(length)
            await asyncio.sleep(latency_s)
            writer.write(head + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    latency_s = float(sys.argv[1])
    server = await asyncio.start_server(
        lambda reader, writer: answer(reader, writer, latency_s), "127.0.0.1", 0, backlog=512
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
