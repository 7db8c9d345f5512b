# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full: senders are told to come again, nothing acknowledged is lost, and it goes on by itself."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from otlp_bodies import PROTOBUF, request, run_spans

from pilothouse.app import SystemClock
from pilothouse.lake import disk_room
from pilothouse.lake.node import open_node
from pilothouse.ports.intake import IntakeAnswer, Signal

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


def test_a_full_disk_refuses_loses_nothing_and_goes_on_alone(small_disk, monkeypatch):
    monkeypatch.setattr(disk_room, "disk_floor_bytes", lambda _total: 0)
    epoch_ns = time.time_ns()
    node = open_node(small_disk / "lake", SystemClock(), wal_file_bytes=1 << 18)
    acknowledged = [trace for trace in range(1, 40) if send(node, trace, epoch_ns) is IntakeAnswer.ACCEPTED]
    assert len(acknowledged) == 39
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(bytes(free - (64 << 10)))
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
