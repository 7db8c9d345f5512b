# SPDX-License-Identifier: Apache-2.0
"""Ten times what the server can take, for minutes: only 503s, bounded memory, and in the end all of it is stored.

First the time from an answer to being found by a query is measured, at half of what the server takes, with the CPU
that the server used meanwhile: on a machine that others use too, the rest is waiting for a core. Then many
connections send without pause; every refusal is tried again until it is taken, so that stored must equal sent.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from measure import cpu_s, rss_mib
from spans import SPANS, Renewable, build_request
from systems import Pilothouse

CONNECTIONS = 40
"""Ten times the four of the closed loop, each without a pause."""

PROBES = 60
RSS_MIB_MAX = 512
FRESH_S_MAX = 1.5


def post(connection: http.client.HTTPConnection, body: bytes) -> int:
    """Send one request; 0 when the connection was closed meanwhile, as idle ones are."""
    try:
        connection.request("POST", "/v1/traces", body, Pilothouse.headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
    return answer.status


class Sender:
    """One connection that sends each request until it is taken, and counts answers and spans.

    Args:
        port: Of the server.
        statuses: Answers by status, shared.
        end: When not to wait for a refused request any more without a pause.
    """

    def __init__(self, port: int, statuses: Counter[int], end: float = 0.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._request = Renewable(build_request())
        self._statuses = statuses
        self._end = end
        self.taken = 0

    def send(self) -> str:
        """Send one request of a trace ids' worth that nobody sent before; return its last trace id."""
        body, trace_id = self._request.fresh()
        while True:
            status = post(self._connection, body)
            self._statuses[status] += 1
            if status == 200:
                self.taken += SPANS
                return trace_id
            if time.monotonic() > self._end:
                time.sleep(0.1)


def freshness(
    port: int, pid: int, per_s: float, statuses: Counter[int]
) -> tuple[list[float], list[float], int]:
    """Ask at a steady load how long it takes from an answer until a page of the same server shows the trace.

    Returns:
        Seconds, CPU seconds of the server meanwhile, both sorted, and spans that were acknowledged.
    """
    took, used = [], []
    loading = Sender(port, statuses)
    stop = threading.Event()

    def load() -> None:
        while not stop.wait(SPANS / per_s):
            loading.send()

    loader = threading.Thread(target=load)
    loader.start()
    sender = Sender(port, statuses)
    reader = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(PROBES):
        trace_id = sender.send()
        began, cpu = time.monotonic(), cpu_s(pid)
        while True:
            reader.request("GET", f"/agents/invoice-triage/tasks/{trace_id}")
            answer = reader.getresponse()
            answer.read()
            if answer.status == 200:
                break
            time.sleep(0.01)
        took.append(time.monotonic() - began)
        used.append(cpu_s(pid) - cpu)
    stop.set()
    loader.join()
    return sorted(took), sorted(used), loading.taken + sender.taken


def overload(port: int, seconds: float, statuses: Counter[int]) -> int:
    """Send without pause, and what was refused at the end until it is taken; return the spans acknowledged."""
    end = time.monotonic() + seconds
    senders = [Sender(port, statuses, end) for _ in range(CONNECTIONS)]

    def work(sender: Sender) -> None:
        while time.monotonic() < end:
            sender.send()

    workers = [threading.Thread(target=work, args=(sender,)) for sender in senders]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(sender.taken for sender in senders)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument(
        "--per-s", type=float, default=5_000, help="spans a second while freshness is measured"
    )
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-overload-"))
    running = Pilothouse().start(folder)
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            peak[0] = max(peak[0], rss_mib(running.process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        pid = running.process.pid
        took, used, sent = freshness(running.port, pid, chosen.per_s, Counter())
        p99, p99_cpu = (values[min(len(values) - 1, int(0.99 * len(values)))] for values in (took, used))
        print(
            f"answer to queryable at {chosen.per_s:,.0f} spans/s: p50 {statistics.median(took):.2f} s, p99 {p99:.2f} s"
            f" (CPU of the server meanwhile: p50 {statistics.median(used):.2f} s, p99 {p99_cpu:.2f} s)",
            flush=True,
        )
        statuses: Counter[int] = Counter()
        sent += overload(running.port, 60 * chosen.minutes, statuses)
        books = settled(running.port)
    finally:
        done.set()
        watcher.join()
        running.process.terminate()
        running.process.wait(120)
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{chosen.minutes:g} min over {CONNECTIONS} connections: answers {dict(statuses)}, {sent:,} spans sent and acknowledged in all"
    )
    print(f"at the end: {books}; memory peak {peak[0]:.0f} MiB")
    is_good = (
        set(statuses) <= {0, 200, 503}  # 0: a connection that was closed while it was idle, sent again
        and books["rows"] == sent
        and books["gap"] == 0
        and books["pending"] == 0
    )
    return int(not (is_good and peak[0] <= RSS_MIB_MAX and p99 <= FRESH_S_MAX))


def settled(port: int) -> dict[str, int]:
    """The server's own books once nothing waits any more."""
    import json
    import urllib.request

    end = time.monotonic() + 300
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            told = json.load(answer)["telemetry"]
        if not told["pending"] or time.monotonic() > end:
            counted = dict(told["counters"])
            return {
                **{
                    name: counted.get(name, 0)
                    for name in ("received", "acked", "deduplicated", "quarantined")
                },
                **{name: told[name] for name in ("rows", "pending", "gap")},
            }
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
