# SPDX-License-Identifier: Apache-2.0
"""The chapters after the failed verdict: repair, phase 1, an incident, the way back, and the gate once more.

Each step is a command that a user can type, at a simulated moment; where a person must sign or approve, the demo
plays that person and says so. What is not proved is not made up: the sponsor waives it in her name, for thirty days.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pilothouse.core.verdict.framework import NOT_WAIVABLE
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.place import AGENT
from pilothouse.demo.repair import (
    narrow_charter,
    narrow_prompt,
    shortcut_prompt,
    write_cases,
    write_directory,
)
from pilothouse.demo.stage import Stage
from pilothouse.demo.traffic import INCIDENT_DAY, PHASE_DAY, REPAIR_DAY, STORY_DAYS
from pilothouse.demo.trial import ERP_VARIABLE, PROMPT_VARIABLE
from pilothouse.workflows.assess import Assessment

__all__ = ["enter_phase", "fail_in_phase", "recover", "repair"]

SIGNATURES = (
    ("EVAL-4", "vp"), ("EVAL-4", "dana"), ("OWN-1", "dana"), ("OWN-4", "dana"), ("OWN-5", "vp"),
    ("OWN-10", "vp"), ("OWN-11", "vp"), ("INT-6", "dana"), ("EVAL-5", "sam"), ("DATA-5", "dana"),
    ("OWN-2", "dana"), ("OWN-2", "sam"), ("OWN-2", "lee"), ("MON-5", "sam"), ("MON-5", "kim"),
)  # fmt: skip
"""Who signs what; the text is the charter's section in force."""

RUNBOOKS = tuple(
    f"runbooks/{name}.md" for name in ("quality", "completion", "truth", "cost", "escalation", "model")
)
WAIVED_FOR = timedelta(days=29)
REASON = "Phase 1 takes the mail of one team; each of these is due before phase 2."


def repair(stage: Stage, model: ModelServer) -> None:
    """Narrow the scope, sign, rehearse, pass the release gate, and let the repaired version work for a week."""
    place, day = stage.place, REPAIR_DAY
    stage.chapter("Remediation: a narrower scope, and evidence for it")
    stage.say(
        day,
        "the team narrows charter and prompt to invoices that name their order; the provider restores the pin",
    )
    narrow_charter(place)
    narrow_prompt(place)
    stage.type(day, "verdict", AGENT, "--charter", str(place.charter), hour=7.0, expects=None)
    for item, person in SIGNATURES:
        stage.type(day, "evidence", "attest", item, "--as", person, "--yes", hour=7.1)
    write_directory(place.home / "directory.csv")
    stage.type(day, "people", "check", "--directory", str(place.home / "directory.csv"), hour=7.2)
    stage.type(day, "drill", "owner-powers", "--as", "dana", hour=7.3)
    _rehearse(stage, model)
    _pass_gate(stage, model)
    stage.type(day, "drill", "model-upgrade", hour=7.6)
    stage.work("scoped", "pilot", model, lambda _day: "the repaired version, in the pilot")


def _rehearse(stage: Stage, model: ModelServer) -> None:
    """Give everybody an address, and rehearse page, alert and runbook; the people of the story answer."""
    day, pager = REPAIR_DAY, model.origin.replace("http://", "json://")
    for person in ("dana", "lee", "sam", "kim", "vp"):
        stage.type(day, "contact", "set", person, f"{pager}/pager/{person}", hour=7.3)
    with stage.people(day, 7.35):
        stage.type(day, "drill", "page", "--wait", "30", hour=7.35, expects=None)
        stage.type(day, "drill", "completion-drop", "--wait", "10", hour=7.35, expects=None)
        stage.type(day, "drill", "cost-burst", "--wait", "10", hour=7.35, expects=None)
        for runbook in RUNBOOKS:
            stage.type(
                day, "drill", "runbook", runbook, "--as", "sam", "--wait", "10", hour=7.35, expects=None
            )


