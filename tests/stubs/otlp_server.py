# SPDX-License-Identifier: Apache-2.0
"""The telemetry road as its own process for tests, which says its address.

When it is merging, it looks at once whether files are worth merging, and two are.
"""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path

from forked_process import ForkedProcess

from pilothouse.app import SystemClock
from pilothouse.interfaces.http.otlp import otlp_app
from pilothouse.interfaces.http.server import bind, compose, serve
from pilothouse.lake import merging
from pilothouse.lake.node import open_node
from pilothouse.lake.writer import MERGE_LOOK_S


@dataclass
class Server:
    process: ForkedProcess
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
    process = ForkedProcess(
        serve_telemetry, folder, grace_s, is_merging, argv=["otlp_server"], stdout=subprocess.PIPE
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


def serve_telemetry(folder: Path, grace_s: float, is_merging: bool) -> None:
    """Take telemetry in until a signal ends it; a warning is an error, but for those that our modules have silenced."""
    warnings.filters[:] = [one for one in warnings.filters if one[1] is not None]
    warnings.simplefilter("error", append=True)
    if is_merging:
        merging.FILES_MIN = 2
    node = open_node(
        folder,
        SystemClock(),
        grace_s=grace_s,
        wal_file_bytes=1 << 20,
        merge_look_s=0.0 if is_merging else MERGE_LOOK_S,
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
