# SPDX-License-Identifier: Apache-2.0
"""What open pages that renew themselves cost a running server: CPU of `pilothouse up` with and without open tabs."""

from __future__ import annotations

import argparse
import http.client
import shutil
import tempfile
import time
from pathlib import Path

from run import CHARTER, cpu_s, repository, server

SETTLE_S = 10.0
"""After the start, before anything is measured."""


def open_stream(port: int, path: str) -> http.client.HTTPConnection:
    """Open a page's stream of events as a browser does, and read its first one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"accept": "text/event-stream"})
    answer = connection.getresponse()
    if answer.status != 200 or not answer.readline().startswith(b"retry"):
        raise SystemExit(f"{path} answered {answer.status}")
    return connection


def spent(pid: int, seconds: float) -> float:
    """Return CPU milliseconds a second of the server's process."""
    before = cpu_s(pid)
    time.sleep(seconds)
    return (cpu_s(pid) - before) * 1000 / seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tabs", type=int, default=30, help="open pages, at most 32")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--page", default="/incidents")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pages-live-"))
    try:
        charter = repository(folder / "agent")
        with server(folder / "home", charter, folder / "server.log") as (port, pid):
            time.sleep(SETTLE_S)
            alone = spent(pid, options.seconds)
            streams = [open_stream(port, options.page) for _ in range(options.tabs)]
            time.sleep(1.0)
            watched = spent(pid, options.seconds)
            for one in streams:
                one.close()
        each = (watched - alone) / options.tabs
        print(f"{CHARTER.stem}: {alone:.1f} ms CPU a second without an open page")
        print(f"{options.tabs} tabs of {options.page}: {watched:.1f} ms a second, {each:.2f} each")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
