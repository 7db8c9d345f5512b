# SPDX-License-Identifier: Apache-2.0
"""Fourteen simulated days of one agent, from its first mail to an honest verdict, in under a minute.

Traffic, model server, ERP and agent are the demo's. Everything from the first span on is the product's ordinary path:
a running server takes the spans in, the charter's verifier asks the ERP, and the verdict is computed from what was
found. No number of the result is written down anywhere in the demo.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pilothouse.connectors.own_server import ask_health, read_server
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.demo.furnish import furnish
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.place import DemoPlace, claim_place, find_place, mark_finished, read_beginning
from pilothouse.demo.traffic import CHANGE_DAY, DAYS, FRANCS_PER_EURO, PILOT_DAYS
from pilothouse.demo.triage_model import answer_as_provider
from pilothouse.errors import InfrastructureError, UsageError
from pilothouse.ports.clock import Clock
from pilothouse.ports.intake import Intake
from pilothouse.runtime.launcher import Launch, agent_environment
from pilothouse.settings import Settings
from pilothouse.workflows.assess import Assessment, assess
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.launch import summarize_charter
from pilothouse.workflows.show import report_of
from pilothouse.workflows.verify import VerifyLimits, verify_due

__all__ = ["AGENT", "DemoParts", "DemoResult", "Step", "judge_demo", "prepare_demo", "run_demo"]

AGENT = "ap-invoice-triage"
START_WAIT_S = 30.0
"""A server that has not answered by then has failed; its log says why."""

STOP_WAIT_S = 60.0
POLL_S = 0.05
VERIFY_LIMITS = VerifyLimits(calls_max=5_000, tick_s=30.0)
VERIFY_TICKS_MAX = 10
"""Far above what two weeks of mail need; a verifier that never settles must not hold the demo for ever."""

NEEDED = ("openai", "opentelemetry.sdk", "pydantic_ai")
"""Packages of the `demo` extra that the agent imports."""

CODE = ("agent.py", "erp.py")
"""Files that are the agent's code, for its version."""

