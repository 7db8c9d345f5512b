# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full: senders are told to come again, nothing acknowledged is lost, and it goes on by itself."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime

import pytest
from otlp_bodies import PROTOBUF, request, run_spans

from pilothouse.app import SystemClock, back_up_installation
from pilothouse.errors import StorageFull, StorageUnavailable
from pilothouse.lake import free_space
from pilothouse.lake.node import open_node
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.intake import IntakeAnswer, Signal
from pilothouse.settings import load_settings
from pilothouse.workflows.server.backup import check_backup

pytestmark = pytest.mark.slow

DISK_BYTES = 24 << 20


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def send(node, trace, epoch_ns):
    body = request(run_spans(trace, start=epoch_ns + trace)).SerializeToString()
    return node.accept(
        Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests"
    ).answer


def fill(place, *, left_bytes):
    """Fill a disk but for some bytes; return the file, which gives the room back when it is deleted."""
    filler = place / "filler"
    filler.write_bytes(bytes(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - left_bytes))
    return filler


def note(ledger):
    return ledger.record(kind="t", agent="a", at=datetime.now(UTC), actor="x", document=f'"{"x" * 60_000}"')


def write_much(ledger):
    for _ in range(10):
        note(ledger)


@pytest.mark.parametrize("left_bytes", [0, 8 << 10, 80 << 10])
def test_a_ledger_on_a_full_disk_says_so_and_goes_on_when_there_is_room(small_disk, left_bytes):
    url = f"sqlite:///{small_disk}/ledger.sqlite"
    with open_ledger(url) as ledger:
        note(ledger)
    filler = fill(small_disk, left_bytes=left_bytes)
    with pytest.raises(StorageFull, match="no room left"), open_ledger(url) as ledger:
        write_much(ledger)
    filler.unlink()
    with open_ledger(url) as ledger:
        before = [one.sequence for one in ledger.decisions("a")]
        assert note(ledger) == before[0] + 1


def test_a_backup_for_which_there_is_no_room_leaves_its_folder_to_the_next_try(small_disk, tmp_path):
    settings = load_settings({}, home=tmp_path / "home")
    with open_ledger(settings.ledger_url) as ledger:
        write_much(ledger)
    filler = fill(small_disk, left_bytes=200 << 10)
    with pytest.raises(StorageUnavailable, match="could not be copied"):
        back_up_installation(settings, small_disk / "copy")
    assert list((small_disk / "copy").iterdir()) == []
    filler.unlink()
    assert back_up_installation(settings, small_disk / "copy") == check_backup(small_disk / "copy")


def test_a_full_disk_refuses_loses_nothing_and_goes_on_alone(small_disk, monkeypatch):
    monkeypatch.setattr(free_space, "disk_floor_bytes", lambda _total: 0)
    epoch_ns = time.time_ns()
    node = open_node(small_disk / "lake", SystemClock(), wal_file_bytes=1 << 18)
    acknowledged = [trace for trace in range(1, 40) if send(node, trace, epoch_ns) is IntakeAnswer.ACCEPTED]
    assert len(acknowledged) == 39
    filler = fill(small_disk, left_bytes=64 << 10)
    answers = set()
    for trace in range(40, 400):
        answer = send(node, trace, epoch_ns)
        answers.add(answer)
        if answer is IntakeAnswer.ACCEPTED:
            acknowledged.append(trace)
    assert IntakeAnswer.BUSY in answers
    assert answers <= {IntakeAnswer.ACCEPTED, IntakeAnswer.BUSY}
    filler.unlink()
    end = time.monotonic() + 60
    while send(node, 1_000, epoch_ns) is not IntakeAnswer.ACCEPTED:
        assert time.monotonic() < end, "it does not go on"
        time.sleep(0.1)
    node.settle()
    assert node.health().gap == 0
    node.stop()
    again = open_node(small_disk / "lake", SystemClock(), wal_file_bytes=1 << 18)
    lost = [trace for trace in [*acknowledged, 1_000] if again.trace(f"{trace:032x}") is None]
    again.stop()
    assert not lost
