# SPDX-License-Identifier: Apache-2.0
"""Clients on bare sockets: they cost little, keep their connections, and note how long each answer took.

`python benchmarks/gateway/load.py JSON` prints one JSON record.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

NUMBER = "n000000000"
"""Stands in every request and is another one each time: no two conversations are equal."""


class Client(asyncio.Protocol):
    """One connection with one request at a time."""

    def connection_made(self, transport):
        self.transport, self.data, self.waiter = transport, bytearray(), None

    def connection_lost(self, exc):
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(ConnectionError(str(exc)))

    def data_received(self, data):
        self.data += data
        head_end = self.data.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self.data[:head_end]).lower()
        at = head.find(b"content-length:")
        if at >= 0:
            size = int(head[at + 15 :].split(b"\r\n", 1)[0])
            whole = len(self.data) - head_end - 4 >= size
        else:
            whole = self.data.endswith(b"0\r\n\r\n")
        if whole and not self.waiter.done():
            self.waiter.set_result(int(head[9:12]))

    def ask(self, request):
        self.data.clear()
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.waiter


async def main(plan):
    body = {
        "model": plan["model"],
        "messages": [
            {"role": "system", "content": "You route invoices. " * 30},
            {"role": "user", "content": NUMBER + "Where does invoice 4711 go? " * 20},
        ],
    }
    if plan["stream"]:
        body["stream"] = True
        if plan.get("chunks"):
            body["max_tokens"] = plan["chunks"]
    data = json.dumps(body).encode()
    lines = {
        "host": "localhost",
        "authorization": f"Bearer {plan['key']}",
        "content-type": "application/json",
        "content-length": str(len(data)),
        **plan.get("headers", {}),
    }
    head = f"POST {plan['path']} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    request = head.encode() + b"\r\n" + data
    left, times, statuses = plan["requests"], [], {}
    rate, began = plan.get("rate"), time.perf_counter()
    started = 0

    async def work():
        nonlocal left, started
        _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", plan["port"])
        while left > 0:
            left -= 1
            if rate:
                due = began + started / rate
                started += 1
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            at = time.perf_counter()
            number = b"%s%09d" % (plan.get("mark", "n")[:1].encode(), left)
            status = await client.ask(request.replace(NUMBER.encode(), number, 1))
            times.append(time.perf_counter() - at)
            statuses[status] = statuses.get(status, 0) + 1
        client.transport.close()

    await asyncio.gather(*(work() for _ in range(plan["clients"])))
    took = time.perf_counter() - began
    times.sort()
    sys.stdout.write(
        json.dumps(
            {
                "took_s": took,
                "p50_ms": times[len(times) // 2] * 1e3,
                "p99_ms": times[int(len(times) * 0.99)] * 1e3,
                "statuses": statuses,
            }
        )
    )


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(json.loads(sys.argv[1])))
