# SPDX-License-Identifier: Apache-2.0
"""The gates of the story: collect what a phase asks for, waive what nobody can show, look, approve.

What is not proved is not made up: the sponsor waives it in her name, for thirty days.
"""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.verdict.framework import NOT_WAIVABLE
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.place import AGENT
from pilothouse.demo.stage import Stage
from pilothouse.demo.traffic import PHASE_DAY, PROMOTION_DAY
from pilothouse.demo.trial_runs import TARGET, compare_cases, labelled, trials
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["enter_phase", "promote"]

HOUR = 6.0
"""Hour of the day at which a gate is looked at."""

WAIVED_FOR = timedelta(days=29)

REASONS = {
    "1": "Phase 1 takes the mail of one team; each of these is due before phase 2.",
    "2": "Phase 2 takes the mail of one department; each of these is due within the month.",
}

MINUTES = {
    "quality": ("dana", "Quality, completion and truth of the week held; nobody asked for a change."),
    "owner": ("dana", "The owner went through every requirement that is waived and named a day for each."),
    "sponsor": ("vp", "The sponsor saw cost, volume and the incident, and wants phase 2 to be entered."),
    "permissions": ("sam", "Permissions were read line by line; the agent keeps the four tools that it has."),
    "runbooks": (
        "sam",
        "All six runbooks were followed in a drill; the one on truth names the ERP's screen.",
    ),
}
"""Who keeps which minutes before phase 2, and what they say."""


def enter_phase(stage: Stage) -> None:
    """Look at the gate of phase 1, and approve."""
    _collect(stage, PHASE_DAY)
    _ask(stage, "1", PHASE_DAY, approvers=("dana",))


def promote(stage: Stage, model: ModelServer) -> None:
    """Four weeks of phase 1 are over: collect what phase 2 asks for, look at its gate, approve, end what the incident began."""
    day = PROMOTION_DAY
    _collect(stage, day)
    stage.type(day, "gaps", "audit", hour=HOUR)
    with stage.people(day, HOUR):
        stage.type(day, "drill", "game-day", "--wait", "30", hour=HOUR, expects=None)
    stage.type(day, "evidence", "attest", "OWN-6", "--as", "vp", "--yes", hour=HOUR)
    stage.type(day, "evidence", "attest", "DATA-5", "--as", "dana", "--yes", hour=HOUR)
    stage.say(
        day,
        "the log is anchored: here in a folder beside it; elsewhere on a disk that its operator cannot write",
    )
    stage.type(day, "audit", "anchor", str(stage.place.home / "anchors"), "--outside", hour=HOUR)
    for review, (person, text) in MINUTES.items():
        stage.type(day, "minutes", review, "--as", person, "--text", text, hour=HOUR)
    with trials(stage, model):
        stage.type(
            day, "load", TARGET, "--times", "10", "--target-version", stage.version(), "--dataset",
            str(labelled(stage)), "--charter", str(stage.place.charter), "--scorer", "exact",
            "--rate", "60", "--max-cases", "100", "--skip-idle", "--journal", str(stage.place.home / "trials.db"), hour=HOUR, expects=None,
        )  # fmt: skip
    _ask(stage, "2", day, approvers=("dana", "vp"))
    stage.judge(day, HOUR + 0.1)
    stage.act(day, HOUR + 0.1)


def _collect(stage: Stage, day: int) -> None:
    """Collect what every gate asks for on its day."""
    stage.verify(day, HOUR)
    stage.plant_canary(day, HOUR)
    stage.type(day, "audit", "verify", hour=HOUR)
    stage.type(day, "report", "executive", AGENT, hour=HOUR)
    stage.type(day, "report", "residency", AGENT, hour=HOUR)
    compare_cases(stage, day, HOUR)
    stage.type(day, "dataset", "tail", hour=HOUR)
    stage.type(day, "watch", "tick", hour=HOUR)


def _ask(stage: Stage, phase: str, day: int, *, approvers: tuple[str, ...]) -> None:
    """Waive what is not proved, look at the gate, approve."""
    _waive(stage, stage.judge(day, HOUR, freeze=False), phase, day)
    stage.type(day, "phase", "request", phase, AGENT, "--as", "dana", hour=HOUR)
    for person in approvers:
        stage.type(day, "phase", "approve", AGENT, "--as", person, hour=HOUR)


def _waive(stage: Stage, found: Assessment, phase: str, day: int) -> None:
    """Let the sponsor waive, in one command, what the gate asks for and nothing proves yet."""
    gate = next(one for one in found.verdict.gates if one.gate == phase)
    left = [name for name in gate.closed if name not in NOT_WAIVABLE]
    if left:
        until = stage.moment(day, HOUR) + WAIVED_FOR
        stage.type(
            day, "evidence", "waive", *left, "--agent", AGENT, "--as", "vp", "--until", f"{until:%Y-%m-%d}",
            "--reason", REASONS[phase], hour=HOUR,
        )  # fmt: skip
