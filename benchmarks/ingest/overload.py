# SPDX-License-Identifier: Apache-2.0
"""Ten times what the server can take, for minutes: only 503s, bounded memory, and in the end all of it is stored.

First the time from an answer to being found by a query is measured, at half of what the server takes. Then
many connections send without pause; every refusal is tried again, so that stored must equal sent.
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

from measure import rss_mib
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


def freshness(port: int, per_s: float) -> list[float]:
    """Seconds from each answer until a page of the same server shows the trace, at a steady load."""
    took = []
    stop = threading.Event()

    def load() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        request = Renewable(build_request())
        while not stop.wait(SPANS / per_s):
            post(connection, request.fresh()[0])

    loader = threading.Thread(target=load)
    loader.start()
    sender = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    reader = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    request = Renewable(build_request())
    for _ in range(PROBES):
        body, trace_id = request.fresh()
        while post(sender, body) != 200:
            time.sleep(0.02)
        began = time.monotonic()
        while True:
            reader.request("GET", f"/agents/invoice-triage/tasks/{trace_id}")
            answer = reader.getresponse()
            answer.read()
            if answer.status == 200:
                break
            time.sleep(0.01)
        took.append(time.monotonic() - began)
    stop.set()
    loader.join()
    return sorted(took)


def overload(port: int, seconds: float) -> tuple[Counter[int], int]:
    """Send without pause; return answers by status and the spans that were acknowledged."""
    statuses: Counter[int] = Counter()
    acknowledged = [0]
    lock = threading.Lock()
    end = time.monotonic() + seconds

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        request = Renewable(build_request())
        body, _ = request.fresh()
        while time.monotonic() < end:
            status = post(connection, body)
            with lock:
                statuses[status] += 1
                if status == 200:
                    acknowledged[0] += SPANS
            if status == 200:
                body, _ = request.fresh()

    workers = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return statuses, acknowledged[0]


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
        took = freshness(running.port, chosen.per_s)
        p99 = took[min(len(took) - 1, int(0.99 * len(took)))]
        print(
            f"answer to queryable at {chosen.per_s:,.0f} spans/s: p50 {statistics.median(took):.2f} s, p99 {p99:.2f} s"
        )
        statuses, acknowledged = overload(running.port, 60 * chosen.minutes)
        books = settled(running.port)
    finally:
        done.set()
        watcher.join()
        running.process.terminate()
        running.process.wait(120)
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{chosen.minutes:g} min over {CONNECTIONS} connections: answers {dict(statuses)}, {acknowledged:,} spans acknowledged"
    )
    print(f"at the end: {books}; memory peak {peak[0]:.0f} MiB")
    is_good = set(statuses) <= {0, 200, 503} and books["gap"] == 0 and books["pending"] == 0
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
