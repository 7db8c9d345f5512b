# SPDX-License-Identifier: Apache-2.0
"""A server that settled down ends without a word of the libraries that it used."""

from __future__ import annotations

import subprocess
import sys

SERVED = """
import duckdb
from pilothouse.app.interpreter import tune_interpreter

database = duckdb.connect()
database.execute("SELECT 1").fetchall()
tune_interpreter()
database.close()
"""


def test_what_was_frozen_is_freed_at_the_end():
    done = subprocess.run(
        [sys.executable, "-c", SERVED], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""
