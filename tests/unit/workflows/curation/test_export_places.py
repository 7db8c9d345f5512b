# SPDX-License-Identifier: Apache-2.0
"""Exports that were killed: nothing of them stays where nobody looks."""

from __future__ import annotations

import subprocess
import sys

import page_site
import page_world as world
import pytest
from review_world import add_labels, curation_desk

from pilothouse.errors import Conflict
from pilothouse.workflows.curation.export_places import BEGUN, drop_unfinished_exports, note_begun
from pilothouse.workflows.curation.training_folder import drop_unfinished, is_unfinished, prepared_export

AGENT, NOW = world.AGENT, world.NOW


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def desk(site):
    return curation_desk(site)


def test_rows_of_an_export_that_was_killed_are_taken_away_by_whatever_comes_next(
    site, desk, tmp_path, monkeypatch
):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24, text="invoice {n} of customer K-4711 about topic {n}")

    def killed(name):
        note_begun(site.ledger, AGENT, tmp_path / name, NOW)
        part = tmp_path / f".{name}.part"
        part.mkdir()
        (part / "train.jsonl").write_text("K-4711")
        return part

    ways = (
        lambda: desk.export(AGENT, tmp_path / "other", "contract"),
        lambda: desk.erase("K-4711", [], actor="test"),
        lambda: drop_unfinished_exports(site.ledger),
    )
    for number, way in enumerate(ways):
        part = killed(f"out{number}")
        way()
        assert not part.exists(), number
    assert (tmp_path / "other" / "provenance.json").is_file()


def test_an_export_that_was_killed_when_it_was_whole_is_erased_from(site, desk, tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24, text="invoice {n} of customer K-4711 about topic {n}")
    record = site.ledger.record
    with monkeypatch.context() as killing:
        killing.setattr(
            site.ledger, "record", lambda **said: record(**said) if said["kind"] == BEGUN else None
        )
        desk.export(AGENT, tmp_path / "out", "contract")
    done = desk.erase("K-4711", [], actor="test")
    assert done["exported"][str((tmp_path / "out").resolve())] > 0
    assert (done["gone"], done["untraced"]) == ([], [])
    assert "K-4711" not in (tmp_path / "out" / "train.jsonl").read_text()


WRITING = """
import sys, time
from pathlib import Path
from pilothouse.workflows.curation.training_folder import prepared_export
with prepared_export(Path(sys.argv[1]), {"train": ["{}"], "validation": []}, {"rows": []}):
    print("writing", flush=True)
    time.sleep(60)
"""


def test_an_export_that_is_being_written_stays_until_its_process_is_killed(tmp_path):
    folder = tmp_path / "out"
    program = subprocess.Popen([sys.executable, "-c", WRITING, str(folder)], stdout=subprocess.PIPE)
    try:
        assert program.stdout.readline() == b"writing\n"
        assert not drop_unfinished(folder)
        with pytest.raises(Conflict, match="another process writes"), prepared_export(folder, {}, {}):
            pass
        assert is_unfinished(folder)
    finally:
        program.kill()
        program.wait(10)
        program.stdout.close()
    assert is_unfinished(folder)
    assert drop_unfinished(folder)
    assert not is_unfinished(folder)
    assert list(tmp_path.iterdir()) == []
