# SPDX-License-Identifier: Apache-2.0
"""The systems that are compared: how each is started, where it listens, and how its stored spans are counted."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

START_S = 600.0
"""On a machine that others use too a start can take minutes."""

WITHOUT = Path(__file__).parent / "without"
"""Stands for an installation: `pip install pilothouse` brings no pandas, and the environment of our tests does."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(port: int, path: str, process: subprocess.Popen) -> None:
    """Return once the server answers; one that does not is stopped before the fault is told."""
    try:
        _wait_until_up(port, path, process)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _wait_until_up(port: int, path: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("the server did not come up")


def count_sqlite(path: Path, sql: str) -> int:
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        return int(connection.execute(sql).fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


@dataclass
class Running:
    """A started server."""

    process: subprocess.Popen
    port: int
    folder: Path


class Pilothouse:
    """Ours: `pilothouse up` on an empty folder."""

    name = "pilothouse"
    path = "/v1/traces"
    headers: ClassVar = {"Content-Type": "application/x-protobuf"}

    def start(self, folder: Path) -> Running:
        port = free_port()
        command = [sys.executable, "-m", "pilothouse", "up", "--port", str(port), "--home", str(folder)]
        environment = {
            **os.environ,
            "PILOTHOUSE_INGEST_ITEMS_PER_S": "0",  # no peer has quotas
            "PYTHONPATH": str(WITHOUT),
        }
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        wait_until_up(port, "/healthz", process)
        return Running(process, port, folder)

    def count(self, running: Running) -> int:
        from deltalake import DeltaTable

        try:
            table = DeltaTable(str(running.folder / "lake" / "spans"))
        except Exception:
            return 0
        actions = table.get_add_actions(flatten=True)
        return sum(count or 0 for count in actions["num_records"].to_pylist()) if actions.num_rows else 0

    def compaction_cpu_s(self, folder: Path) -> float:
        """Merge the files of a stopped server as it would after some minutes, and return what that took."""
        from pilothouse.lake.columns import SPANS, TASKS
        from pilothouse.lake.segments import SegmentTable

        began = time.process_time()
        for name, schema in (("spans", SPANS), ("tasks", TASKS)):
            table = SegmentTable(folder / "lake" / name, schema)
            table.refresh()
            while table.merge(files_min=2):
                pass
        return time.process_time() - began

    def bytes_now(self, folder: Path) -> int:
        """Bytes of the files that the newest version of the tables consists of."""
        from pilothouse.lake.columns import SPANS, TASKS
        from pilothouse.lake.segments import SegmentTable

        found = 0
        for name, schema in (("spans", SPANS), ("tasks", TASKS)):
            table = SegmentTable(folder / "lake" / name, schema)
            table.refresh()
            found += sum(Path(file.path).stat().st_size for file in table.files())
        return found


class Peer:
    """What no peer does."""

    def compaction_cpu_s(self, _folder: Path) -> float:
        return 0.0

    def bytes_now(self, folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Phoenix(Peer):
    """arize-phoenix, default SQLite."""

    name = "phoenix"
    package = "arize-phoenix==20.26.1"
    path = "/v1/traces"
    headers: ClassVar = {"Content-Type": "application/x-protobuf"}

    def __init__(self, python: Path) -> None:
        self.python = python

    def start(self, folder: Path) -> Running:
        port = free_port()
        environment = {
            **os.environ,
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(self.python.parent / "phoenix"), "serve"],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        wait_until_up(port, "/healthz", process)
        return Running(process, port, folder)

    def count(self, running: Running) -> int:
        return count_sqlite(running.folder / "phoenix.db", "SELECT count(*) FROM spans")


class MLflow(Peer):
    """mlflow, SQLite, four workers as by default."""

    name = "mlflow"
    package = "mlflow==3.17.2"
    path = "/v1/traces"
    headers: ClassVar = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}

    def __init__(self, python: Path) -> None:
        self.python = python

    def start(self, folder: Path) -> Running:
        port = free_port()
        environment = {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
        }
        command = [
            str(self.python.parent / "mlflow"), "server",
            "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination", str(folder / "artifacts"),
            "--host", "127.0.0.1", "--port", str(port),
        ]  # fmt: skip
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        wait_until_up(port, "/health", process)
        return Running(process, port, folder)

    def count(self, running: Running) -> int:
        return count_sqlite(running.folder / "mlflow.db", "SELECT count(*) FROM spans")
