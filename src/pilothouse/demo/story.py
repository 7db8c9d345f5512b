# SPDX-License-Identifier: Apache-2.0
"""Eight and a half simulated weeks of one agent: a pilot that fails its verdict, its repair, phase 1, an incident, phase 2.

Traffic, model server, ERP and agent are the demo's. Everything from the first span on is the product's ordinary path:
telemetry goes in by OTLP, the charter's verifier asks the ERP, each step is a command, and each verdict is computed from
what was found. No number of the result is written down anywhere in the demo.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec

from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.demo.agent_process import AgentProcess
from pilothouse.demo.chapters import fail_in_phase, recover, repair
from pilothouse.demo.furnish import furnish
from pilothouse.demo.gates import enter_phase, promote
from pilothouse.demo.gateway import gateway_process, replay_a_run
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.parts import DemoParts, Step
from pilothouse.demo.place import AGENT, DemoPlace, claim_place, find_place, mark_finished, read_beginning
from pilothouse.demo.provider import provider_of_the_story
from pilothouse.demo.stage import Stage
from pilothouse.demo.traffic import CHANGE_DAY, DAYS, PILOT_DAYS, STORY_DAYS
from pilothouse.errors import UsageError
from pilothouse.settings import Settings
from pilothouse.workflows.reports.show import report_of
from pilothouse.workflows.verdict.assess import Assessment, assess

__all__ = ["AGENT", "DemoResult", "judge_demo", "prepare_demo", "run_demo"]

NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter")
"""Packages of the `demo` extra that the agent imports."""

DAY_NOTES = {
    1: "the pilot: clean invoices that somebody chose",
    PILOT_DAYS + 1: "whatever arrives in the shared inbox",
    CHANGE_DAY: "the provider changes the model behind the same name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What a run of the demo left behind.

    Attributes:
        place: Its folder.
        pilot: What could be said on the evening of the second day, when the pilot was over.
        failed: What could be said after fourteen days.
        assessment: What can be said now.
    """

    place: DemoPlace
    pilot: Assessment
    failed: Assessment
    assessment: Assessment

    @property
    def verdict(self) -> AgentVerdict:
        """The verdict on the demo's agent after fourteen days: the one that sends it to repair."""
        return self.failed.verdict


def run_demo(settings: Settings, parts: DemoParts, *, on_step: Callable[[Step], None]) -> DemoResult:
    """Run the whole story.

    Args:
        settings: Settings of the user's installation; the demo gets a folder of its own below its home.
        parts: From the composition root.
        on_step: Told about progress.

    Returns:
        Where the data lie and what was found.

    Raises:
        UsageError: The packages of the demo's agent are not installed, or the folder is somebody else's.
        InfrastructureError: The agent failed, or a command did not end as the story needs.
    """
    _need_packages()
    place = claim_place(settings)
    began_at = parts.clock.now() - timedelta(days=STORY_DAYS)
    on_step(Step(text=f"making weeks of mail, an ERP and a model server in {place.home}"))
    with parts.open_installation(place.settings) as installation:
        furnish(place, installation.ledger, began_at=began_at)
    with closing(AgentProcess()) as agent_process:
        _play(
            Stage(place=place, parts=parts, began_at=began_at, agent_process=agent_process, on_step=on_step)
        )
    mark_finished(place, began_at=began_at)
    return judge_demo(place, parts)


def prepare_demo(settings: Settings, parts: DemoParts, *, on_step: Callable[[Step], None]) -> Settings:
    """Return the settings of the demo's own installation; runs the demo first when there is none yet.

    Args:
        settings: Settings of the user's installation.
        parts: From the composition root.
        on_step: Told about progress.
    """
    place = find_place(settings) or run_demo(settings, parts, on_step=on_step).place
    return place.settings


def judge_demo(place: DemoPlace, parts: DemoParts) -> DemoResult:
    """Judge a finished run: as of the pilot's end, of the failed verdict, and of this moment; write the report.

    Args:
        place: The place of a finished run.
        parts: From the composition root.
    """
    now, began_at = parts.clock.now(), read_beginning(place)
    with parts.open_installation(place.settings) as installation:
        pilot = assess(installation, AGENT, began_at + timedelta(days=PILOT_DAYS), freeze=False)
        failed = assess(installation, AGENT, began_at + timedelta(days=DAYS), freeze=False)
        assessment = assess(installation, AGENT, now)
        place.report.write_text(report_of(installation, assessment), encoding="utf-8")
    return DemoResult(place=place, pilot=pilot, failed=failed, assessment=assessment)


def _play(stage: Stage) -> None:
    """Every chapter, in order."""
    with provider_of_the_story(stage.began_at) as model:
        _fail(stage, model)
        repair(stage, model)
        stage.chapter("Phase 1: the gate, with its conditions")
        enter_phase(stage)
        held = fail_in_phase(stage, model)
        recover(stage, model, held)
        with gateway_process(stage.place) as gateway:
            stage.chapter("Promotion: four weeks of phase 1, and the gate of phase 2")
            promote(stage, model)
            stage.chapter("Behind the gateway: the day's mail is recorded, and one run is played again")
            replay_a_run(stage, model, gateway)


def _fail(stage: Stage, model: ModelServer) -> None:
    """The first fourteen days: a brilliant pilot, real mail, and a verdict."""
    stage.chapter("The pilot")
    stage.type(1, "value", "seal", AGENT, "--as", "dana", hour=1.0)
    stage.work("pilot", "pilot", model, lambda day: DAY_NOTES.get(day, ""))
    stage.chapter("Real mail, and the verdict on it")
    stage.work("production", "pilot", model, lambda day: DAY_NOTES.get(day, ""))
    stage.verify(DAYS, 24.0)
    stage.type(DAYS, "verdict", AGENT, hour=24.0, expects=1)


def _need_packages() -> None:
    """Refuse early and clearly where the demo's agent cannot run."""
    # Only looked for, not imported: the agent runs in a process of its own, and its imports take seconds.
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the demo's agent needs {' and '.join(missing)}, which is not installed",
            remedy="Install it: `pip install 'pilothouse[demo]'`",
        )
