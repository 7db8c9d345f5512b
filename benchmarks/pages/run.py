# SPDX-License-Identifier: Apache-2.0
"""What every page costs at a million spans: bytes, requests, server time, CPU, first paint.

The server is `pilothouse up` as a user starts it, filled through its own OTLP door. Times are those of a warm
server asked one page after the other on one connection, CPU that of its whole process; `/healthz` of the same
run is the limit that the ratio speaks of: what HTTP, router and process cost without a page.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(REPOSITORY / "benchmarks" / "ingest"))

from spans import SPANS, build_request  # noqa: E402 - the path above makes it importable

if TYPE_CHECKING:
    from playwright.sync_api import Page

AGENT = "invoice-triage"
CHARTER = REPOSITORY / "tests" / "golden" / "charters" / "ap-invoice-triage.yaml"
CHROMIUM = Path("/usr/bin/chromium")
TICK = os.sysconf("SC_CLK_TCK")
START_WAIT_S = 180.0
FOLD_WAIT_S = 300.0
BUDGET_MS = 50.0
PAINT_MS = 300.0
WIRE_BYTES = 60_000
REQUESTS = 5
NEW_ROUNDS = 3
"""Visits of each page in a window of its own: they start a process each, and no budget rests on them."""
OF_AGENT = [
    "agent",
    "readiness",
    "tasks",
    "runs",
    "evals",
    "watch",
    "integrations",
    "ownership",
    "controls",
    "reviews",
    "rollout",
    "sprint",
    "value",
    "executive",
    "compliance",
    "sign",
    "waivers",
]
ICON_MS = 100
"""Browsers fetch the icon after everything else; it is one of the page's requests."""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
PAGES = {
    "fleet": "/",
    **{name: f"/{name}" for name in ("incidents", "audit", "settings", "health", "tour")},
    **{name: f"/agents/{AGENT}/{name}" for name in OF_AGENT},
}


def repository(folder: Path) -> Path:
    """Copy the golden charter with everything it names, and let it govern the agent that the spans are of."""
    shutil.copytree(CHARTER.parent, folder)
    (folder / "verifiers").mkdir()
    verifier = "def routing_matches(task):\n    return True\n"
    (folder / "verifiers" / "erp.py").write_text(verifier, encoding="utf-8")
    charter = folder / CHARTER.name
    text = charter.read_text(encoding="utf-8").replace("agent: ap-invoice-triage", f"agent: {AGENT}")
    charter.write_text(text, encoding="utf-8")
    return charter


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(home: Path, charter: Path, log: Path) -> Iterator[tuple[int, int]]:
    """Run the product and yield its port and process id."""
    port = free_port()
    command = [sys.executable, "-m", "pilothouse", "up", "--home", str(home), "--charter", str(charter)]
    command += ["--port", str(port), "--grpc-port", "0"]
    environment = os.environ | {"PILOTHOUSE_INGEST_ITEMS_PER_S": "0", "PILOTHOUSE_INGEST_BYTES_PER_DAY": "0"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        wait(port, process, log)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(60)


def wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_WAIT_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on {port}:\n{log.read_text(encoding='utf-8')}")


def fill(port: int, wanted: int) -> int:
    """Send requests of 512 spans until enough are acknowledged; busy answers are sent again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    sent = 0
    while sent < wanted:
        body = build_request()
        while True:
            connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                break
            time.sleep(0.5)
        sent += SPANS
    return sent


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, int, bytes]:
    begin = time.perf_counter()
    connection.request("GET", path, headers={"accept-encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - begin) * 1000
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}")
    text = gzip.decompress(body) if answer.headers.get("content-encoding") == "gzip" else body
    return took, len(body), text


def measure(port: int, pid: int, path: str, loads: int) -> tuple[float, float, float, int, bytes]:
    """Return median and p95 milliseconds, CPU milliseconds a request, bytes, and the page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    ask(connection, path)
    before, times, size, text = cpu_s(pid), [], 0, b""
    for _ in range(loads):
        took, size, text = ask(connection, path)
        times.append(took)
    cpu = (cpu_s(pid) - before) * 1000 / loads
    connection.close()
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], cpu, size, text


def first_task(port: int, path: str) -> str:
    """Wait until a task of the spans is listed, and return the address of its page."""
    end = time.monotonic() + FOLD_WAIT_S
    while time.monotonic() < end:
        text = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=120), path)[2]
        found = re.search(rb'href="(/agents/[^"/]+/tasks/[0-9a-f]{32})"', text)
        if found is not None:
            return found[1].decode()
        time.sleep(1.0)
    raise SystemExit("no task is listed")


