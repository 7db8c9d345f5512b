# SPDX-License-Identifier: Apache-2.0
"""The chapters between the gates: the repair after the failed verdict, an incident in phase 1, and the way back.

Each step is a command that a user can type, at a simulated moment; where a person must sign or answer, the demo plays
that person and says so.
"""

from __future__ import annotations

from typing import NamedTuple

from pilothouse.demo.furnish import PRICE_WORDS
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
from pilothouse.demo.traffic import INCIDENT_DAY, RECOVERED_DAY, REPAIR_DAY, SCOPED_DAY
from pilothouse.demo.triage_model import SWAPPED_MODEL
from pilothouse.demo.trial_runs import TARGET, compare_cases, labelled, trials

__all__ = ["fail_in_phase", "recover", "repair"]

SIGNATURES = (
    ("EVAL-4", "vp"), ("EVAL-4", "dana"), ("OWN-1", "dana"), ("OWN-4", "dana"), ("OWN-5", "vp"),
    ("OWN-10", "vp"), ("OWN-11", "vp"), ("INT-6", "dana"), ("DATA-5", "dana"),
    ("OWN-2", "dana"), ("OWN-2", "sam"), ("OWN-2", "lee"), ("OWN-2", "kim"), ("MON-5", "sam"), ("MON-5", "kim"),
)  # fmt: skip
"""Who signs what; the text is the charter's section in force."""

RUNBOOKS = tuple(
    f"runbooks/{name}.md" for name in ("quality", "completion", "truth", "cost", "escalation", "model")
)


class _Learnt(NamedTuple):
    """What the team says when an incident is over."""

    said: str
    cause: str
    impact: str
    action: str
    case: str


OF_THE_TRIAL = _Learnt(
    said="the version that said so is gone; the repaired one has passed the gate and begins tomorrow",
    cause="the agent said done before the ERP had booked",
    impact="invoices of the trial's two weeks, booked by hand",
    action="a narrower scope, and a prompt that leaves the rest to people",
    case="the cases of the release gate hold the kinds that it got wrong",
)
OF_THE_SHORTCUT = _Learnt(
    said="the version that held served for a week",
    cause="a prompt was released by hand",
    impact="one day of mail of one team, corrected on the same day",
    action="the folder of prompts can be written by the release alone",
    case="the cases of the release gate hold mail of that day's kind",
)


def repair(stage: Stage, model: ModelServer) -> None:
    """Narrow the scope, sign, rehearse, pass the release gate, and let the repaired version work for a week."""
    place, day = stage.place, REPAIR_DAY
    stage.chapter("Remediation: a narrower scope, and evidence for it")
    stage.say(
        day,
        "the team narrows charter and prompt to invoices that name their order; the provider restores the pin",
    )
    stage.say(
        day,
        "the charter now asks for 95 % of tasks to be checked, since disputed invoices are booked late, and promises "
        "alerts as early as this volume allows",
    )
    narrow_charter(place)
    narrow_prompt(place)
    stage.type(day, "verdict", AGENT, "--charter", str(place.charter), hour=7.0, expects=None)
    stage.type(
        day, "price", "openai", SWAPPED_MODEL, *PRICE_WORDS, "--from", f"{stage.began_at:%Y-%m-%d}",
        "--source", "the provider's invoice", hour=7.0,
    )  # fmt: skip
    for item, person in SIGNATURES:
        stage.type(day, "evidence", "attest", item, "--as", person, "--yes", hour=7.1)
    write_directory(place.home / "directory.csv")
    stage.type(day, "people", "check", "--directory", str(place.home / "directory.csv"), hour=7.2)
    stage.type(day, "drill", "owner-powers", "--as", "dana", hour=7.3)
    _rehearse(stage, model)
    _pass_gate(stage, model)
    stage.type(day, "drill", "model-upgrade", "--as", "dana", hour=7.6)
    _close_the_pilots_alarm(stage)
    stage.work("scoped", "pilot", model, lambda _day: "the repaired version, in the pilot")


def _rehearse(stage: Stage, model: ModelServer) -> None:
    """Give everybody an address, and rehearse page, alert and runbook; the people of the story answer."""
    day, pager = REPAIR_DAY, model.origin.replace("http://", "json://")
    for person in ("dana", "lee", "sam", "kim", "vp"):
        stage.type(day, "contact", "set", person, f"{pager}/pager/{person}", hour=7.3)
    with stage.people(day, 7.35):
        _correct(stage, day, 7.35)
        stage.type(day, "drill", "page", "--wait", "30", hour=7.35, expects=None)
        stage.type(day, "drill", "completion-drop", "--wait", "10", hour=7.35, expects=None)
        stage.type(day, "drill", "cost-burst", "--wait", "10", hour=7.35, expects=None)
        for runbook in RUNBOOKS:
            stage.type(
                day, "drill", "runbook", runbook, "--as", "sam", "--wait", "10", hour=7.35, expects=None
            )


