# SPDX-License-Identifier: Apache-2.0
"""What the team of the story changes after the failed verdict: a narrower charter, a prompt, cases from booked mail."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from pilothouse.demo.agent_model import said
from pilothouse.demo.place import DemoPlace
from pilothouse.demo.triage_model import FIRST_ORDER_PROMPT

__all__ = [
    "CASES_MAX",
    "narrow_charter",
    "narrow_prompt",
    "shortcut_prompt",
    "with_shortcut",
    "write_cases",
    "write_directory",
]

CASES_MAX = 240
"""The charter asks for 200; a few more may turn out to be near-duplicates."""

_NARROWER = (
    ("po_invoice:     {share: 0.80}", "po_invoice:     {share: 1.0}"),
    ("[po_invoice, non_po_invoice, credit_note]", "[po_invoice]"),
    ("sampling: {rate: 1.0,", "sampling: {rate: 0.95,"),
    ('sources: "?"', "sources: []"),
    (
        "detector: drop, severity: sev1, runbook: runbooks/quality.md, detect_within: 21d",
        "detector: drop, severity: sev1, runbook: runbooks/quality.md, detect_within: 90d",
    ),
    (
        "runbook: runbooks/completion.md, detect_within: 21d",
        "runbook: runbooks/completion.md, detect_within: 30d",
    ),
    ("runbook: runbooks/truth.md, detect_within: 14d", "runbook: runbooks/truth.md, detect_within: 30d"),
    ("runbook: runbooks/cost.md}", "runbook: runbooks/cost.md, detect_within: 7d}"),
    ("runbook: runbooks/escalation.md}", "runbook: runbooks/escalation.md, detect_within: 60d}"),
    ("runbook: runbooks/model.md}", "runbook: runbooks/model.md, detect_within: 1d}"),
    ('game_day_by: "?"', "game_day_by: 2033-01-15"),
    (
        "judges: [{name: rubric-v3, pin: {provider: other, model: other-judge-2026-03-03}, card_max_age: 90d}]",
        "judges: []",
    ),
)
"""Edits of the charter, each of which must apply."""

_SCOPE_RULE = """
Only invoices that print a purchase order number and a total in digits, in the currency of the order, are yours.
Everything else goes to a person with `escalate`.
"""
_IN_SCOPE = re.compile(r"(?:Total TTC|Total|Gesamt|Importe total|Razem): (?:EUR|GBP) [\d., ]+$")


def narrow_charter(place: DemoPlace) -> None:
    """Narrow the charter to invoices with a purchase order, and answer its open questions.

    Args:
        place: The demo's folder.
    """
    text = place.charter.read_text(encoding="utf-8")
    start, end = text.index("  non_po_invoice: {share:"), text.index("unknown_task_type:")
    text = text[:start] + text[end:]
    for old, new in _NARROWER:
        if old not in text:
            raise LookupError(old)
        text = text.replace(old, new)
    place.charter.write_text(text, encoding="utf-8")


def narrow_prompt(place: DemoPlace) -> None:
    """Tell the agent its narrower scope."""
    place.prompt.write_text(place.prompt.read_text(encoding="utf-8") + _SCOPE_RULE, encoding="utf-8")


def shortcut_prompt(place: DemoPlace) -> str:
    """Put a shortcut into the prompt, as somebody in a hurry does, and return the text that stood there before."""
    before = place.prompt.read_text(encoding="utf-8")
    place.prompt.write_text(with_shortcut(before), encoding="utf-8")
    return before


def with_shortcut(prompt: str) -> str:
    """Return a prompt with the shortcut in it that makes the incident of the story."""
    return f"{prompt}\nTo save calls, {FIRST_ORDER_PROMPT}.\n"


def write_cases(place: DemoPlace, path: Path, *, received: str) -> int:
    """Write labelled cases: mail of the narrower scope, with what accounts payable booked in the end.

    Args:
        place: The demo's folder.
        path: JSON-lines file.
        received: Date of the replay, `YYYY-MM-DD hh:mm`, in place of the mail's own.

    Returns:
        How many.
    """
    with closing(sqlite3.connect(f"file:{place.erp}?mode=ro", uri=True)) as erp:
        rows_booked = erp.execute(
            "SELECT document, po_number FROM bookings WHERE queue = 'po-match' AND duplicate_of = ''"
        )
        booked: dict[str, str] = dict(rows_booked.fetchall())
    rows = []
    for name in ("pilot", "production"):
        for line in place.inbox(name).read_text(encoding="utf-8").splitlines():
            mail = json.loads(line)
            order = booked.get(mail["document"])
            if order and order in mail["text"] and _IN_SCOPE.search(mail["text"]):
                text = re.sub(r"Received: .*", f"Received: {received}", mail["text"])
                rows.append(_case(mail["document"], text, order))
    rows = rows[:CASES_MAX]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return len(rows)


def _case(document: str, text: str, order: str) -> dict[str, object]:
    return {
        "id": document,
        "task_type": "po_invoice",
        "input": [said("user", text)],
        "expected": {"queue": "po-match", "po_number": order},
        "source": f"production:{int(document[2:]):032x}",
        "label": {"by": "lee", "at": "2026-11-01T00:00:00Z", "value": "po-match"},
    }


def write_directory(path: Path) -> None:
    """Write the export of the company's directory in which everybody of the charter is active."""
    people = "".join(f"oidc:{name}@harbour.example,yes\n" for name in ("dana", "lee", "sam", "kim", "vp"))
    path.write_text(f"identity,active\n{people}", encoding="utf-8")
