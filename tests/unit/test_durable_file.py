# SPDX-License-Identifier: Apache-2.0
"""A file is the old one or the new one, whoever fails, is killed or writes at the same time."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from pilothouse.durable_file import made_once, private_folder, replace_file


def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "cases.jsonl"
    replace_file(path, b"old\n")

    def full(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new\n")
    with pytest.raises(OSError, match="No space"):
        made_once(tmp_path / "key", b"secret")
    assert path.read_bytes() == b"old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_who_writes_at_the_same_time_leaves_one_of_the_texts_whole(tmp_path):
    path = tmp_path / "charter.yaml"
    texts = [bytes([65 + number]) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: replace_file(path, text), texts))
    assert path.read_bytes() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_it_returns(tmp_path, monkeypatch):
    path, synced = tmp_path / "node_id", []
    real = os.fsync

    def fsync(handle):
        synced.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(path, b"a1")
    assert synced == [(False, False), (True, True)]


def test_a_secret_is_made_by_whoever_comes_first_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as threads:
        read = set(threads.map(lambda number: made_once(path, b"%d" % number), range(8)))
    assert read == {path.read_bytes()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_made_for_this_user_alone_and_one_that_is_there_stays_as_it_is(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        made = private_folder(shared / "home" / "lake")
        assert private_folder(made) == made
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (shared, shared / "home", made)]
    assert modes == [0o755, 0o700, 0o700]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="exist"):
        private_folder(tmp_path / "file")
