# SPDX-License-Identifier: Apache-2.0
"""Send the same bodies to a server and read what its whole process tree used."""

from __future__ import annotations

import http.client
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CONNECTIONS = 4
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Sent:
    """What the senders saw."""

    acknowledged: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    retries: int = 0
    wall_s: float = 0.0

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies_ms) or [float("nan")]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def tree(root: int) -> list[int]:
    """Process ids of a process and everything below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found, below = [root], [root]
    while below:
        below = [child for parent in below for child in parents.get(parent, [])]
        found.extend(below)
    return found


def cpu_s(root: int) -> float:
    """CPU seconds that a process tree has used, ended children included."""
    total = 0
    for pid in tree(root):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(value) for value in stat[11:15])
    return total / TICKS


def rss_mib(root: int) -> float:
    """Memory that a process tree holds now."""
    total = 0
    for pid in tree(root):
        try:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 1024


def send(
    port: int,
    path: str,
    bodies: list[bytes],
    headers: dict[str, str],
    *,
    is_dead: Callable[[], bool] = lambda: False,
) -> Sent:
    """Closed loop over `CONNECTIONS` keep-alive connections; 429 and 503 are tried again."""
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for body in bodies:
        waiting.put(body)
    sent = Sent()
    lock = threading.Lock()

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while not is_dead():
            try:
                body = waiting.get_nowait()
            except queue.Empty:
                return
            pause = 0.02
            while not is_dead():
                began = time.perf_counter()
                try:
                    connection.request("POST", path, body, headers)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    if is_dead():
                        return
                    time.sleep(pause)
                    continue
                if answer.status == 200:
                    with lock:
                        sent.acknowledged += 1
                        sent.latencies_ms.append((time.perf_counter() - began) * 1e3)
                    break
                if answer.status not in (429, 503):
                    raise RuntimeError(f"{answer.status} from {port}{path}")
                with lock:
                    sent.retries += 1
                time.sleep(pause)
                pause = min(0.5, pause * 2)

    began = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sent.wall_s = time.perf_counter() - began
    return sent
