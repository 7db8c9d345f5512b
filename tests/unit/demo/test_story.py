# SPDX-License-Identifier: Apache-2.0
"""The demo says what it needs before it makes anything."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from pilothouse.app import SystemClock, demo_parts
from pilothouse.demo import repair, story
from pilothouse.demo.furnish import CHARTER_SOURCE
from pilothouse.demo.place import DemoPlace
from pilothouse.demo.triage_model import PINNED_MODEL
from pilothouse.errors import UsageError
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.check import check_file


def test_missing_packages_are_named_with_the_command_that_installs_them(tmp_path, monkeypatch):
    monkeypatch.setattr(story, "NEEDED", ("json", "no_such_package_here"))
    with pytest.raises(UsageError, match="no_such_package_here") as caught:
        story.run_demo(load_settings({}, home=tmp_path), demo_parts(), on_step=lambda step: None)
    assert "pip install 'pilothouse[demo]'" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_the_demos_charter_has_open_questions_and_no_error():
    check = check_file(CHARTER_SOURCE / "charter.yaml", today=demo_parts().clock.now().date())
    assert check.charter is not None
    assert {finding.rule for finding in check.findings if finding.kind.value == "E"} == set()
    assert [finding.rule for finding in check.findings if finding.kind.value == "Q"] == ["open-question"] * 2


def test_the_charter_pins_the_model_that_the_agent_asks_for():
    assert f"model: {PINNED_MODEL}" in (CHARTER_SOURCE / "charter.yaml").read_text()
    assert f'MODEL = "{PINNED_MODEL}"' in (CHARTER_SOURCE.parent / "agent_model.py").read_text()


def test_a_typed_command_lives_at_its_moment_and_says_how_it_ended(tmp_path):
    parts, moment = demo_parts(), datetime(2026, 3, 1, 12, tzinfo=UTC)
    done = parts.type_command(("verdict", "nobody", "--home", str(tmp_path)), moment)
    assert (done.status, done.said) == (2, "")
    assert done.answer == "error: no agent 'nobody'."
    assert done.line == f"pilothouse verdict nobody --home {tmp_path}"
    with parts.at_simulated(moment):
        assert SystemClock().now() == moment
    assert SystemClock().now() > moment


def test_the_narrower_charter_answers_every_open_question(tmp_path):
    place = DemoPlace(settings=load_settings({}, home=tmp_path))
    shutil.copytree(CHARTER_SOURCE, place.agent_folder)
    repair.narrow_charter(place)
    check = check_file(place.charter, today=demo_parts().clock.now().date())
    assert check.charter is not None
    assert list(check.charter.task_types) == ["po_invoice"]
    assert {finding.kind.value for finding in check.findings} <= {"W"}
