# SPDX-License-Identifier: Apache-2.0
"""Look at an installation the way an experienced operator would, and say what to do about what is found."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

import pilothouse
from pilothouse.errors import PilothouseError
from pilothouse.ports.clock import Clock
from pilothouse.ports.intake import Intake
from pilothouse.ports.lake import Lake, disk_floor_bytes
from pilothouse.ports.ledger import Ledger
from pilothouse.settings import Settings
from pilothouse.workflows.canary_trace import record_canary
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.reconcile import gap_alerts
from pilothouse.workflows.retention import RETENTION_KIND, retention_rules
from pilothouse.workflows.sources import look_at_sources

__all__ = ["Check", "Checkup", "examine"]

ROAD_KEYS = frozenset(
    {"busy_reason", "freshness_s", "gap", "last_error", "open_traces", "pending", "rows", "wal_bytes"}
)
"""What a server of this version tells about its telemetry."""

State = Literal["ok", "warning", "failed"]


class Check(BaseModel):
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        state: `ok`, `warning` or `failed`.
        sentence: What was found.
        remedy: What to type; empty when nothing is needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: State
    sentence: str
    remedy: str = ""


class Checkup(BaseModel):
    """Everything that was looked at, in order.

    Attributes:
        as_of: When, aware UTC.
        program: Version of Pilothouse.
        checks: What was found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: AwareDatetime
    program: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return any(check.state == "failed" for check in self.checks)


def examine(
    settings: Settings,
    clock: Clock,
    *,
    open_installation: Callable[[Settings], AbstractContextManager[Installation]],
    ask_server: Callable[[], tuple[str, dict[str, object] | None] | None],
    intake: Intake | None = None,
    lake_checks: Callable[[Settings], Iterator[Check]] = lambda _settings: iter(()),
) -> Checkup:
    """Look at settings, disk, storage, server, charters and telemetry.

    What it measures for a requirement, a planted trace and the knowledge sources, is put on record.

    Args:
        settings: Values in force.
        clock: The time.
        open_installation: Opens lake and ledger; a failure becomes a check, not an error.
        ask_server: Returns the noted address and what the server there says, or None without a note.
        intake: The road of telemetry into the running server, on which a trace is planted; None without a server.
        lake_checks: Further checks that the lake makes on itself.
    """
    told = ask_server()
    checks = [*_settings_checks(settings), _disk_check(settings), _server_check(settings, told)]
    checks += _road_checks(None if told is None else told[1])
    try:
        with open_installation(settings) as installation:
            checks += _ledger_checks(installation.ledger)
            checks += _retention_checks(installation.ledger)
            checks += _gap_checks(installation.ledger)
            checks += _telemetry_checks(installation.lake, installation.ledger)
            if told is not None and told[1] is not None and intake is not None:
                checks.append(_canary_check(installation, intake, clock.now()))
            checks += _source_checks(installation, clock.now())
        checks += lake_checks(settings)
    except PilothouseError as error:
        checks.append(Check(name="storage", state="failed", sentence=error.message, remedy=error.remedy))
    return Checkup(as_of=clock.now(), program=pilothouse.__version__, checks=tuple(checks))


def _settings_checks(settings: Settings) -> Iterator[Check]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Check(
        name="program", state="ok", sentence=f"Pilothouse {pilothouse.__version__} on Python {python}."
    )
    shown = {
        "allowed_hosts": ", ".join(settings.allowed_hosts) or "loopback only",
        "ingest_items_per_s": f"{settings.ingest_items_per_s:,}",
        "ingest_bytes_per_day": f"{settings.ingest_bytes_per_day:,}",
        "ledger": "another database" if settings.ledger else "a file in the data folder",
        "proxy_header": settings.proxy_header or "none",
    }
    for name, source in settings.sources:
        value = shown[name] if name in shown else getattr(settings, name)
        yield Check(name=f"setting {name}", state="ok", sentence=f"{value or 'not set'} (from {source}).")


def _disk_check(settings: Settings) -> Check:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    floor = disk_floor_bytes(usage.total)
    free_gib, floor_gib = usage.free / (1 << 30), floor / (1 << 30)
    sentence = f"{free_gib:.1f} GiB free at {folder}; telemetry is refused below {floor_gib:.1f} GiB."
    if usage.free <= floor:
        return Check(
            name="disk", state="failed", sentence=sentence, remedy="Free space, or move PILOTHOUSE_HOME."
        )
    return Check(name="disk", state="warning" if usage.free < 2 * floor else "ok", sentence=sentence)


def _server_check(settings: Settings, told: tuple[str, dict[str, object] | None] | None) -> Check:
    start = f"pilothouse up --home {settings.home}"
    if told is None:
        return Check(
            name="server", state="warning", sentence="No server runs on this data folder.", remedy=start
        )
    url, health = told
    if health is None:
        sentence = f"A server was noted at {url} and does not answer; acknowledged telemetry is replayed at the next start."
        return Check(name="server", state="failed", sentence=sentence, remedy=start)
    ticks = health.get("ticks")
    known = [tick for tick in (ticks if isinstance(ticks, list) else []) if isinstance(tick, dict)]
    failing = [f"{tick['name']}: {tick['last_error']}" for tick in known if tick.get("failures")]
    if failing:
        sentence = f"{url} answers; background work fails: {'; '.join(failing)}"
        return Check(
            name="server", state="warning", sentence=sentence, remedy="See the message of the failing part."
        )
    work = ", ".join(f"{tick['name']} {tick.get('runs', 0):,}" for tick in known)
    sentence = f"{url} answers." + (f" Runs of its background work: {work}." if work else "")
    return Check(name="server", state="ok", sentence=sentence)