def _pass_gate(stage: Stage, model: ModelServer) -> None:
    """Put the candidate through the release gate, on cases that accounts payable booked."""
    place, cases = stage.place, stage.place.home / "cases.jsonl"
    received = f"{stage.moment(REPAIR_DAY):%Y-%m-%d %H:%M}"
    write_cases(place, cases, received=received)
    labelled = place.agent_folder / "datasets" / "labelled"
    with _trials(stage, model):
        stage.type(REPAIR_DAY, "dataset", "add", str(labelled), str(cases), hour=7.4, at_home=False)
        stage.type(
            REPAIR_DAY, "dataset", "show", str(labelled), "--shown", str(place.prompt), "--record", AGENT, hour=7.4
        )  # fmt: skip
        stage.type(
            REPAIR_DAY, "gate", "--candidate", "python:pilothouse.demo.trial:answer",
            "--candidate-version", stage.version(), "--dataset", str(labelled), "--charter", str(place.charter),
            "--scorer", "exact", "--journal", str(place.home / "trials.db"), hour=7.5, expects=None,
        )  # fmt: skip


@contextmanager
def _trials(stage: Stage, model: ModelServer) -> Iterator[None]:
    """Give the trials a copy of the ERP and the provider's address, and take both away again."""
    copy = stage.place.home / "erp-of-trials.sqlite"
    shutil.copyfile(stage.place.erp, copy)
    given = {
        ERP_VARIABLE: str(copy),
        PROMPT_VARIABLE: str(stage.place.prompt),
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": "offline",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def enter_phase(stage: Stage, day: int = PHASE_DAY) -> None:
    """Collect what is due on the day, waive what is not proved, look at the gate, approve."""
    hour = 6.0
    stage.verify(day, hour)
    stage.type(day, "audit", "verify", hour=hour)
    stage.type(day, "report", "executive", AGENT, hour=hour)
    stage.type(day, "report", "residency", AGENT, hour=hour)
    _waive(stage, stage.judge(day, hour, freeze=False), day, hour)
    stage.type(day, "phase", "request", "1", AGENT, "--as", "dana", hour=hour)
    stage.type(day, "phase", "approve", AGENT, "--as", "dana", hour=hour)


def _waive(stage: Stage, found: Assessment, day: int, hour: float) -> None:
    """Let the sponsor waive, in one command, what gate 1 asks for and nothing proves yet."""
    gate = next(one for one in found.verdict.gates if one.gate == "1")
    waived = {one.requirement for one in found.verdict.requirements if one.waiver is not None}
    left = [name for name in (*gate.breached, *gate.no_evidence) if name not in waived | NOT_WAIVABLE]
    if left:
        until = stage.moment(day, hour) + WAIVED_FOR
        stage.type(
            day, "evidence", "waive", *left, "--agent", AGENT, "--as", "vp", "--until", f"{until:%Y-%m-%d}",
            "--reason", REASON, hour=hour,
        )  # fmt: skip


def fail_in_phase(stage: Stage, model: ModelServer) -> str:
    """Two quiet days, then a prompt that somebody changed around the gate; return the prompt that held."""
    stage.work("phase-1", "production", model, lambda _day: "phase 1")
    stage.chapter("Incident: a prompt is changed around the gate")
    held = shortcut_prompt(stage.place)
    stage.work(
        "incident", "production", model, lambda _day: "a shortcut in the prompt, released without the gate"
    )
    stage.verify(INCIDENT_DAY)
    stage.type(INCIDENT_DAY, "report", "residency", AGENT)
    stage.type(INCIDENT_DAY, "verdict", AGENT, expects=1)
    stage.act(INCIDENT_DAY)
    return held


def recover(stage: Stage, model: ModelServer, held: str) -> None:
    """Go back to the version that held, say what was done, and let it work for a week."""
    stage.chapter("Rollback, and a week of the version that held")
    stage.place.prompt.write_text(held, encoding="utf-8")
    day = INCIDENT_DAY
    number = str(stage.newest_incident())
    stage.type(day, "incident", "show", number, hour=18.1)
    stage.type(day, "incident", "acknowledge", number, "--as", "sam", hour=18.2)
    stage.type(
        day, "phase", "rollback", AGENT, "--as", "sam", "--reason", "a prompt went around the gate", hour=18.3
    )
    stage.type(day, "resume", AGENT, "--reason", "the version that held serves again", hour=18.4)
    stage.work("recovery", "pilot", model, lambda _day: "the version that held, back in the pilot")
    said = "the version that held served for a week"
    stage.type(STORY_DAYS, "incident", "resolve", number, "--as", "sam", "--text", said, hour=5.0)
