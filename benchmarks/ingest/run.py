# SPDX-License-Identifier: Apache-2.0
"""`make bench-ingest`: the same spans into Pilothouse, Arize Phoenix and MLflow, one after another; ratios at the end.

Primary figure: spans that are stored and can be asked for, per CPU-second of the server's whole process
tree. Peers are installed into environments of their own below `--peers` the first time.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from measure import cpu_s, rss_mib, send, tree
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from spans import SPANS, build_request
from systems import MLflow, Phoenix, Pilothouse, Running

REQUESTS = {"pilothouse": 392, "phoenix": 12, "mlflow": 48}
"""Enough for each to work for some seconds; the primary figure is a rate."""

DRAIN_S = 600.0


@dataclass
class Figures:
    """One system in one round."""

    per_cpu_s: float
    per_cpu_s_compacted: float
    acked_per_s: float
    stored_per_s: float
    p50_ms: float
    p99_ms: float
    rss_mib: float
    bytes_per_span: float
    bytes_per_span_compacted: float
    lost_on_sigterm: int = 0
    acked_before_sigterm: int = 0


def install(package: str, folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {package} ...", flush=True)
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, package], check=True)
    return python


def measure_round(system, bodies: list[bytes], *, loses: bool) -> Figures:
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{system.name}-"))
    try:
        figures = load(system, folder, bodies)
        if loses:
            figures.lost_on_sigterm, figures.acked_before_sigterm = lose(
                system, [build_request() for _ in range(min(200, 4 * len(bodies)))]
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def load(system, folder: Path, bodies: list[bytes]) -> Figures:
    """Send everything once in a closed loop, and wait until all of it can be asked for."""
    peak = [0.0]
    done = threading.Event()
    with started(system, folder) as running:
        pid = running.process.pid

        def watch() -> None:
            while not done.wait(0.2):
                peak[0] = max(peak[0], rss_mib(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            send(running.port, system.path, bodies[:1], system.headers)
            drained(system, running, SPANS)
            cpu_before, began = cpu_s(pid), time.perf_counter()
            sent = send(running.port, system.path, bodies[1:], system.headers)
            total = len(bodies) * SPANS
            drained(system, running, total)
            wall = time.perf_counter() - began
            used = cpu_s(pid) - cpu_before
        finally:
            done.set()
            watcher.join()
        stored = sum(
            path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".wal"
        )
    spans = total - SPANS
    return Figures(
        per_cpu_s=spans / used,
        per_cpu_s_compacted=spans / (used + system.compaction_cpu_s(folder)),
        acked_per_s=spans / sent.wall_s,
        stored_per_s=spans / wall,
        p50_ms=sent.quantile(0.5),
        p99_ms=sent.quantile(0.99),
        rss_mib=peak[0],
        bytes_per_span=stored / total,
        bytes_per_span_compacted=system.bytes_now(folder) / total,
    )


@contextmanager
def started(system, folder: Path) -> Iterator[Running]:
    """A server that is stopped whatever happens."""
    running = system.start(folder)
    try:
        yield running
    finally:
        stop(running)


def drained(system, running, wanted: int) -> None:
    end = time.monotonic() + DRAIN_S
    while system.count(running) < wanted:
        if time.monotonic() > end:
            raise RuntimeError(
                f"{system.name} stored {system.count(running)} of {wanted} spans in {DRAIN_S:g} s"
            )
        time.sleep(0.1)


def stop(running) -> None:
    below = tree(running.process.pid)[1:]
    running.process.send_signal(signal.SIGTERM)
    try:
        running.process.wait(60)
    except subprocess.TimeoutExpired:
        running.process.kill()
        running.process.wait()
    for pid in below:
        subprocess.run(["kill", "-9", str(pid)], check=False, stderr=subprocess.DEVNULL)


def lose(system, bodies: list[bytes]) -> tuple[int, int]:
    """SIGTERM in the middle of full load; return spans lost and spans acknowledged, after a new start."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{system.name}-"))
    dead = threading.Event()
    box = []
    try:
        with started(system, folder) as running:
            sender = threading.Thread(
                target=lambda: box.append(
                    send(running.port, system.path, bodies, system.headers, is_dead=dead.is_set)
                )
            )
            sender.start()
            time.sleep(1.5)
            dead.set()
        sender.join()
        with started(system, folder) as again:
            time.sleep(3)
            stored = system.count(again)
    finally:
        dead.set()
        shutil.rmtree(folder, ignore_errors=True)
    acknowledged = box[0].acknowledged * SPANS
    return max(0, acknowledged - stored), acknowledged


def parse_only(bodies: list[bytes]) -> float:
    """Spans per CPU-second of the protobuf parser alone: what no Python server can pass."""
    began = time.process_time()
    for body in bodies:
        ExportTraceServiceRequest.FromString(body)
    return len(bodies) * SPANS / (time.process_time() - began)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peers", type=Path, default=Path(__file__).parent / ".peers")
    options.add_argument("--only", choices=("pilothouse", "phoenix", "mlflow"))
    options.add_argument(
        "--requests", type=int, help="requests into ours; peers get a part that fits their speed"
    )
    options.add_argument(
        "--quick", action="store_true", help="a third of the requests and no SIGTERM: for the ratios alone"
    )
    chosen = options.parse_args()
    peers = [kind for kind in (Phoenix, MLflow) if chosen.only in (None, kind.name)]
    systems = [Pilothouse()] if chosen.only in (None, "pilothouse") else []
    systems += [kind(install(kind.package, chosen.peers / kind.name)) for kind in peers]
    found: dict[str, list[Figures]] = {}
    limits = []
    for number in range(chosen.rounds):
        for system in systems:
            count = (
                chosen.requests if chosen.requests and system.name == "pilothouse" else REQUESTS[system.name]
            )
            bodies = [build_request() for _ in range(count // 3 if chosen.quick else count)]
            figures = measure_round(system, bodies, loses=not chosen.quick)
            found.setdefault(system.name, []).append(figures)
            if system.name == "pilothouse":
                limits.append(parse_only(bodies[:100]))
            print(f"round {number + 1} {system.name:<11}{figures}", flush=True)
    show(found, limits)


def show(found: dict[str, list[Figures]], limits: list[float]) -> None:
    def median(name: str, field: str) -> float:
        return statistics.median(getattr(figures, field) for figures in found[name])

    print(f"\n{'':<28}" + "".join(f"{name:>14}" for name in found))
    for field, label in (
        ("per_cpu_s", "stored spans / CPU-second"),
        ("per_cpu_s_compacted", "  with compaction"),
        ("acked_per_s", "acknowledged / s"),
        ("stored_per_s", "stored / s"),
        ("p50_ms", "answer p50 ms"),
        ("p99_ms", "answer p99 ms"),
        ("rss_mib", "memory peak MiB"),
        ("bytes_per_span", "bytes / span on disk"),
        ("bytes_per_span_compacted", "  after compaction"),
        ("acked_before_sigterm", "acknowledged at SIGTERM"),
        ("lost_on_sigterm", "  of these lost"),
    ):
        print(f"{label:<28}" + "".join(f"{median(name, field):>14,.0f}" for name in found))
    if limits:
        ours = median("pilothouse", "per_cpu_s")
        limit = statistics.median(limits)
        print(
            f"\nprotobuf parse alone: {limit:,.0f} spans / CPU-second; ours reaches {ours / limit:.1%} of it"
        )
        for name in found:
            if name != "pilothouse":
                print(f"ours / {name}: {ours / median(name, 'per_cpu_s'):,.0f}x")


if __name__ == "__main__":
    main()