def _correct(stage: Stage, day: int, hour: float) -> None:
    """Flag a real output; the reviewer corrects it, and a case comes of it for the next version of the dataset."""
    folder = stage.place.agent_folder / "datasets" / "corrections"
    stage.type(day, "drill", "correction", "--into", str(folder), "--wait", "20", hour=hour, expects=None)


def _pass_gate(stage: Stage, model: ModelServer) -> None:
    """Put the candidate through the release gate, on cases that accounts payable booked."""
    place, cases = stage.place, stage.place.home / "cases.jsonl"
    received = f"{stage.moment(REPAIR_DAY):%Y-%m-%d %H:%M}"
    write_cases(place, cases, received=received)
    with trials(stage, model):
        stage.type(REPAIR_DAY, "dataset", "add", str(labelled(stage)), str(cases), hour=7.4, at_home=False)
        compare_cases(stage, REPAIR_DAY, 7.4)
        stage.type(
            REPAIR_DAY, "gate", "--candidate", TARGET, "--candidate-version", stage.version(),
            "--dataset", str(labelled(stage)), "--charter", str(place.charter),
            "--scorer", "exact", "--journal", str(place.home / "trials.db"), hour=7.5, expects=None,
        )  # fmt: skip
    stage.type(REPAIR_DAY, "evidence", "attest", "EVAL-5", "--as", "sam", "--yes", hour=7.5)


def _close_the_pilots_alarm(stage: Stage) -> None:
    """Count the days of the failed version once its last claims are settled; end the incident which that opens."""
    day = SCOPED_DAY - 1
    stage.verify(day, 9.0)
    stage.type(day, "watch", "tick", hour=9.0)
    number = str(stage.newest_incident())
    stage.type(day, "incident", "acknowledge", number, "--as", "sam", hour=9.1)
    _end_incident(stage, day, number, 9.2, OF_THE_TRIAL)


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
    """Go back to the version that held, begin phase 1 anew, and say after a week what was learnt."""
    stage.chapter("Rollback, and a week of the version that held")
    stage.place.prompt.write_text(held, encoding="utf-8")
    day = INCIDENT_DAY
    number = str(stage.newest_incident())
    stage.type(day, "incident", "show", number, hour=18.1)
    stage.type(day, "incident", "acknowledge", number, "--as", "sam", hour=18.2)
    stage.type(
        day, "phase", "rollback", AGENT, "--to", "1", "--as", "sam", "--reason", "a prompt went around the gate",
        hour=18.3,
    )  # fmt: skip
    stage.type(day, "resume", AGENT, "--reason", "the version that held serves again", hour=18.4)
    with stage.people(day, 18.5):
        _correct(stage, day, 18.5)
    stage.work("recovery", "production", model, lambda _day: "the version that held, in phase 1")
    stage.chapter("Recovered: the incident is closed, phase 1 goes on")
    day = RECOVERED_DAY
    _end_incident(stage, day, number, 5.0, OF_THE_SHORTCUT)
    stage.verify(day, 5.2)
    stage.type(day, "report", "residency", AGENT, hour=5.2)
    stage.type(day, "verdict", AGENT, hour=5.3, expects=None)
    stage.type(day, "watch", "tick", hour=5.4)
    late = str(
        stage.newest_incident()
    )  # the alarm on what the incident's day claimed, now that its claims are settled
    stage.type(day, "incident", "acknowledge", late, "--as", "sam", hour=5.5)
    _end_incident(stage, day, late, 5.6, OF_THE_SHORTCUT)
    stage.work("team", "production", model, lambda _day: "phase 1: the mail of one team")


def _end_incident(stage: Stage, day: int, number: str, hour: float, learnt: _Learnt) -> None:
    """Resolve an incident, and review it."""
    stage.type(day, "incident", "resolve", number, "--as", "sam", "--text", learnt.said, hour=hour)
    stage.type(
        day, "incident", "review", number, "--as", "dana", "--cause", learnt.cause, "--impact", learnt.impact,
        "--action", learnt.action, "--complaint", "none", "--case", learnt.case, hour=hour + 0.1,
    )  # fmt: skip
