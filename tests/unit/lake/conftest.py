# SPDX-License-Identifier: Apache-2.0
"""A lake that is opened again and again, as after a restart, at a moment that stands still."""

from datetime import UTC, datetime, timedelta

import pytest
from otlp_bodies import START_NS

from pilothouse.lake.node import open_node


class StillClock:
    def now(self):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=START_NS // 1_000 + 10**6)


@pytest.fixture
def opened(tmp_path):
    nodes = []

    def open_again():
        nodes.append(open_node(tmp_path / "lake", StillClock(), wal_file_bytes=1 << 16))
        return nodes[-1]

    yield open_again
    for node in nodes:
        if node._is_open:
            node.stop()
