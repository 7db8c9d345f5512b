# SPDX-License-Identifier: Apache-2.0
"""What `doctor` finds in installations in different states, each finding with what to type."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from pilothouse.errors import StorageUnavailable
from pilothouse.ports.lake import AgentSeen
from pilothouse.ports.ledger import CharterInForce
from pilothouse.settings import load_settings
from pilothouse.workflows.server import doctor
from pilothouse.workflows.server.checkup import Check
from pilothouse.workflows.server.doctor import examine
from stubs.broken_charters import EXAMPLE

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOCK = SimpleNamespace(now=lambda: NOW)


@pytest.fixture
def settings(tmp_path):
    return load_settings({"PILOTHOUSE_HOME": str(tmp_path / "not-yet")})


def opener(*, charters=(), agents=()):
    @contextmanager
    def open_installation(_settings):
        yield SimpleNamespace(
            ledger=SimpleNamespace(charters=lambda: charters, decisions=lambda _agent, **_: ()),
            lake=SimpleNamespace(agents=lambda: agents),
        )

    return open_installation


def charter(agent, text=None):
    text = EXAMPLE.read_text(encoding="utf-8") if text is None else text
    return CharterInForce(agent=agent, digest="d", text=text, path=str(EXAMPLE), accepted_at=NOW, number=3)


def seen(agent, versions=("v1",)):
    return AgentSeen(agent=agent, tasks=7, first_ns=0, last_ns=1, versions=versions)


def found(checkup):
    return {check.name: check for check in checkup.checks}


def test_an_empty_installation_is_told_what_to_do_first(settings):
    checkup = examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: None)
    checks = found(checkup)
    assert checks["server"].remedy.startswith("pilothouse up")
    assert checks["charters"].remedy.startswith("pilothouse init")
    assert checks["telemetry"].remedy.startswith("pilothouse run")
    assert not checkup.failed
    assert json.loads(checkup.model_dump_json())["as_of"].startswith("2026-11-20T12:00")


def test_a_data_folder_that_every_user_can_read_is_a_warning(settings, monkeypatch):
    settings.home.mkdir()
    modes = dict.fromkeys((settings.home, *settings.home.parents), 0o755)

    def look():
        return found(examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: None))

    stat_of = Path.stat
    monkeypatch.setattr(
        Path,
        "stat",
        lambda path, **how: SimpleNamespace(st_mode=modes[path]) if path in modes else stat_of(path, **how),
    )
    monkeypatch.setattr(Path, "is_dir", lambda path: path == settings.home)
    check = look()["data folder"]
    assert (check.state, check.remedy) == ("warning", f"chmod o-rwx {settings.home}")
    modes[settings.home.parent] = 0o700
    assert "data folder" not in look()
    modes[settings.home.parent], modes[settings.home] = 0o755, 0o750
    assert "data folder" not in look()


def test_what_processes_do_not_share_is_said(settings):
    check = found(examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: None))["limits"]
    assert check.state == "ok"
    for word in ("rate limits", "breakers", "up to n times", "budgets of a day and of a run are shared"):
        assert word in check.sentence


def test_each_setting_is_shown_with_its_source(settings):
    checks = found(examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: None))
    assert checks["setting home"].sentence.endswith("(from environment).")
    assert checks["setting port"].sentence == "4318 (from default)."


def test_storage_that_cannot_be_opened_is_a_failed_check_with_its_remedy(settings):
    @contextmanager
    def broken(_settings):
        raise StorageUnavailable("the ledger is damaged.", remedy="Restore it.")
        yield

    checkup = examine(settings, CLOCK, open_installation=broken, ask_server=lambda: None)
    assert checkup.failed
    assert found(checkup)["storage"].remedy == "Restore it."


def test_a_noted_server_that_does_not_answer_is_a_failure(settings):
    checkup = examine(
        settings, CLOCK, open_installation=opener(), ask_server=lambda: ("http://127.0.0.1:1", None)
    )
    assert found(checkup)["server"].state == "failed"


def test_each_failing_job_has_a_line_of_its_own(settings):
    ticks = [{"name": "verify", "failures": 2, "last_error": "no erp"}, {"name": "assess", "runs": 3}]
    told = ("http://127.0.0.1:1", {"program": "pilothouse", "ticks": ticks})
    checks = found(examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: told))
    assert checks["background work"].state == "warning"
    assert checks["background work"].sentence == "2 jobs, 3 runs; 1 failing now."
    assert (checks["job verify"].state, checks["job verify"].sentence) == ("warning", "no erp")
    assert "job assess" not in checks


def test_background_work_that_goes_well_is_one_short_line(settings):
    told = (
        "http://127.0.0.1:1",
        {"ticks": [{"name": "verify", "runs": 1_200}, {"name": "assess", "runs": 3}]},
    )
    checkup = examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: told)
    assert found(checkup)["background work"].sentence == "2 jobs, 1,203 runs; none failing now."


def test_a_server_of_another_version_is_a_finding_and_no_crash(settings):
    told = ("http://127.0.0.1:1", {"telemetry": {"counters": [["acked", 1]], "rows": 1}})
    check = found(examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: told))[
        "telemetry books"
    ]
    assert check.state == "warning"
    assert "another program version" in check.sentence


def test_agents_without_charter_or_version_are_named(settings):
    agents = (seen("alone"), seen("nameless", versions=()), seen("fine"))
    charters = (charter("nameless"), charter("fine"))
    checks = found(
        examine(
            settings,
            CLOCK,
            open_installation=opener(charters=charters, agents=agents),
            ask_server=lambda: None,
        )
    )
    assert (checks["agent alone"].state, checks["agent nameless"].state, checks["agent fine"].state) == (
        "warning",
        "warning",
        "ok",
    )


def test_a_version_that_is_missing_because_the_charter_names_no_provider_is_mended_in_the_charter(settings):
    """`run` was advised, and whoever had used it had no version either."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("pin: {provider: acme,", 'pin: {provider: "?",')
    checks = found(
        examine(
            settings,
            CLOCK,
            open_installation=opener(charters=(charter("a", text),), agents=(seen("a", versions=()),)),
            ask_server=lambda: None,
        )
    )
    assert "leaves its model open" in checks["agent a"].sentence
    assert checks["agent a"].remedy.startswith("pilothouse check")


@pytest.mark.parametrize(("free", "state"), [(1 << 29, "failed"), (3 << 29, "warning"), (1 << 33, "ok")])
def test_the_disk_is_held_against_its_floor(settings, monkeypatch, free, state):
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda _folder: SimpleNamespace(total=1 << 34, free=free)
    )
    checkup = examine(settings, CLOCK, open_installation=opener(), ask_server=lambda: None)
    assert found(checkup)["disk"].state == state


