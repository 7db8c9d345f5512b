# SPDX-License-Identifier: Apache-2.0
"""A valid charter comes into force; an invalid one changes nothing and is remembered until it is cured."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
from source_tree import ROOT

from pilothouse.errors import CharterInvalid, UsageError
from pilothouse.testing import EXAMPLE_NOW, MemoryLedger
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.verdict.accept import ACCEPTED, REJECTED, accept_file, rejection_note

NOW = EXAMPLE_NOW
HOUR = timedelta(hours=1)
AGENT = "ap-invoice-triage"


@pytest.fixture
def file(tmp_path):
    target = tmp_path / "repository"
    shutil.copytree(ROOT / "tests" / "golden" / "charters", target)
    return target / "ap-invoice-triage.yaml"


@pytest.fixture
def ledger():
    return MemoryLedger()


def accept(ledger, file, at=NOW):
    return accept_file(ledger, file, at, actor="test")


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def kinds(ledger):
    return [one.kind for one in reversed(ledger.decisions(AGENT))]


def test_a_valid_charter_comes_into_force_and_reads_back_as_it_was(ledger, file):
    done = accept(ledger, file)
    assert done.changed
    assert (done.record.agent, done.record.number, done.record.path) == (AGENT, 1, str(file))
    assert ledger.charter(AGENT) == done.record
    assert charter_of(done.record) == done.charter
    assert kinds(ledger) == [ACCEPTED]


def test_the_same_content_again_and_a_new_comment_change_nothing(ledger, file):
    accept(ledger, file)
    edit(file, "agent:", "# a comment\nagent:")
    assert not accept(ledger, file, NOW + HOUR).changed
    assert ledger.charter(AGENT).number == 1
    assert kinds(ledger) == [ACCEPTED]


def test_a_changed_charter_is_the_next_number(ledger, file):
    accept(ledger, file)
    edit(file, "completion: {min: 0.95}", "completion: {min: 0.96}")
    assert accept(ledger, file, NOW + HOUR).record.number == 2
    assert kinds(ledger) == [ACCEPTED, ACCEPTED]


def test_a_new_name_in_an_old_file_is_another_agent_and_said_so(ledger, file):
    """The evidence stayed behind under the old name, which was in force on and on, and nobody was told."""
    assert accept(ledger, file).sentence == f"Charter 1 of {AGENT} is in force."
    edit(file, f"agent: {AGENT}", "agent: renamed-agent")
    done = accept(ledger, file, NOW + HOUR)
    assert done.renamed_from == AGENT
    assert f"was the charter of {AGENT}, which stays in force" in done.sentence
    edit(file, "completion: {min: 0.95}", "completion: {min: 0.96}")
    assert accept(ledger, file, NOW + 2 * HOUR).renamed_from is None


def test_an_invalid_first_charter_is_refused_with_all_findings_and_leaves_no_trace(ledger, file):
    edit(file, "agent: ap-invoice-triage", "agent: ap-invoice-triage\nonwer: dana")
    with pytest.raises(CharterInvalid, match="1 error") as caught:
        accept(ledger, file)
    assert "onwer" in caught.value.findings[0]
    assert ledger.charter(AGENT) is None
    assert kinds(ledger) == []


def test_while_an_earlier_charter_is_in_force_it_stays_and_the_rejection_is_noted_once(ledger, file):
    accept(ledger, file)
    edit(file, "agent: ap-invoice-triage", "agent: ap-invoice-triage\nonwer: dana")
    for hours in (1, 2):
        with pytest.raises(CharterInvalid, match="charter 1 of 'ap-invoice-triage' stays in force"):
            accept(ledger, file, NOW + hours * HOUR)
    assert ledger.charter(AGENT).number == 1
    assert kinds(ledger) == [ACCEPTED, REJECTED]
    document = json.loads(ledger.decisions(AGENT, limit=1)[0].document)
    assert document["number"] == 2
    assert "onwer" in document["findings"][0]
    note = rejection_note(ledger, AGENT)
    assert note.startswith("Charter 2 rejected on 20 Nov 2026, 13:00 UTC; charter 1 stays in force.")
    assert f"`pilothouse check {file}`" in note


def test_a_rejection_is_noted_once_whatever_else_is_decided_meanwhile(ledger, file):
    accept(ledger, file)
    edit(file, "agent: ap-invoice-triage", "agent: ap-invoice-triage\nonwer: dana")
    for hours in (1, 2):
        with pytest.raises(CharterInvalid):
            accept(ledger, file, NOW + hours * HOUR)
        ledger.record(kind="release", agent=AGENT, at=NOW + hours * HOUR, actor="gate", document="{}")
    assert kinds(ledger).count(REJECTED) == 1


def test_the_note_is_not_told_of_moments_before_the_rejection(ledger, file):
    accept(ledger, file)
    edit(file, "agent: ap-invoice-triage", "agent: ap-invoice-triage\nonwer: dana")
    with pytest.raises(CharterInvalid):
        accept(ledger, file, NOW + HOUR)
    assert rejection_note(ledger, AGENT, at=NOW) is None
    assert rejection_note(ledger, AGENT, at=NOW + HOUR) is not None


@pytest.mark.parametrize("completion", ["0.95", "0.97"])
def test_a_cured_file_ends_the_note_whether_it_changed_something_or_not(ledger, file, completion):
    accept(ledger, file)
    edit(file, "agent: ap-invoice-triage", "agent: ap-invoice-triage\nonwer: dana")
    with pytest.raises(CharterInvalid):
        accept(ledger, file, NOW + HOUR)
    edit(file, "\nonwer: dana", "")
    edit(file, "completion: {min: 0.95}", f"completion: {{min: {completion}}}")
    accept(ledger, file, NOW + 2 * HOUR)
    assert rejection_note(ledger, AGENT) is None


def test_a_file_that_is_no_yaml_any_more_is_known_by_its_path(ledger, file):
    accept(ledger, file)
    file.write_text("agent: [unclosed\n", encoding="utf-8")
    with pytest.raises(CharterInvalid):
        accept(ledger, file, NOW + HOUR)
    assert rejection_note(ledger, AGENT) is not None


def test_a_missing_file_is_a_usage_error(ledger, tmp_path):
    with pytest.raises(UsageError, match="no file"):
        accept(ledger, tmp_path / "charter.yaml")
