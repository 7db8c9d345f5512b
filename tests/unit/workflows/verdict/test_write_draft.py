# SPDX-License-Identifier: Apache-2.0
"""A draft never costs the charter that it would replace."""

from __future__ import annotations

import os

import pytest

from pilothouse.core.charter.draft import Draft
from pilothouse.core.charter.sighting import RepositoryReport
from pilothouse.errors import UsageError
from pilothouse.workflows.verdict.draft import write_draft


def draft(text: str) -> Draft:
    report = RepositoryReport(name="x", sightings=(), files_read=0, notes=())
    return Draft(agent="x", text=text, report=report)


def test_a_charter_that_is_there_is_replaced_by_a_whole_one_or_stays(tmp_path, monkeypatch):
    target = tmp_path / "charter.yaml"
    write_draft(draft("first"), target, force=False)
    with pytest.raises(UsageError, match="is there already"):
        write_draft(draft("second"), target, force=False)
    write_draft(draft("second"), target, force=True)
    assert target.read_text(encoding="utf-8") == "second"

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    third = draft("third")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UsageError, match="No space left"):
            write_draft(third, target, force=True)
    half = draft("\ud800")
    with pytest.raises(UnicodeEncodeError):
        write_draft(half, target, force=True)
    assert target.read_text(encoding="utf-8") == "second"
    assert list(tmp_path.iterdir()) == [target]