def test_the_lake_may_add_checks_on_itself(settings):
    own = Check(name="lake", state="ok", sentence="12 rows.")
    checkup = examine(
        settings,
        CLOCK,
        open_installation=opener(),
        ask_server=lambda: None,
        further_checks=lambda _settings: iter([own]),
    )
    assert found(checkup)["lake"] is own


def test_a_charter_whose_file_went_elsewhere_is_a_warning(settings, tmp_path):
    gone = replace(charter("gone"), path=str(tmp_path / "moved/charter.yaml"))
    checkup = examine(settings, CLOCK, open_installation=opener(charters=(gone,)), ask_server=lambda: None)
    (check,) = [one for one in checkup.checks if one.name == "charter gone"]
    assert check.state == "warning"
    assert "which is not there" in check.sentence
    assert check.remedy == "pilothouse verdict --charter WHERE-IT-IS-NOW/charter.yaml"


def test_a_charter_in_force_that_cannot_be_read_is_a_failure(settings):
    charters = (charter("good"), charter("old", text="agent: [old form]"))
    checkup = examine(settings, CLOCK, open_installation=opener(charters=charters), ask_server=lambda: None)
    checks = found(checkup)
    assert checks["charter good"].state == "ok"
    assert checks["charter old"].state == "failed"
    assert "cannot read it" in checks["charter old"].sentence
    assert checks["charter old"].remedy.startswith("Correct the file")
    assert checkup.failed


def test_an_address_that_is_not_opened_and_a_lake_that_is_no_folder_are_failures(tmp_path):
    (tmp_path / "lake").write_text("x", encoding="utf-8")
    wrong = load_settings({"PILOTHOUSE_HOME": str(tmp_path), "PILOTHOUSE_HOST": "0.0.0.0"})
    checks = found(examine(wrong, CLOCK, open_installation=opener(), ask_server=lambda: None))
    assert (checks["host"].state, checks["lake"].state) == ("failed", "failed")
    assert str(tmp_path / "lake") in checks["lake"].sentence
