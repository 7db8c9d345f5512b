# SPDX-License-Identifier: Apache-2.0
"""A boundary on a real ledger."""

from __future__ import annotations

import pytest
from fresh_ledger import ledger_url
from permissions_stub import Boundary

from pilothouse.ledger.ledger import open_ledger


@pytest.fixture
def database(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        yield ledger.database


@pytest.fixture
def boundary(tmp_path, database):
    return Boundary(tmp_path, database=database)
