# SPDX-License-Identifier: Apache-2.0
"""A damaged file of telemetry is named, set aside on record and counted, and everything else goes on."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from otlp_bodies import PROTOBUF, request, run_spans
from typer.testing import CliRunner

from pilothouse.app import SystemClock, command_tree, examine_installation, open_installation
from pilothouse.app.people import open_curation
from pilothouse.app.repair import repair_lake
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import Conflict, StorageUnavailable
from pilothouse.lake.node import open_node
from pilothouse.lake.repair import SCHEMAS, scrub_file
from pilothouse.lake.scrubber import Scrubber
from pilothouse.lake.segments import SegmentTable
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock
from pilothouse.workflows.traces.set_aside import FilesTick, set_aside_notes

FILES = 3


def send(node, trace):
    body = request(run_spans(trace, start=time.time_ns() - 60 * 10**9)).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")


@pytest.fixture
def settings(tmp_path):
    """An installation with one file of tasks for each trace."""
    found = load_settings({}, home=tmp_path / "home")
    with open_ledger(found.ledger_url):
        pass
    for trace in range(1, FILES + 1):
        node = open_node(found.lake_folder, SystemClock(), grace_s=0.0)
        send(node, trace)
        node.settle(also_rootless=True)
        node.stop(drain=True)
    return found


def files_of(settings, table):
    return sorted((settings.lake_folder / table).glob("day=*/*.parquet"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def blank(path):
    """What a disk leaves of a file whose first block it lost: the end, which says how it is laid out, is still there."""
    raw = bytearray(path.read_bytes())
    raw[4:2000] = bytes(1996)
    path.write_bytes(raw)


def typed(settings, *words):
    return CliRunner().invoke(command_tree(), [*words, "--home", str(settings.home)])


def tasks_in(settings):
    with open_installation(settings) as opened:
        return len(opened.lake.tasks(TaskFilter(), limit=100).tasks)


def tilt(path):
    """What Parquet reads on in spite of: one bit of a number."""
    raw = bytearray(path.read_bytes())
    with pq.ParquetFile(path) as opened:
        chunk = opened.metadata.row_group(0)
        names = [chunk.column(at).path_in_schema for at in range(chunk.num_columns)]
        told = chunk.column(names.index("duration_ns"))
        end = told.data_page_offset + told.total_compressed_size
    for at in range(end - 1, told.data_page_offset, -1):
        raw[at] ^= 1
        path.write_bytes(raw)
        with suppress(Exception), pq.ParquetFile(path) as opened:
            opened.read()
            return
        raw[at] ^= 1
    raise AssertionError(path)


@pytest.mark.parametrize("damage", [cut, blank, Path.unlink, tilt], ids=["cut", "blank", "gone", "tilt"])
@pytest.mark.parametrize("table", ["tasks", "spans"])
def test_a_damaged_file_is_named_and_set_aside_and_everything_else_goes_on(settings, table, damage):
    assert tasks_in(settings) == FILES
    said = typed(settings, "repair")
    assert (said.exit_code, said.output) == (
        0,
        "Every file of telemetry can be read.\n  Each is what was written.\n",
    )
    damaged = files_of(settings, table)[1]
    damage(damaged)
    found = typed(settings, "repair", "--json")
    assert found.exit_code == 4
    (one,) = json.loads(found.output)["damaged"]
    assert (one["table"], one["path"]) == (table, str(damaged))
    assert "pilothouse repair --set-aside" in typed(settings, "repair").output
    assert typed(settings, "repair", "--set-aside").exit_code == 0
    assert tasks_in(settings) == FILES - (table == "tasks")
    assert typed(settings, "repair").exit_code == 0
    kept = list((settings.lake_folder / "quarantine" / table).iterdir()) if damage is not Path.unlink else []
    assert [path.name.endswith(damaged.name) for path in kept] == [True] * len(kept)
    node = open_node(settings.lake_folder, SystemClock(), grace_s=0.0)
    send(node, 99)
    node.settle(also_rootless=True)
    assert (node.health().gap, len(node.tasks(TaskFilter()).tasks)) == (0, FILES + (table == "spans"))
    node.stop(drain=True)


def test_what_was_set_aside_is_on_record_and_said_beside_verdicts_that_miss_it(settings):
    cut(files_of(settings, "tasks")[0])
    (one,) = repair_lake(settings, take_out=True, actor="dana").damaged
    now = SystemClock().now()
    with open_ledger(settings.ledger_url) as ledger:
        (decision,) = ledger.decisions("pilothouse", kind="telemetry.set_aside")
        assert (decision.actor, json.loads(decision.document)["files"][0]["rows"]) == ("dana", one.rows)
        (note,) = set_aside_notes(ledger, now)
        assert note.startswith(
            f"{one.rows} rows of tasks of {calendar_day(date.fromisoformat(one.day))} could not be read"
        )
        assert set_aside_notes(ledger, now - timedelta(hours=1)) == []
        assert set_aside_notes(ledger, now + timedelta(days=100)) == []


@pytest.mark.parametrize("damage", [cut, Path.unlink, tilt], ids=["cut", "gone", "tilt"])
def test_a_server_finds_a_damaged_file_by_itself_and_says_so_beside_verdicts(settings, damage):
    now = SystemClock().now()
    watch = Scrubber(settings.lake_folder, bytes_at_once=1)
    with open_ledger(settings.ledger_url) as ledger:
        tick = FilesTick(ledger, watch.scrub)
        for _ in range(2 * FILES + 1):
            tick.run(now)
        path = files_of(settings, "tasks")[1]
        damage(path)
        failed = 0
        for _ in range(2 * FILES):  # one file a look, and each has its turn
            with suppress(StorageUnavailable):
                tick.run(now)
                continue
            failed += 1
        assert failed > 0
        with pytest.raises(StorageUnavailable, match=f"1 files of telemetry .*{path.name}") as caught:
            tick.run(now)
        assert "pilothouse repair" in caught.value.remedy
        (decision,) = ledger.decisions("pilothouse", kind="telemetry.damaged")
        (file,) = json.loads(decision.document)["files"]
        assert (file["table"], file["file"]) == ("tasks", path.name)
        (note,) = set_aside_notes(ledger, now)
        assert note.startswith(
            f"{file['rows']} rows of tasks of {calendar_day(date.fromisoformat(file['day']))} are in a file that cannot be read"
        )
        assert set_aside_notes(ledger, now - timedelta(hours=1)) == []
        repair_lake(settings, take_out=True, actor="dana")
        (note,) = set_aside_notes(ledger, SystemClock().now())
        assert "were set aside" in note
        tick.run(now)


def test_a_file_that_a_merge_took_away_meanwhile_is_no_damage(settings, monkeypatch):
    watch, path = Scrubber(settings.lake_folder), files_of(settings, "spans")[0]

    def merged_meanwhile(*_arguments, **_options):
        monkeypatch.undo()
        path.unlink()
        table = SegmentTable(settings.lake_folder / "spans", SCHEMAS["spans"])
        table.refresh()
        table.drop_files({str(path)})
        return scrub_file(*_arguments, **_options)

    monkeypatch.setattr("pilothouse.lake.scrubber.scrub_file", merged_meanwhile)
    assert watch.scrub() == ()


def test_doctor_and_a_query_name_what_to_type(settings):
    damaged = files_of(settings, "tasks")[0]
    cut(damaged)
    (check,) = [one for one in examine_installation(settings).checks if one.name == "file of tasks"]
    assert (check.state, check.remedy, str(damaged) in check.sentence) == (
        "failed",
        "pilothouse repair",
        True,
    )
    with pytest.raises(StorageUnavailable) as caught:
        tasks_in(settings)
    assert "pilothouse repair" in caught.value.remedy


def test_nothing_is_set_aside_under_a_server_and_a_kill_in_between_is_made_good(settings, monkeypatch):
    cut(files_of(settings, "tasks")[0])
    node = open_node(settings.lake_folder, SystemClock(), grace_s=0.0)
    with pytest.raises(Conflict):
        repair_lake(settings, take_out=True, actor="dana")
    node.stop()
    with open_ledger(settings.ledger_url) as ledger:
        assert ledger.decisions("pilothouse", kind="telemetry.set_aside") == ()
    with monkeypatch.context() as patched:
        patched.setattr(SegmentTable, "drop_files", lambda _table, _paths: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            repair_lake(settings, take_out=True, actor="dana")
    assert len(repair_lake(settings, take_out=True, actor="dana").damaged) == 1
    assert tasks_in(settings) == FILES - 1


def test_sealed_tasks_are_rebuilt_with_what_came_late_on_record_and_not_under_a_server(settings):
    assert typed(settings, "repair", "--rebuild").output == "0 tasks say something else now.\n"
    days_ago = FixedClock(SystemClock().now() - timedelta(days=4))
    late, *spans = run_spans(77, start=unix_ns(days_ago.now()) - 60 * 10**9)
    node = open_node(
        settings.lake_folder, days_ago, grace_s=0.0, elapsed_s=lambda: days_ago.now().timestamp()
    )
    for hours, sent in ((0, spans), (60, [late])):
        days_ago.advance(timedelta(hours=hours))
        body = request(sent).SerializeToString()
        node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")
        node.settle()
    assert typed(settings, "repair", "--rebuild").exit_code != 0
    node.stop(drain=True)
    assert json.loads(typed(settings, "repair", "--rebuild", "--json").output) == {"rebuilt": 1}
    assert typed(settings, "repair", "--rebuild").output == "0 tasks say something else now.\n"
    with open_ledger(settings.ledger_url) as ledger:
        (decision,) = ledger.decisions("pilothouse", kind="telemetry.rebuilt")
        assert json.loads(decision.document) == {"traces": [f"{77:032x}"]}
    with open_installation(settings) as opened:
        assert opened.lake.trace(f"{77:032x}").task.spans == 4


def test_an_erasure_names_what_was_set_aside_since_nobody_can_look_through_it(settings):
    cut(files_of(settings, "tasks")[0])
    repair_lake(settings, take_out=True, actor="dana")
    with open_curation(settings) as desk:
        (path,) = desk.erase("kim@customer.example", [], actor="dana")["unread"]
    assert "quarantine/tasks" in path
