# SPDX-License-Identifier: Apache-2.0
"""A provider that costs next to nothing: fixed answers of 0.5 kB, streams of 52 chunks or as many as are asked for, on a bare protocol.

The answer is what the charter's output schema asks for: a gateway that checks it must let it pass.

`python benchmarks/gateway/upstream.py` prints its port and serves until it is stopped.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys

MODEL = "acme-large-2026-04-12"
CHUNKS = 52

_ROUTING = {
    "document": "D-04711",
    "status": "routed",
    "task_type": "po_invoice",
    "queue": "approval, two signatures, before the end of the month",
    "po_number": "PO-2026-000815",
    "confidence": 0.93,
}
_ANSWER = json.dumps(
    {
        "id": "chatcmpl-00000000",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": json.dumps(_ROUTING)},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 320, "completion_tokens": 50, "total_tokens": 370},
    }
).encode()


def _chunk(delta, finish=None):
    record = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    event = b"data: " + json.dumps(record).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


_FIRST = _chunk({"role": "assistant", "content": ""})
_WORD = _chunk({"content": "word "})
_LAST = _chunk({}, "stop")
_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_NUMBERS = itertools.count(1)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Provider(asyncio.Protocol):
    """Answers each request as soon as it is whole."""

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while True:
            head, found, rest = self.data.partition(b"\r\n\r\n")
            if not found:
                return
            at = head.lower().find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < size:
                return
            body, self.data = rest[:size], rest[size:]
            if b'"stream": true' in body or b'"stream":true' in body:
                asked = re.search(rb'"max_tokens": (\d+)', body)
                self.task = asyncio.ensure_future(self.stream(int(asked[1]) if asked else CHUNKS))
            else:
                ident = b"chatcmpl-%08d" % next(_NUMBERS)  # ids never repeat, as with a real provider
                self.transport.write(_HEAD + _ANSWER.replace(b"chatcmpl-00000000", ident, 1))

    async def stream(self, chunks):
        self.transport.write(_STREAM_HEAD)
        for event in (_FIRST, *itertools.repeat(_WORD, chunks - 3), _LAST, _END):
            self.transport.write(event)
            await asyncio.sleep(0.001)  # tokens come one by one; without it chunks would be joined


async def main():
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
