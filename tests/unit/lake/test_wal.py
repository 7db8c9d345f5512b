# SPDX-License-Identifier: Apache-2.0
import errno
import os
import threading

import pytest

from pilothouse.errors import StorageUnavailable
from pilothouse.lake import wal as module
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.wal import Wal
from pilothouse.lake.wal_record import WalRecord, read_file, read_folder
from pilothouse.ports.intake import Signal

FILE_BYTES = 1 << 16


def record(seq, body=b"body", source="key"):
    return WalRecord(
        seq=seq,
        signal=Signal.LOGS,
        encoding=Encoding.JSON,
        is_gzip=True,
        source=source,
        received_ns=123,
        items=5,
        rejected=2,
        body=body,
    )


def opened(folder, *, next_seq=1, on_durable=lambda _record, _payload: None, **options):
    log = Wal(folder, next_seq=next_seq, on_durable=on_durable, file_bytes=FILE_BYTES, **options)
    log.start()
    return log


def filled(folder, bodies):
    log = opened(folder)
    for body in bodies:
        log.append(lambda seq, body=body: record(seq, body)).result()
    log.stop()


def no_damage(path, fault):
    raise AssertionError(f"{path} is {fault}")


def test_what_was_appended_is_read_back_in_order(tmp_path):
    filled(tmp_path, [b"one", b"", b"three"])
    found = list(read_folder(tmp_path, no_damage))
    assert found == [record(1, b"one"), record(2, b""), record(3, b"three")]


def test_a_waiter_is_released_only_after_the_sync(tmp_path):
    steps = []
    log = opened(tmp_path, sync=lambda _: steps.append("sync"), on_durable=lambda *_: steps.append("durable"))
    log.append(record).add_done_callback(lambda _: steps.append("told"))
    log.stop()
    assert steps == ["sync", "durable", "told"]


def test_waiters_that_come_during_a_sync_share_the_next_one(tmp_path):
    entered, leave, syncs = threading.Event(), threading.Event(), []

    def slow_sync(_):
        syncs.append(1)
        entered.set()
        leave.wait(5)

    log = opened(tmp_path, sync=slow_sync)
    first = log.append(record)
    entered.wait(5)
    others = [log.append(record) for _ in range(20)]
    leave.set()
    assert [waiter.result().seq for waiter in (first, *others)] == list(range(1, 22))
    log.stop()
    assert len(syncs) == 2


@pytest.mark.parametrize("cut", [1, 3, 30, 55])
def test_a_torn_tail_is_cut_and_what_was_whole_is_kept(tmp_path, cut):
    filled(tmp_path, [b"whole", b"torn" * 10])
    path = next(tmp_path.glob("*.wal"))
    read = read_file(path)
    assert (len(read.records), read.fault) == (2, None)
    good = read.good_bytes
    data = bytearray(path.read_bytes())
    data[good - cut : good] = bytes(cut)
    path.write_bytes(data)
    assert list(read_folder(tmp_path, no_damage)) == [record(1, b"whole")]
    assert path.stat().st_size < good
    assert list(read_folder(tmp_path, no_damage)) == [record(1, b"whole")]


def test_damage_before_a_valid_record_is_set_aside_and_reported(tmp_path):
    filled(tmp_path, [b"first", b"second", b"third"])
    path = next(tmp_path.glob("*.wal"))
    data = bytearray(path.read_bytes())
    data[data.index(b"second")] ^= 0xFF
    path.write_bytes(data)
    told = []
    found = list(read_folder(tmp_path, lambda kept, fault: told.append((kept, fault))))
    assert found == [record(1, b"first")]
    kept, fault = told[0]
    assert fault == "damaged"
    assert kept.read_bytes() == bytes(data)


def test_a_torn_end_of_an_older_file_is_damage(tmp_path):
    filled(tmp_path, [b"first"])
    older = next(tmp_path.glob("*.wal"))
    older.rename(tmp_path / f"{0:020d}.wal")
    older = tmp_path / f"{0:020d}.wal"
    data = bytearray(older.read_bytes())
    data[data.index(b"first")] ^= 0xFF
    older.write_bytes(data)
    log = opened(tmp_path, next_seq=2)
    log.append(record).result()
    log.stop()
    told = []
    assert [found.seq for found in read_folder(tmp_path, lambda *damage: told.append(damage))] == [2]
    assert len(told) == 1


def test_a_full_file_is_followed_by_another_and_trimmed_when_committed(tmp_path):
    log = opened(tmp_path)
    for _ in range(5):
        log.append(lambda seq: record(seq, bytes(FILE_BYTES // 2))).result()
    assert len(list(tmp_path.glob("*.wal"))) == 5
    assert log.trim(2) == 2
    assert log.trim(10) == 2
    assert len(list(tmp_path.glob("*.wal"))) == 1
    log.stop()
    assert log.trim(10) == 1


def test_a_record_larger_than_a_file_gets_its_own(tmp_path):
    filled(tmp_path, [bytes(FILE_BYTES * 3)])
    assert len(next(read_folder(tmp_path, no_damage)).body) == FILE_BYTES * 3


def test_a_file_is_closed_after_a_minute_so_that_it_can_be_trimmed(tmp_path, monkeypatch):
    log = opened(tmp_path)
    log.append(record).result()
    monkeypatch.setattr(module, "FILE_SECONDS", 0.0)
    log.append(record).result()
    assert len(list(tmp_path.glob("*.wal"))) == 2
    log.stop()


class FailingSync:
    def __init__(self, failures):
        self.failures = failures

    def __call__(self, handle):
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(handle)


def test_nobody_of_a_group_whose_sync_failed_is_told_that_it_arrived(tmp_path):
    log = opened(tmp_path, sync=FailingSync(1))
    failed = log.append(lambda seq: record(seq, b"lost"))
    assert isinstance(failed.exception(), StorageUnavailable)
    kept = log.append(lambda seq: record(seq, b"kept"))
    assert kept.result().seq == 1
    assert not log.is_failed
    log.stop()
    assert [found.body for found in read_folder(tmp_path, no_damage)] == [b"kept"]


def test_after_two_failed_syncs_in_a_row_nothing_is_promised_any_more(tmp_path):
    sync = FailingSync(2)
    log = opened(tmp_path, sync=sync)
    for _ in range(2):
        assert log.append(record).exception()
    assert log.is_failed
    assert isinstance(log.append(record).exception(), StorageUnavailable)
    log.stop()


def test_a_full_disk_refuses_and_the_log_goes_on_when_there_is_room(tmp_path, monkeypatch):
    log = opened(tmp_path)
    allocate = os.posix_fallocate

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert "No space" in str(log.append(record).exception())
    monkeypatch.setattr(os, "posix_fallocate", allocate)
    assert log.append(record).result().seq == 1
    log.stop()
