# SPDX-License-Identifier: Apache-2.0
"""The telemetry road as its own process for tests: `python otlp_server.py FOLDER GRACE_S [merging]`; prints its address.

With `merging` it looks at once whether files are worth merging, and two are.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from pilothouse.app import SystemClock
from pilothouse.interfaces.http.otlp import otlp_app
from pilothouse.interfaces.http.server import bind, compose, serve
from pilothouse.lake import merging
from pilothouse.lake.node import open_node
from pilothouse.lake.writer import MERGE_LOOK_S


@dataclass
class Server:
    process: subprocess.Popen
    address: str

    def post(
        self, path: str, body: bytes, content_type: str, encoding: str = "", timeout: float = 30
    ) -> Answer:
        headers = {"Content-Type": content_type}
        if encoding:
            headers["Content-Encoding"] = encoding
        asked = urllib.request.Request(self.address + path, body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=timeout) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self) -> int:
        self.process.terminate()
        status = self.process.wait(30)
        self.process.stdout.close()
        return status


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


def start_server(folder: Path, *, grace_s: float = 10.0, is_merging: bool = False) -> Server:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", __file__, str(folder), str(grace_s), *["merging"] * is_merging],
        stdout=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().strip()
    if not address:
        raise RuntimeError(f"the server ended with {process.wait()}")
    return Server(process, address)


def wait_for(claim, *, seconds: float = 15.0):
    """Ask until the answer is true; fail with the last answer."""
    end = time.monotonic() + seconds
    while True:
        answer = claim()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"still {answer!r} after {seconds} s")
        time.sleep(0.05)


def main(folder: str, grace_s: str, merging_at_once: str = "") -> None:
    if merging_at_once:
        merging.FILES_MIN = 2
    node = open_node(
        Path(folder),
        SystemClock(),
        grace_s=float(grace_s),
        wal_file_bytes=1 << 20,
        merge_look_s=0.0 if merging_at_once else MERGE_LOOK_S,
    )
    listener = bind("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def ready() -> None:
        node.announce(address)
        print(address, flush=True)

    async def no_pages(scope, receive, send) -> None:
        raise RuntimeError(scope["path"])

    serve(compose(otlp=otlp_app(node), pages=no_pages, metrics=str, health=dict), listener, ready)
    node.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
