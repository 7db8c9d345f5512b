# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server really started on loopback for the tests; where none is installed they are skipped with a message."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

__all__ = ["PostgresServer", "fresh_postgres_url", "postgres_server"]

MISSING = (
    "PostgreSQL is not installed: `apt-get install postgresql` (its programs stand in /usr/lib/postgresql)"
)


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4])
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class PostgresServer:
    """One server in a folder of its own, with as many databases as tests ask for."""

    def __init__(self) -> None:
        programs = _programs()
        if programs is None:
            pytest.skip(MISSING)
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="pilothouse-postgres-"))
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self._user:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._data = self._folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-instructions")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        owner = (
            {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": ()} if self._user else {}
        )
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            **owner,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        self._run(
            "pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-o", options, "-w", "start"
        )

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        name = f"t{secrets.token_hex(6)}"
        end = time.monotonic() + 20
        while True:
            try:
                with psycopg.connect(
                    f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True
                ) as link:
                    link.execute(f'CREATE DATABASE "{name}"')
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="session")
def postgres_server():
    server = PostgresServer()
    yield server
    server.close()


def fresh_postgres_url(request: pytest.FixtureRequest) -> str:
    """Return the address of an empty database; starts the server when a test asks first."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()
