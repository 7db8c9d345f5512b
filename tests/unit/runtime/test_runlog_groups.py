# SPDX-License-Identifier: Apache-2.0
"""Events wait a moment to be written together, and not when a whole group of them waits already."""

from __future__ import annotations

import threading
import time

from pilothouse.core.evidence.run_log import RunOpened
from pilothouse.runtime.runlog.group import GROUP_EVENTS_MAX
from pilothouse.runtime.runlog.writer import Writer


class SlowFile:
    """A file whose first group is not written before a test says so."""

    def __init__(self):
        self.restarts = 0
        self.sizes = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, group, lost):
        self.begun.set()
        assert self.go_on.wait(20)
        self.sizes.append(len(group))

    def close(self):
        pass


def test_what_waits_behind_a_slow_disk_is_written_group_after_group_without_waiting_for_more(tmp_path):
    file = SlowFile()
    writer = Writer(
        tmp_path, file, wall_ns=time.time_ns, mono_ns=time.monotonic_ns, disk_free=lambda _: 1 << 40
    )
    waited = []
    wait = writer._hurry.wait
    writer._hurry.wait = lambda timeout: waited.append(len(file.sizes)) or wait(timeout)
    writer.append("a" * 32, RunOpened(agent="triage"))
    assert file.begun.wait(20)
    for _ in range(3 * GROUP_EVENTS_MAX):
        writer.append("a" * 32, RunOpened(agent="triage"))
    file.go_on.set()
    writer.flush()
    writer.close()
    assert file.sizes == [1, *[GROUP_EVENTS_MAX] * 3]
    assert 1 not in waited, "two more groups were waiting when the second began"
    assert 2 not in waited
