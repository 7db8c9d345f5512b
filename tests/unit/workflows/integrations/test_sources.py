# SPDX-License-Identifier: Apache-2.0
"""A knowledge source is fresh when its file can be read and is young; what stands in no file has no evidence."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from evidence_made import edited_charter, load_charter

from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.integrations.sources import look_at_sources

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DECLARED = "owner: lee, max_age: 180d"


def look(folder, path="handbook.md"):
    """Look at the one source of a charter in a folder; return its record, or None, and the charter."""
    file = folder / "charter.yaml"
    file.write_text(edited_charter((DECLARED, f"{DECLARED}, path: {path}" if path else DECLARED)))
    record = CharterInForce(
        agent="ap-invoice-triage",
        digest=file.read_text(),
        text=file.read_text(),
        path=str(file),
        accepted_at=NOW,
        number=1,
    )
    kept = []
    ledger = SimpleNamespace(charters=lambda: [record], add_evidence=kept.extend)
    found = look_at_sources(SimpleNamespace(ledger=ledger), NOW)
    assert list(found) == kept
    return (kept[0] if kept else None), load_charter(file)


def write(folder, *, days, name="handbook.md"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("Suppliers of group 7 are paid by the other entity.")
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))


def data_8(charter, record):
    verdict = decide(charter, [record] if record else [], NOW)
    return next(one for one in verdict.requirements if one.requirement == "DATA-8").status


@pytest.mark.parametrize(("days", "status"), [(179, Status.HOLDS), (181, Status.BREACHED)])
def test_its_age_decides(tmp_path, days, status):
    write(tmp_path, days=days)
    record, charter = look(tmp_path)
    assert data_8(charter, record) is status
    assert f"last changed {days} days ago" in record.detail


def test_the_youngest_file_of_a_folder_counts(tmp_path):
    write(tmp_path, days=400, name="wiki/old.md")
    write(tmp_path, days=3, name="wiki/new.md")
    record, _ = look(tmp_path, "wiki")
    assert record.passed


def test_what_cannot_be_read_breaches_and_what_stands_nowhere_is_missing(tmp_path):
    record, charter = look(tmp_path, "gone")
    assert "holds nothing that can be read" in record.detail
    assert data_8(charter, record) is Status.BREACHED
    record, charter = look(tmp_path, None)
    assert record is None
    assert data_8(charter, record) is Status.NO_EVIDENCE


def test_a_fresh_checkout_does_not_make_old_knowledge_young(tmp_path):
    def git(*words, at=NOW - timedelta(days=300)):
        moment = at.isoformat()
        who = {
            "GIT_AUTHOR_NAME": "x",
            "GIT_AUTHOR_EMAIL": "x@x",
            "GIT_COMMITTER_NAME": "x",
            "GIT_COMMITTER_EMAIL": "x@x",
        }
        subprocess.run(
            ["git", "-C", str(tmp_path), *words],
            check=True,
            capture_output=True,
            env={**os.environ, **who, "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment},
        )

    write(tmp_path, days=1)
    git("init", "-q")
    git("add", "handbook.md")
    git("commit", "-q", "-m", "handbook")
    assert "300 days ago" in look(tmp_path)[0].detail
    (tmp_path / "handbook.md").write_text("changed and not committed")
    assert look(tmp_path)[0].passed
