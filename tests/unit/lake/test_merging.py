# SPDX-License-Identifier: Apache-2.0
"""Small files become one, in bounded steps, and every row of them is there exactly once."""

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from task_rows import DAY, DAY_NS, rows, stored

from pilothouse.errors import StorageUnavailable
from pilothouse.lake import merging, parquet_files
from pilothouse.lake.columns import TASKS
from pilothouse.lake.data_files import DataFile
from pilothouse.lake.segments import SegmentTable


@pytest.fixture
def table(tmp_path):
    made = SegmentTable(tmp_path / "tasks", TASKS)
    made.create()
    return made


def test_every_row_is_there_once_and_says_the_same(table):
    for number in range(20):
        table.append(rows(range(3 * number, 3 * number + 3)), {"test": number})
    before = stored(table._folder)
    assert table.merge() == 20
    assert stored(table._folder).equals(before)
    (file,) = table.files()
    assert (file.rows, file.day, file.revision_max) == (60, DAY, 0)
    assert (file.start_min, file.start_max) == (DAY * DAY_NS, DAY * DAY_NS + 59)
    assert file.size == Path(file.path).stat().st_size
    assert table.committed("test") == 19
    assert table.merge() == 0


def test_the_files_known_after_each_commit_are_those_of_the_log(table, tmp_path):
    for number in range(17):
        table.append(pa.concat_tables([rows([number]), rows([100 + number], day=DAY + 1)]), {"test": number})
    assert table.merge() == table.merge() == 17
    other = SegmentTable(tmp_path / "tasks", TASKS)
    other.refresh()
    assert set(table.files()) == set(other.files())
    assert len(other.files()) == 2


def test_a_commit_of_somebody_else_is_seen_with_the_next_of_ours(table, tmp_path):
    other = SegmentTable(tmp_path / "tasks", TASKS)
    table.append(rows([1]), {"test": 1})
    other.refresh()
    other.append(rows([2]), {"other": 1})
    table.append(rows([3]), {"test": 2})
    assert sum(file.rows for file in table.files()) == 3


def test_rows_that_a_deletion_wrote_again_are_merged_too(table):
    for number in range(16):
        table.append(rows([number]), {"test": number})
    assert table.empty({"input_preview": "''"}, DAY + 1, f"trace_id = '{3:032x}'") == 1
    before = stored(table._folder)
    assert table.merge() == 16
    assert stored(table._folder).equals(before)
    assert before.column("input_preview").to_pylist().count("") == 1


def test_a_file_that_cannot_be_read_leaves_the_table_as_it_was(table):
    for number in range(16):
        table.append(rows([number]), {"test": number})
    files = table.files()
    damaged = Path(files[7].path)
    os.truncate(damaged, 100)
    with pytest.raises(StorageUnavailable, match="tasks"):
        table.merge()
    assert table.files() == files
    assert {str(path) for path in damaged.parent.iterdir()} == {file.path for file in files}


def test_a_merge_that_ends_before_its_commit_changes_nothing_and_is_made_again(table, tmp_path, monkeypatch):
    for number in range(16):
        table.append(rows([number]), {"test": number})
    before, files = stored(table._folder), set(table.files())
    with monkeypatch.context() as killed:
        killed.setattr(table, "_commit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            table.merge()
    again = SegmentTable(tmp_path / "tasks", TASKS)
    again.refresh()
    assert set(again.files()) == files
    assert stored(again._folder).equals(before)
    assert again.merge() == 16
    assert stored(again._folder).equals(before)


def test_row_groups_are_bounded_in_rows_and_in_bytes(table, monkeypatch):
    monkeypatch.setattr(parquet_files, "GROUP_BYTES", 60_000)
    for number in range(16):
        table.append(rows(range(number, number + 2), said="x" * 10_000), {"test": number})
    assert table.merge() == 16
    read = pq.ParquetFile(table.files()[0].path).metadata
    groups = [read.row_group(number).num_rows for number in range(read.num_row_groups)]
    assert sum(groups) == 32
    assert set(groups) == {4}
    monkeypatch.setattr(parquet_files, "GROUP_ROWS", 10)
    monkeypatch.setattr(merging, "BATCH_ROWS", 4)
    assert [len(group) for group in parquet_files._grouped(rows(range(24)).to_batches(4))] == [2, 2, 2]


def file(number, rows, *, day=DAY, size=1_000):
    return DataFile(path=f"{number:03}", rows=rows, size=size, day=day, start_min=0, start_max=0)


def test_files_are_merged_with_those_of_about_their_size():
    small = [file(number, 900) for number in range(15)]
    middle = [file(100 + number, 20_000) for number in range(15)]
    assert merging.plan_merge([*small, *middle]) == ()
    assert merging.plan_merge([*middle, *small, file(15, 300)]) == (*small, file(15, 300))
    assert merging.plan_merge([file(number, merging.LARGE_ROWS) for number in range(40)]) == ()
    assert merging.plan_merge([file(number, 9, size=merging.LARGE_BYTES) for number in range(40)]) == ()


def test_one_merge_is_bounded_and_the_next_goes_on():
    full = [file(number, 16_384) for number in range(40)]
    assert len(merging.plan_merge(full)) == merging.MERGED_ROWS_MAX // 16_384
    heavy = [replace(one, size=16 << 20) for one in full]
    assert len(merging.plan_merge(heavy)) == merging.MERGED_BYTES_MAX // (16 << 20)
    huge = [file(number, 190_000, size=31 << 20) for number in range(16)]
    assert len(merging.plan_merge(huge)) == merging.OVER_FILES_MIN


def test_on_a_day_that_is_over_all_small_files_are_merged():
    mixed = [file(0, 5), file(1, 20_000), file(2, 7, day=DAY + 1), file(3, 9, day=DAY + 1)]
    assert merging.plan_merge(mixed) == ()
    assert merging.plan_merge(mixed, over_before=DAY + 1) == (file(0, 5), file(1, 20_000))
    assert merging.plan_merge(mixed[1:], over_before=DAY + 1) == ()


def test_what_a_row_group_leaves_in_memory_until_its_file_is_written_is_small(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "GROUP_BYTES", 1)
    (batch,) = rows(range(10)).drop_columns(["day"]).to_batches()
    held = []

    def batches():
        for _ in range(102):
            held.append(pa.total_allocated_bytes())
            yield batch

    parquet_files.write_merged(batches(), batch.schema, tmp_path / "merged.parquet")
    assert held[101] - held[1] < 100 * (40 << 10)
