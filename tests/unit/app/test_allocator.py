# SPDX-License-Identifier: Apache-2.0
"""A server's Arrow takes its memory from the C library, unless somebody chose another place."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

STARTED = """
from types import SimpleNamespace
from pilothouse.app.serving import serve
from pilothouse.interfaces.cli.services import ServerRole
from pilothouse.interfaces.http import server

def bind(host, port):
    raise OSError("no further")

server.bind = bind
try:
    serve(SimpleNamespace(role=ServerRole.ALL, settings=SimpleNamespace(host="", port=0, ledger_url="sqlite://")))
except OSError:
    import pyarrow
    print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(
    ("chosen", "used"), [({}, "system"), ({"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"}, "jemalloc")]
)
def test_it_is_chosen_before_arrow_is_loaded(chosen, used):
    inherited = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**inherited, **chosen},
    )
    assert done.stdout.strip() == used
