# SPDX-License-Identifier: Apache-2.0
"""Results removed from a run's requests, read from its record, and recalled by id."""

from __future__ import annotations

import json
import re
from typing import Any

from pilothouse.core.evidence.run_log import ContextEdited, RecordedRun
from pilothouse.runtime.context.edits import recall

__all__ = ["ID", "recall_from", "removed_results"]

ID = re.compile(r"(?P<run>[0-9a-f]{32})-(?P<digest>[0-9a-f]{16,64})")
"""An id as a note in a shortened request gives it."""


def removed_results(recorded: RecordedRun) -> dict[str, Any]:
    """Return the tool results that were removed from requests of a run, by digest.

    Args:
        recorded: The run; one whose content was erased has none.
    """
    found: dict[str, Any] = {}
    for logged in recorded.events:
        event = logged.event
        if isinstance(event, ContextEdited) and event.removed:
            for entry, content in zip(event.ledger, json.loads(event.removed), strict=True):
                found[str(entry["digest"])] = content
    return found


def recall_from(recorded: RecordedRun, ident: str, *, start: int = 0, end: int | None = None) -> str | None:
    """Return the removed result behind an id, or a range of it; None for an unknown id.

    Args:
        recorded: The run.
        ident: Id of the note.
        start: First character.
        end: Character after the last, or None for the rest.
    """
    named = ID.fullmatch(ident)
    if named is None or named["run"] != recorded.summary.run:
        return None
    return recall(removed_results(recorded), named["digest"], start=start, end=end)
