# SPDX-License-Identifier: Apache-2.0
"""The demo replaces its own folder and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pilothouse.connectors import own_server
from pilothouse.demo import place as place_module
from pilothouse.demo.place import claim_place, find_place, mark_finished, read_beginning
from pilothouse.errors import Conflict, UsageError
from pilothouse.settings import load_settings

BEGAN = datetime(2026, 11, 6, 9, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    return load_settings({}, home=tmp_path, port=0)


def test_the_demo_lives_in_a_folder_of_its_own_below_the_home(settings, tmp_path):
    place = claim_place(settings)
    assert place.home == tmp_path / "demo"
    assert place.agent_folder.parent == place.home
    assert place.settings.port == settings.port


def test_an_unfinished_run_is_not_served(settings):
    claim_place(settings)
    assert find_place(settings) is None


def test_a_finished_run_is_found_again_with_its_beginning(settings):
    mark_finished(claim_place(settings), began_at=BEGAN)
    found = find_place(settings)
    assert found is not None
    assert read_beginning(found) == BEGAN


def test_an_earlier_run_is_replaced(settings):
    place = claim_place(settings)
    place.report.write_text("old")
    mark_finished(place, began_at=BEGAN)
    assert not claim_place(settings).report.exists()
    assert find_place(settings) is None


def test_somebody_elses_folder_is_left_alone(settings, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match="not made by the demo"):
        claim_place(settings)
    assert (tmp_path / "demo" / "mine.txt").read_text() == "keep me"


def test_a_folder_in_use_is_not_replaced(settings, monkeypatch):
    place = claim_place(settings)
    own_server.note_server(place.home, "http://127.0.0.1:9")
    monkeypatch.setattr(place_module, "ask_health", lambda url: {"program": "pilothouse"})
    with pytest.raises(Conflict, match="is using"):
        claim_place(settings)


def test_the_note_of_a_dead_server_is_no_obstacle(settings, monkeypatch):
    place = claim_place(settings)
    own_server.note_server(place.home, "http://127.0.0.1:9")
    monkeypatch.setattr(place_module, "ask_health", lambda url: None)
    assert claim_place(settings).home == place.home


def test_an_unreadable_beginning_says_what_to_do(settings):
    place = claim_place(settings)
    with pytest.raises(UsageError, match="does not say when the run began"):
        read_beginning(place)
