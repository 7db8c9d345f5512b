# SPDX-License-Identifier: Apache-2.0
"""Kinds of evidence about people: who is there, what was rehearsed, and what was signed."""

from __future__ import annotations

from pilothouse.core.charter.review_need import NEED_PATHS
from pilothouse.core.evidence.kind import Form, make_kind

__all__ = ["PEOPLE", "SIGNATURES"]

_F, _S = Form.FACT, Form.SIGNATURE

_PERSON = ("people.{person}.identity",)
"""Another person under the same id has neither signed nor shown anything."""

PEOPLE = (
    make_kind(
        "directory",
        "The directory entry",
        _F,
        "P",
        "Whether the person is active in the directory.",
        terms=_PERSON,
    ),
    make_kind("duty.reached", "The test page of the duty", _F, "S:raci", "Whether each person was reached."),
    make_kind(
        "roster",
        "The roster",
        _F,
        "S:operations",
        "Whether minutes and answers suffice.",
        terms=NEED_PATHS,
    ),
    make_kind("review.held", "The review", _F, "", "Whether the review took place and left minutes."),
    make_kind("budget.spent", "The budget", _F, "S:budgets", "Whether spending is inside the budget."),
    make_kind(
        "drill.completion-drop", "The drill completion-drop", _F, "S:alerts", "Whether the alert fired."
    ),
    make_kind("drill.cost-burst", "The drill cost-burst", _F, "S:alerts", "Whether the alert fired."),
    make_kind(
        "drill.runbook",
        "The runbook drill",
        _F,
        "S:alerts",
        "Whether its steps could be followed.",
        contents=("{runbook}",),
    ),
    make_kind(
        "drill.owner-powers",
        "The drill owner-powers",
        _F,
        "P",
        "Whether the owner's powers work.",
        terms=_PERSON,
    ),
    make_kind("drill.page", "The page drill", _F, "S:escalation", "Whether every level answered in time."),
    make_kind(
        "drill.model-upgrade", "The upgrade rehearsal", _F, "S:model", "Whether a swap went all the way."
    ),
    make_kind("drill.fallback", "The fallback drill", _F, "C", "Whether the declared fallback happened."),
    make_kind(
        "drill.game-day",
        "The game day",
        _F,
        "S:operations",
        "Whether the receiving team undid planted faults.",
    ),
)

_SIGNED_FILES = {
    "EVAL-5": ("glossary",),
    "MON-5": ("{runbook}",),
    "OWN-11": ("change_plan", "function.output_schema"),
}
"""Files that are signed with the section that names them: the section holds their paths alone."""

_SIGNED_CASES = ("EVAL-5",)
"""Requirements whose signature is for results on the labelled cases: on other cases there are other results."""

SIGNATURES = tuple(
    make_kind(
        f"attested.{item.lower()}",
        "The signature",
        _S,
        "S P L" if item in _SIGNED_CASES else "S P",
        f"The named person signed the text of {item}.",
        terms=_PERSON,
        contents=_SIGNED_FILES.get(item, ()),
    )
    for item in (
        "INT-6",
        "EVAL-4",
        "EVAL-5",
        "MON-5",
        "OWN-1",
        "OWN-2",
        "OWN-4",
        "OWN-5",
        "OWN-6",
        "OWN-10",
        "OWN-11",
        "DATA-5",
    )
)
