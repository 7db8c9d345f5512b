# SPDX-License-Identifier: Apache-2.0
"""A file that was signed and edited since is not signed: by the command, by the server that looks, and across a restart."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from evidence_made import CHARTER
from page_world import NOW

from pilothouse.core.verdict.signing import SignatureState
from pilothouse.ledger.ledger import open_ledger
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.people.signing import asked_of, sign, signatures
from pilothouse.workflows.server.upkeep import CharterWatch
from pilothouse.workflows.verdict.accept import accept_file

AGENT, RUNBOOK = "ap-invoice-triage", "runbooks/quality.md"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(CHARTER.parent, tmp_path / "agent")
    return tmp_path / "agent"


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def states(ledger, item="MON-5"):
    found = signatures(ledger, AGENT, NOW, item)
    return {(one.scope.part or "").split(" by ")[0]: one.state for one in found}


def sign_all(ledger, item):
    charter = charter_in_force(ledger, AGENT)
    for one in signatures(ledger, AGENT, NOW, item):
        person = next(name for name in charter.people if asked_of(charter, one, name))
        sign(ledger, AGENT, item, person=person, actor="test", source="test", now=NOW)


@pytest.mark.parametrize(
    ("item", "file"),
    [("MON-5", RUNBOOK), ("OWN-11", "docs/change-plan.md"), ("EVAL-5", "docs/terms.yaml")],
)
def test_what_is_edited_after_it_was_signed_is_to_be_signed_again(ledger, folder, item, file):
    first = accept_file(ledger, folder / CHARTER.name, NOW, actor="test").record
    sign_all(ledger, item)
    assert set(states(ledger, item).values()) == {SignatureState.SIGNED}
    assert not accept_file(ledger, folder / CHARTER.name, NOW, actor="test").changed
    written = (folder / file).read_bytes()
    (folder / file).write_bytes(written + b"\n# never roll back\n")
    second = accept_file(ledger, folder / CHARTER.name, NOW, actor="test")
    assert second.changed
    assert second.record.digest == first.digest
    assert SignatureState.CHANGED in states(ledger, item).values()
    (folder / file).write_bytes(written)  # as it was signed
    accept_file(ledger, folder / CHARTER.name, NOW, actor="test")
    assert set(states(ledger, item).values()) == {SignatureState.SIGNED}


def test_a_server_sees_that_a_runbook_was_edited(ledger, folder):
    accept_file(ledger, folder / CHARTER.name, NOW, actor="test")
    notes = []
    watch = CharterWatch(ledger, [folder / CHARTER.name], notes.append)
    watch.look(NOW)
    assert not notes
    (folder / RUNBOOK).write_text("# Quality\n\nAnother way to roll back.\n")
    watch.look(NOW + timedelta(seconds=5))
    assert notes == [f"Charter 2 of {AGENT} is in force."]
    watch.look(NOW + timedelta(seconds=10))
    assert len(notes) == 1


def test_a_server_sees_files_that_the_charter_names_only_now(ledger, folder):
    accept_file(ledger, folder / CHARTER.name, NOW, actor="test")
    notes = []
    watch = CharterWatch(ledger, [folder / CHARTER.name], notes.append)
    (folder / "docs" / "plan2.md").write_text("What changes.")
    text = (folder / CHARTER.name).read_text()
    (folder / CHARTER.name).write_text(
        text.replace("change_plan: docs/change-plan.md", "change_plan: docs/plan2.md")
    )
    watch.look(NOW)
    watch.look(NOW)
    (folder / "docs" / "plan2.md").write_text("What changes, and for whom.")
    watch.look(NOW)
    assert [note.split()[1] for note in notes] == ["2", "3"]


def test_what_an_older_program_accepted_is_looked_at_when_it_is_put_into_force_again(ledger, folder):
    path = folder / CHARTER.name
    seen = accept_file(ledger, path, NOW, actor="test")
    old = ledger.accept_charter(agent="old", digest="d" * 64, text="agent: old", path=str(path), at=NOW)
    assert old.files is None
    assert (
        ledger.accept_charter(agent="old", digest="d" * 64, text="agent: old", path=str(path), at=NOW) == old
    )
    again = ledger.accept_charter(
        agent="old", digest="d" * 64, text="agent: old", path=str(path), at=NOW, files={"b": "2", "a": "1"}
    )
    assert (again.number, again.files) == (2, (("a", "1"), ("b", "2")))
    assert ledger.charter("old") == again
    assert dict(seen.record.files)[RUNBOOK]
