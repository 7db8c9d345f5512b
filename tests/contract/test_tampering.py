# SPDX-License-Identifier: Apache-2.0
"""Whoever owns the ledger, and its keys, cannot falsify the log unseen: `audit verify` holds it against an outside checkpoint."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "audit"))
from run import make_log, problems, proofs_hold, trials
from tampering import KINDS


@pytest.mark.slow
def test_every_kind_of_tampering_is_seen_and_an_erasure_leaves_every_proof(tmp_path):
    tried, seen, (holds, proofs) = trials(len(KINDS), seed=1, folder=tmp_path)
    assert seen == tried
    assert len(tried) >= 10
    assert (holds, proofs) == (True, 41)


def test_what_is_seen_is_the_tampering_and_not_the_log(tmp_path):
    anchor = make_log(tmp_path)
    assert problems(tmp_path, anchor) == ()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE audit_records SET agent = 'elsewhere' WHERE position = 3")
    assert problems(tmp_path, anchor) == (
        "record 3 is filed under another agent, kind or moment than it names",
    )
    assert proofs_hold(tmp_path)[0]
