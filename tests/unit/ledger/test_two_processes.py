# SPDX-License-Identifier: Apache-2.0
"""Two processes share one ledger file, and one that is killed takes nothing with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from pilothouse.ledger.ledger import open_ledger

pytestmark = pytest.mark.slow

WRITER = """
import sys
from datetime import UTC, datetime
from pilothouse.ledger.ledger import open_ledger
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_ledger(url) as ledger:
    for number in range(count):
        sequence = ledger.record(
            kind="test", agent="a", at=datetime.now(UTC), actor=name, document=str(number))
        print(sequence, flush=True)
"""

HALF = """
import sys
from sqlalchemy import insert
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.schema import decisions
with open_ledger(sys.argv[1]) as ledger, ledger.database.write() as connection:
    for number in range(500):
        connection.execute(insert(decisions).values(
            kind="half", agent="a", at_us=0, actor="half", document="x" * 1000))
    print("half", flush=True)
    sys.stdin.read()
"""


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def test_two_processes_that_write_at_once_lose_nothing(url):
    writers = [start(WRITER, url, name, "100") for name in ("one", "two")]
    sequences = []
    for writer in writers:
        out, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
        sequences += [int(line) for line in out.split()]
    assert sorted(sequences) == list(range(1, 201))
    with open_ledger(url) as ledger:
        found = {(one.actor, one.document) for one in ledger.decisions("a", limit=1_000)}
    assert found == {(name, str(number)) for name in ("one", "two") for number in range(100)}


def test_a_killed_writer_keeps_what_it_returned(url):
    writer = start(WRITER, url, "one", "1000000")
    returned = [int(writer.stdout.readline()) for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    returned += [int(line) for line in writer.communicate(timeout=60)[0].split() if line.strip()]
    with open_ledger(url) as ledger:
        stored = {one.sequence for one in ledger.decisions("a", limit=1_000)}
        assert set(returned[-900:]) <= stored
        assert ledger.record(kind="test", agent="a", at=datetime.now(UTC), actor="two", document="{}")


def test_a_transaction_that_was_killed_in_the_middle_never_happened(url):
    half = start(HALF, url)
    assert half.stdout.readline() == "half\n"
    half.send_signal(signal.SIGKILL)
    half.communicate(timeout=60)
    with open_ledger(url) as ledger:
        assert tuple(ledger.decisions("a")) == ()
        assert ledger.record(kind="test", agent="a", at=datetime.now(UTC), actor="two", document="{}") == 1
