# SPDX-License-Identifier: Apache-2.0
"""What a file was is on record beside its table: through merges, rewritings, copies, kills in a line and what deletes files."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from task_rows import DAY, rows, stored

from pilothouse.errors import StorageUnavailable
from pilothouse.lake.backup import copy_lake
from pilothouse.lake.checksums import CHECKSUMS_FILE
from pilothouse.lake.columns import SPANS, TASKS
from pilothouse.lake.repair import scrub_files
from pilothouse.lake.segments import SegmentTable


@pytest.fixture
def table(tmp_path):
    SegmentTable(tmp_path / "spans", SPANS).create()
    made = SegmentTable(tmp_path / "tasks", TASKS)
    made.create()
    return made


def filled(table, files=3):
    for number in range(files):
        table.append(rows([number]), {"test": number})
    return [Path(file.path) for file in table.files()]


def tilt(path):
    """Change one letter that Parquet reads as well as any other."""
    raw = path.read_bytes()
    assert raw.count(b"triage") > 0
    path.write_bytes(raw.replace(b"triage", b"triagf"))
    assert pq.read_table(path).num_rows


def found(tmp_path):
    looked = scrub_files(tmp_path, is_whole=True)
    return [Path(one.path) for one in looked.damaged], looked.unrecorded


def test_a_changed_letter_is_found_and_reaches_no_merged_file(table, tmp_path):
    paths = filled(table)
    assert found(tmp_path) == ([], 0)
    tilt(paths[1])
    assert found(tmp_path) == ([paths[1]], 0)
    assert scrub_files(tmp_path, is_whole=False).damaged == ()
    with pytest.raises(StorageUnavailable, match="is not what was written"):
        table.merge(files_min=2)
    table.drop_files({str(paths[1])})
    assert table.merge(files_min=2) == 2
    assert found(tmp_path) == ([], 0)
    tilt(Path(table.files()[0].path))
    assert len(found(tmp_path)[0]) == 1


def test_what_a_deletion_wrote_again_is_sealed_and_what_it_read_was_looked_at(table, tmp_path):
    _, second, _ = filled(table)
    table.append(rows([9], day=DAY + 1), {"test": 9})
    said = {"input_preview": "''"}
    assert table.empty(said, DAY + 2, f"trace_id = '{0:032x}'") == 1
    assert found(tmp_path) == ([], 0)
    tilt(second)
    assert table.empty(said, DAY + 2, f"trace_id IN ('{1:032x}', '{9:032x}')") == 2
    (damaged,), unrecorded = found(tmp_path)
    assert (damaged.parent.name, damaged != second, unrecorded) == (second.parent.name, True, 0)


def test_lines_of_files_that_are_gone_go_and_no_other(table, tmp_path):
    filled(table)
    assert table.merge(files_min=2) == 3
    assert table.vacuum(hours=0) == 3
    (file,) = table.files()
    kept = (tmp_path / "tasks" / CHECKSUMS_FILE).read_text().split()
    assert kept[0::2] == ["/".join(Path(file.path).parts[-2:])]
    table.vacuum(hours=0)
    assert found(tmp_path) == ([], 0)
    assert not list((tmp_path / "tasks").glob("*.new"))
    assert stored(tmp_path / "tasks").num_rows == 3


def test_a_line_that_a_kill_cut_leaves_one_file_unknown_and_no_other(table, tmp_path):
    filled(table)
    checksums = tmp_path / "tasks" / CHECKSUMS_FILE
    checksums.write_bytes(checksums.read_bytes()[:-20] + b"\x00\x00")
    again = SegmentTable(tmp_path / "tasks", TASKS)
    again.refresh()
    again.append(rows([7]), {"test": 7})
    assert found(tmp_path) == ([], 1)
    checksums.unlink()
    assert found(tmp_path) == ([], 4)


def test_a_copy_has_them_too(table, tmp_path):
    paths = filled(table)
    copy_lake(tmp_path, tmp_path / "copy")
    assert found(tmp_path / "copy") == ([], 0)
    tilt(tmp_path / "copy" / paths[0].relative_to(tmp_path))
    assert len(found(tmp_path / "copy")[0]) == 1


def test_a_full_disk_at_the_line_leaves_the_rows_where_they_are(table, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(table.checksums, "note", full)
        with pytest.raises(StorageUnavailable):
            table.append(rows([1]), {"test": 1})
    assert (table.holds_last(), table.files()) == (False, ())
    filled(table, 1)
    assert found(tmp_path) == ([], 0)