def _road_checks(health: dict[str, object] | None) -> Iterator[Check]:
    """Say what the running server counts: did everything acknowledged reach the tables, and how fast."""
    told = health.get("telemetry") if health else None
    if not isinstance(told, dict):
        return
    if not told.keys() >= ROAD_KEYS:
        yield Check(
            name="telemetry books",
            state="warning",
            sentence="The running server is of another program version and counts differently.",
            remedy="Stop it and start it again: pilothouse up",
        )
        return
    raw = told.get("counters")
    counted = {str(name): int(value) for name, value in raw} if isinstance(raw, list) else {}
    books = (
        f"{counted.get('received', 0):,} items received, {counted.get('rejected', 0):,} rejected, "
        f"{counted.get('acked', 0):,} acknowledged, {counted.get('replayed', 0):,} replayed, "
        f"{counted.get('deduplicated', 0):,} deduplicated, {told['pending']:,} pending, "
        f"{told['rows']:,} queryable; gap {told['gap']:,}."
    )
    is_open = bool(health and health.get("gap_alert"))
    yield Check(
        name="telemetry books",
        state="failed" if is_open else "warning" if told["gap"] else "ok",
        sentence=books,
        remedy="Keep the lake folder as it is and open /health." if is_open else "",
    )
    road = (
        f"queryable {told['freshness_s']:.2f} s after receipt at worst in the last minute, "
        f"{told['wal_bytes'] / (1 << 20):.1f} MiB of log, {told['open_traces']:,} open traces."
    )
    busy = str(told["busy_reason"])
    yield Check(
        name="telemetry road",
        state="failed" if busy else "ok",
        sentence=f"Refused for now: {busy}; {road}" if busy else road[:1].upper() + road[1:],
        remedy="Senders try again by themselves; free the disk if it is full." if busy else "",
    )
    if told["last_error"]:
        yield Check(
            name="telemetry errors",
            state="warning",
            sentence=str(told["last_error"]).strip().splitlines()[-1],
        )


def _canary_check(installation: Installation, intake: Intake, now: datetime) -> Check:
    found = record_canary(installation, intake, now, command="pilothouse doctor")
    return Check(
        name="planted trace",
        state="ok" if found.seconds is not None else "failed",
        sentence=f"{found.sentence[:1].upper()}{found.sentence[1:]}.",
        remedy=""
        if found.seconds is not None
        else "Free the disk if it is full, then start again: pilothouse up",
    )


def _source_checks(installation: Installation, now: datetime) -> Iterator[Check]:
    for found in look_at_sources(installation, now, command="pilothouse doctor"):
        yield Check(
            name=f"source {found.scope.part} of {found.agent}",
            state="ok" if found.passed else "warning",
            sentence=found.detail,
            remedy="" if found.passed else "Bring it up to date, or name another `path` under `sources`.",
        )


def _gap_checks(ledger: Ledger) -> Iterator[Check]:
    for alert in gap_alerts(ledger)[:1]:
        is_open = alert.closed_at is None
        yield Check(
            name="telemetry alert",
            state="failed" if is_open else "warning" if alert.began_anew else "ok",
            sentence=f"{alert.sentence[:1].upper()}{alert.sentence[1:]}.",
            remedy="Keep the lake folder as it is; `pilothouse doctor --json` has what to report."
            if is_open
            else "",
        )


def _ledger_checks(ledger: Ledger) -> Iterator[Check]:
    charters = ledger.charters()
    if not charters:
        yield Check(
            name="charters",
            state="warning",
            sentence="No charter is in force, so no verdict is possible.",
            remedy="pilothouse init PATH-TO-YOUR-AGENT",
        )
    for charter in charters:
        yield Check(
            name=f"charter {charter.agent}",
            state="ok",
            sentence=f"Number {charter.number}, in force since {charter.accepted_at:%Y-%m-%d %H:%M} UTC, from {charter.path}.",
        )


def _retention_checks(ledger: Ledger) -> Iterator[Check]:
    """Say how long the telemetry of each agent is kept, and what was taken away last."""
    for rule in retention_rules(ledger):
        kept = (
            f"What was said is kept for {rule.payload_days:,} days, spans for {rule.spans_days:,}, "
            f"tasks for {rule.tasks_days:,}; decisions are never removed."
        )
        last = ledger.decisions(rule.agent, kind=RETENTION_KIND, limit=1)
        if last:
            gone = json.loads(last[0].document)
            kept += f" Last: {gone['what']} of {gone['rows']:,} rows before {gone['before']}."
        yield Check(name=f"retention {rule.agent}", state="ok", sentence=kept)


def _telemetry_checks(lake: Lake, ledger: Ledger) -> Iterator[Check]:
    seen = lake.agents()
    if not seen:
        yield Check(
            name="telemetry",
            state="warning",
            sentence="No task has arrived yet.",
            remedy="pilothouse run -- YOUR-COMMAND",
        )
    chartered = {charter.agent for charter in ledger.charters()}
    for agent in seen:
        sentence = f"{agent.tasks} tasks of {agent.agent!r}."
        if agent.agent not in chartered:
            yield Check(
                name=f"agent {agent.agent}",
                state="warning",
                sentence=f"{sentence} No charter is in force for it.",
                remedy="pilothouse verdict --charter charter.yaml",
            )
        elif not agent.versions:
            yield Check(
                name=f"agent {agent.agent}",
                state="warning",
                sentence=f"{sentence} No span names a version (`pilothouse.version`), so no evidence can be bound to one.",
                remedy="pilothouse run -- YOUR-COMMAND",
            )
        else:
            yield Check(name=f"agent {agent.agent}", state="ok", sentence=sentence)