@dataclass
class Seen:
    """What the browser saw of one page: first paints in an open window and in a new one, ms; bytes and requests."""

    warm: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    wire: int = 0
    requests: int = 0


def paint(address: str, paths: dict[str, str], rounds: int) -> dict[str, Seen]:
    """Return what a browser sees of each page, in rounds over all pages so that a busy second hits all alike.

    A warm load is a click in a window that shows another page of ours, with nothing in the browser's cache: the
    style and the scripts are fetched again. A new load opens a window with a profile of its own, so that the start
    of its process is in the figure; that is the browser's and the machine's, but it is what a first visit is.
    """
    from playwright.sync_api import sync_playwright

    seen = {name: Seen() for name in paths}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        for _ in range(rounds):
            for name, path in paths.items():
                load(page, address + path, seen[name], seen[name].warm)
        for _ in range(NEW_ROUNDS):
            for name, path in paths.items():
                context = chromium.new_context(viewport={"width": 1280, "height": 900})
                load(context.new_page(), address + path, seen[name], seen[name].new)
                context.close()
        chromium.close()
    return seen


def load(page: Page, url: str, to: Seen, paints: list[float]) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    asked: set[str] = set()
    sizes: dict[str, float] = {}
    session.on(
        "Network.requestWillBeSent",
        lambda event: asked.add(event["requestId"]) if event["documentURL"] == url else None,
    )
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto(url, wait_until="load")
    found = page.evaluate(FIRST_PAINT)
    while (
        found is None
    ):  # not by `wait_for_function`: it evaluates text, which the content policy of a page forbids
        page.wait_for_timeout(10)
        found = page.evaluate(FIRST_PAINT)
    paints.append(found)
    page.wait_for_timeout(ICON_MS)
    session.detach()
    to.wire = max(to.wire, int(sum(size for ident, size in sizes.items() if ident in asked)))
    to.requests = max(to.requests, len(asked))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--loads", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9, help="loads of each page in the open window")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder to fill, or one that an earlier run filled")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="pages-"))
    is_filled = (folder / "agent").exists()
    try:
        charter = folder / "agent" / CHARTER.name if is_filled else repository(folder / "agent")
        with server(folder / "home", charter, folder / "server.log") as (port, pid):
            sent = 0 if is_filled else fill(port, options.spans)
            print(f"{sent:,} spans taken in; waiting until they are folded and the pages are made ahead")
            time.sleep(20.0 + sent / 20_000)
            return report(port, pid, options)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def report(port: int, pid: int, options: argparse.Namespace) -> int:
    """Measure everything, print the table, and return 1 when a budget is missed."""
    limit = measure(port, pid, "/healthz", options.loads)
    paths = PAGES | {"trace": first_task(port, PAGES["tasks"])}
    has_browser = CHROMIUM.exists() and not options.no_browser
    asked = {"limit": "/healthz", **paths}
    painted = paint(f"http://127.0.0.1:{port}", asked, options.rounds) if has_browser else {}
    bare = painted.pop("limit", Seen())
    print(
        f"limit: /healthz {limit[0]:.1f} ms, {limit[2]:.1f} ms CPU; its line is painted {spread(bare.warm)} ms"
    )
    print(
        "\n| page | median ms | p95 ms | CPU ms | of the limit | bytes, gzip | first paint ms, of the limit | in a new window | wire bytes | requests |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    over = []
    for name, path in paths.items():
        median, p95, cpu, size, _ = measure(port, pid, path, options.loads)
        seen = painted.get(name, Seen())
        shown = statistics.median(seen.warm or [0.0])
        print(
            f"| {name} | {median:.1f} | {p95:.1f} | {cpu:.1f} | {median / max(limit[0], 0.01):.1f} | {size:,} | "
            f"{spread(seen.warm)}, {shown / statistics.median(bare.warm or [1.0]):.1f} | "
            f"{statistics.median(seen.new or [0.0]):.0f} | {seen.wire:,} | {seen.requests} |"
        )
        is_over = median > BUDGET_MS or shown > PAINT_MS or seen.wire > WIRE_BYTES or seen.requests > REQUESTS
        over += [name] if is_over else []
    print(f"\nover budget: {', '.join(over) or 'none'}")
    return 1 if over else 0


def spread(paints: list[float]) -> str:
    """Write the median and, in brackets, the quickest and the slowest."""
    return f"{statistics.median(paints):.0f} ({min(paints):.0f}-{max(paints):.0f})" if paints else "0"


if __name__ == "__main__":
    raise SystemExit(main())
