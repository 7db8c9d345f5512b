# SPDX-License-Identifier: Apache-2.0
"""Ledgers in files for tests: the tables are made once in a process, every test gets a copy."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from pilothouse.ledger.ledger import open_ledger


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pilothouse-ledger-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}"):
        pass
    return folder / "ledger.sqlite"


def ledger_url(folder: Path) -> str:
    """Return the address of a ledger in a folder; a new one has its tables already."""
    file = folder / "ledger.sqlite"
    if not file.exists():
        shutil.copyfile(_template(), file)
    return f"sqlite:///{file}"
