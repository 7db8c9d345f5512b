# SPDX-License-Identifier: Apache-2.0
"""Bodies recorded from the real SDKs make the task rows that were looked at and accepted."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from pilothouse.app import SystemClock
from pilothouse.lake.node import open_node
from pilothouse.ports.intake import IntakeAnswer, Signal
from pilothouse.ports.lake import TaskFilter

FOLDER = Path(__file__).parent / "otlp"
NAMES = ("openinference-openai", "opentelemetry-grpc", "opentelemetry-http")
BYTES_MAX = 16 << 10


def task_of(folder: Path, body: bytes) -> dict[str, object]:
    node = open_node(folder / "lake", SystemClock(), wal_file_bytes=1 << 20)
    try:
        receipt = node.accept(
            Signal.TRACES,
            content_type="application/x-protobuf",
            content_encoding="",
            body=body,
            source="golden",
        )
        assert receipt.answer is IntakeAnswer.ACCEPTED
        node.settle()
        (task,) = node.tasks(TaskFilter()).tasks
    finally:
        node.stop()
    return json.loads(json.dumps(asdict(task), default=str))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_body_makes_its_task(tmp_path, name):
    packed = (FOLDER / f"{name}.pb.gz").read_bytes()
    assert len(packed) < BYTES_MAX
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    assert task_of(tmp_path, gzip.decompress(packed)) == expected