DAY_NOTES: Mapping[int, str] = {
    1: "the pilot: clean invoices that somebody chose",
    PILOT_DAYS + 1: "production: whatever arrives in the shared inbox",
    CHANGE_DAY: "the provider changes the model behind the same name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoParts:
    """What the demo needs from the composition root.

    Attributes:
        clock: The time; the last simulated day ends now.
        open_installation: Open lake and ledger of some settings.
        open_intake: Open the lake for writing; what it took is folded at the end.
    """

    clock: Clock
    open_installation: Callable[[Settings], AbstractContextManager[Installation]]
    open_intake: Callable[[Settings], AbstractContextManager[Intake]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of progress.

    Attributes:
        text: What happens.
        day: Simulated day, or None outside of them.
        tasks: Tasks finished on that day.
    """

    text: str
    day: int | None = None
    tasks: int = 0

    @property
    def line(self) -> str:
        """The step as one line of text.

        Example:
            >>> Step(text="the pilot", day=1, tasks=25).line
            'day  1   25 tasks  the pilot'
        """
        day = f"day {self.day:2}  {self.tasks:3} tasks  " if self.day is not None else ""
        return f"{day}{self.text}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What a run of the demo left behind.

    Attributes:
        place: Its folder.
        pilot: What could be said on the evening of the second day, when the pilot was over.
        assessment: What can be said now.
    """

    place: DemoPlace
    pilot: Assessment
    assessment: Assessment

    @property
    def verdict(self) -> AgentVerdict:
        """The verdict on the demo's agent."""
        return self.assessment.verdict


def run_demo(
    settings: Settings, parts: DemoParts, *, on_step: Callable[[Step], None], scale: float = 1.0
) -> DemoResult:
    """Run the whole story.

    Args:
        settings: Settings of the user's installation; the demo gets a folder of its own below its home.
        parts: From the composition root.
        on_step: Told about progress.
        scale: Share of the full volume, above 0 and at most 1.

    Returns:
        Where the data lie and what was found.

    Raises:
        UsageError: The packages of the demo's agent are not installed, or the folder is somebody else's.
        InfrastructureError: Server or agent did not start or failed.
    """
    _need_packages()
    place = claim_place(settings)
    on_step(Step(text=f"making two weeks of mail, an ERP and a model server in {place.home}"))
    began_at = parts.clock.now() - timedelta(days=DAYS)
    with parts.open_installation(place.settings) as installation:
        furnish(place, installation.ledger, began_at=began_at, scale=scale)
    with _model_server(began_at + timedelta(days=CHANGE_DAY - 1)) as model, _server(place) as address:
        on_step(Step(text=f"Pilothouse takes in telemetry at {address}"))
        for name in ("pilot", "production"):
            for day, tasks in _work(place, name, model, address):
                on_step(Step(text=DAY_NOTES.get(day, ""), day=day, tasks=tasks))
    with parts.open_intake(place.settings):
        # The server is gone; opening the lake folds the tasks whose quiet time it did not wait for.
        pass
    on_step(Step(text="asking the ERP about every claim, and computing the verdict"))
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
    """Verify what is due, compute the verdict of this moment and write the report.

    Args:
        place: The place of a finished run.
        parts: From the composition root.
    """
    now = parts.clock.now()
    with parts.open_installation(place.settings) as installation:
        _verify(installation, now)
        pilot = assess(installation, AGENT, read_beginning(place) + timedelta(days=PILOT_DAYS), freeze=False)
        assessment = assess(installation, AGENT, now)
        place.report.write_text(report_of(installation, assessment), encoding="utf-8")
    return DemoResult(place=place, pilot=pilot, assessment=assessment)


def _verify(installation: Installation, now: datetime) -> None:
    """Ask the charter's verifier until nothing is due; a broken verifier is a defect of the demo."""
    for _ in range(VERIFY_TICKS_MAX):
        report = verify_due(installation, now, agent=AGENT, thorough=True, limits=VERIFY_LIMITS)
        if report.problems:
            raise InfrastructureError(
                f"the demo's verifier failed: {report.problems[0].text}",
                remedy="Run it again: `pilothouse demo`.",
            )
        if not report.more:
            return


def _need_packages() -> None:
    """Refuse early and clearly where the demo's agent cannot run."""
    # Only looked for, not imported: the agent runs in a process of its own, and its imports take seconds.
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the demo's agent needs {' and '.join(missing)}, which is not installed",
            remedy="Install it: `pip install 'pilothouse[demo]'`",
        )


def _model_server(changes_at: datetime) -> ModelServer:
    """Return the provider, with the rate service that one of the agent's tools calls."""

    async def rate(_request: Request) -> JSONResponse:
        return JSONResponse({"rate": 1 / FRANCS_PER_EURO})

    return ModelServer(
        partial(answer_as_provider, changes_at=changes_at),
        further_routes=(Route("/latest/{source}/{target}", rate),),
    )


@contextmanager
def _server(place: DemoPlace) -> Iterator[str]:
    """Run `pilothouse up` on the demo's folder and yield its address; stopped with SIGTERM, as operators do."""
    command = [sys.executable, "-m", "pilothouse", "up", "--port", "0", "--home", str(place.home)]
    with place.server_log.open("wb") as log:
        process = subprocess.Popen(command, cwd=place.home, stdout=log, stderr=log)  # noqa: S603 - our own program with our own words
    try:
        yield _wait_until_ready(process, place)
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"the server did not stop within {STOP_WAIT_S:.0f} s", remedy=f"Read {place.server_log}."
        ) from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise InfrastructureError(
            f"the server ended with status {process.returncode}", remedy=f"Read {place.server_log}."
        )


def _wait_until_ready(process: subprocess.Popen[bytes], place: DemoPlace) -> str:
    deadline = time.monotonic() + START_WAIT_S
    while time.monotonic() < deadline and process.poll() is None:
        noted = read_server(place.home)
        if noted is not None and ask_health(noted.url) is not None:
            return noted.url
        time.sleep(POLL_S)
    raise InfrastructureError("the server did not start", remedy=f"Read {place.server_log}.")


def _work(place: DemoPlace, name: str, model: ModelServer, address: str) -> Iterator[tuple[int, int]]:
    """Run the agent on one inbox in a process of its own; yield each finished day and its tasks."""
    revision = sha256(b"".join((Path(__file__).parent / file).read_bytes() for file in CODE)).hexdigest()
    launch = Launch(
        endpoint=address,
        agent=AGENT,
        version=summarize_charter(place.charter, revision=revision).version,
        environment=name,
        base_url=model.base_url,
    )
    environment = agent_environment(launch, os.environ)
    environment |= {"OPENAI_API_KEY": "offline", "DEMO_RATES_PROXY": model.origin}
    command = [sys.executable, "-m", "pilothouse.demo.agent", "--inbox", str(place.inbox(name))]
    command += ["--erp", str(place.erp), "--prompt", str(place.agent_folder / "prompts" / "system.md")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program with our own words
        try:
            for line in process.stdout or ():
                with contextlib.suppress(ValueError):
                    done = json.loads(line)
                    yield int(done["day"]), int(done["tasks"])
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise InfrastructureError(
            f"the demo's agent ended with status {process.returncode}",
            remedy=f"Read what it printed above, and {place.server_log}.",
        )
