# SPDX-License-Identifier: Apache-2.0
"""Look at an installation the way an experienced operator would, and say what to do about what is found."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path

import pilothouse
from pilothouse.core.charter.answers import is_open
from pilothouse.core.dates import calendar_day, minute
from pilothouse.errors import CharterError, PilothouseError
from pilothouse.ports.clock import Clock
from pilothouse.ports.intake import Intake
from pilothouse.ports.lake import Lake, disk_floor_bytes
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.reports.words import plural
from pilothouse.settings import LOOPBACK_HOSTS, Settings
from pilothouse.workflows.drills.canary_trace import record_canary
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations.sources import look_at_sources
from pilothouse.workflows.server.checkup import Check, Checkup
from pilothouse.workflows.server.doctor_server import road_checks, server_checks, usage_checks
from pilothouse.workflows.traces.reconcile import gap_alerts
from pilothouse.workflows.traces.retention import RETENTION_KIND, retention_rules

__all__ = ["examine"]


def examine(
    settings: Settings,
    clock: Clock,
    *,
    open_installation: Callable[[Settings], AbstractContextManager[Installation]],
    ask_server: Callable[[], tuple[str, dict[str, object] | None] | None],
    intake: Intake | None = None,
    further_checks: Callable[[Settings], Iterator[Check]] = lambda _settings: iter(()),
) -> Checkup:
    """Look at settings, disk, storage, server, charters and telemetry.

    What it measures for a requirement, a planted trace and the knowledge sources, is put on record.

    Args:
        settings: Values in force.
        clock: The time.
        open_installation: Opens lake and ledger; a failure becomes a check, not an error.
        ask_server: Returns the noted address and what the server there says, or None without a note.
        intake: The road of telemetry into the running server, on which a trace is planted; None without a server.
        further_checks: Checks of what only its own room can open: the key of the log, files of the lake.
    """
    told = ask_server()
    checks = [
        *_settings_checks(settings),
        _disk_check(settings),
        *_folder_check(settings),
        *server_checks(settings, told),
        _LIMITS,
    ]
    health = None if told is None else told[1]
    checks += [*road_checks(health), *usage_checks(health)]
    try:
        with open_installation(settings) as installation:
            checks += _ledger_checks(installation.ledger)
            checks += _retention_checks(installation.ledger)
            checks += _gap_checks(installation.ledger)
            checks += _telemetry_checks(installation.lake, installation.ledger)
            if told is not None and told[1] is not None and intake is not None:
                checks.append(_canary_check(installation, intake, clock.now()))
            checks += _source_checks(installation, clock.now())
    except PilothouseError as error:
        checks.append(Check(name="storage", state="failed", sentence=error.message, remedy=error.remedy))
    try:  # also where the lake could not be opened: it may be just that file
        checks += further_checks(settings)
    except PilothouseError as error:
        checks.append(Check(name="tables", state="failed", sentence=error.message, remedy=error.remedy))
    return Checkup(as_of=clock.now(), program=pilothouse.__version__, checks=tuple(checks))


_LIMITS = Check(
    name="limits",
    state="ok",
    sentence="Each process counts for itself: rate limits, slots and breakers of tools, and breakers at the gateway. With n gateways or "
    "agent processes a limit lets through up to n times as much; budgets of a day and of a run are shared through the ledger, a run's from "
    "a quarter of a limit on.",
)
"""Whoever runs several processes on one ledger reads here what they do not share."""


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
        "shared_ids": ", ".join(sorted(settings.shared_ids)) or "none",
    }
    for name, source in settings.sources:
        value = shown[name] if name in shown else getattr(settings, name)
        yield Check(name=f"setting {name}", state="ok", sentence=f"{value or 'not set'} (from {source}).")
    if settings.host not in LOOPBACK_HOSTS:
        yield Check(
            name="host",
            state="failed",
            sentence=f"{settings.host} is not loopback, and `pilothouse up` opens no other address.",
            remedy="Set PILOTHOUSE_HOST to 127.0.0.1 and put a proxy with TLS and sign-in in front.",
        )
    if settings.lake_folder.exists() and not settings.lake_folder.is_dir():
        yield Check(
            name="lake",
            state="failed",
            sentence=f"{settings.lake_folder} is no folder, so no telemetry can be read or kept.",
            remedy="Put the folder back from a backup, or remove what stands in its place.",
        )


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


def _folder_check(settings: Settings) -> Iterator[Check]:
    """Say whether other users of this machine can read what agents were told."""
    home = settings.home.resolve()
    if os.name != "posix" or not home.is_dir():
        return
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (home, *home.parents)]
    if modes[0] & stat.S_IRWXO and all(mode & stat.S_IXOTH for mode in modes[1:]):
        yield Check(
            name="data folder",
            state="warning",
            sentence=f"Every user of this machine can read {home}: telemetry, ledger and the addresses at which people are paged.",
            remedy=f"chmod o-rwx {shlex.quote(str(home))}",
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
        try:
            charter_of(charter)
        except CharterError as error:  # nobody is judged, signed in or let act by it
            yield Check(
                name=f"charter {charter.agent}",
                state="failed",
                sentence=f"{error.message[:1].upper()}{error.message[1:]}.",
                remedy=error.remedy,
            )
            continue
        said = f"Number {charter.number}, in force since {minute(charter.accepted_at)}, from {charter.path}"
        if Path(charter.path).is_file():
            yield Check(name=f"charter {charter.agent}", state="ok", sentence=f"{said}.")
            continue
        yield Check(  # an agent's folder was moved, or a copy was restored on another machine
            name=f"charter {charter.agent}",
            state="warning",
            sentence=f"{said}, which is not there: it holds, and what lies beside it (verifiers, contracts, runbooks) cannot be read.",
            remedy="pilothouse verdict --charter WHERE-IT-IS-NOW/charter.yaml",
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
            kept += f" Last: {gone['what']} of {gone['rows']:,} rows before {calendar_day(date.fromisoformat(gone['before']))}."
        yield Check(name=f"retention {rule.agent}", state="ok", sentence=kept)


def _is_unpinned(record: CharterInForce) -> bool:
    """Whether a charter leaves open which model it is, so that `run` has no version to report."""
    try:
        pin = charter_of(record).model.pin
    except CharterError:
        return False
    return is_open(pin.provider) or is_open(pin.model)


def _telemetry_checks(lake: Lake, ledger: Ledger) -> Iterator[Check]:
    seen = lake.agents()
    if not seen:
        yield Check(
            name="telemetry",
            state="warning",
            sentence="No task has arrived yet.",
            remedy="pilothouse run -- YOUR-COMMAND",
        )
    chartered = {charter.agent: charter for charter in ledger.charters()}
    for agent in seen:
        sentence = f"{plural(agent.tasks, 'task')} of {agent.agent!r}."
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
                sentence=f"{sentence} No span names a version (`pilothouse.version`), so no evidence can be bound to one."
                + (" The charter leaves its model open." if _is_unpinned(chartered[agent.agent]) else ""),
                remedy="pilothouse check"
                if _is_unpinned(chartered[agent.agent])
                else "pilothouse run -- YOUR-COMMAND",
            )
        else:
            yield Check(name=f"agent {agent.agent}", state="ok", sentence=sentence)
