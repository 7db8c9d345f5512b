# SPDX-License-Identifier: Apache-2.0
"""The recurring work of a running server: charters that changed, claims to verify, prices to know, verdicts to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pilothouse.errors import CharterError, PilothouseError
from pilothouse.ports.intake import Intake
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.upkeep import LakeUpkeep
from pilothouse.workflows.controls.policy_change import widening_note
from pilothouse.workflows.curation.erasure import carry_out_erasures
from pilothouse.workflows.curation.export_places import drop_unfinished_exports
from pilothouse.workflows.drills.canary_trace import CANARY_EVERY_S, record_canary
from pilothouse.workflows.gateway.price_list import PRICES_EVERY_S, PriceList
from pilothouse.workflows.gateway.refused_connections import REFUSALS_EVERY_S, take_refusals
from pilothouse.workflows.ground.background import Tick
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations.sources import SOURCES_EVERY_S, look_at_sources
from pilothouse.workflows.integrations.tool_runs import TOOL_RUNS_EVERY_S, look_at_tool_runs
from pilothouse.workflows.integrations.verify import verify_due
from pilothouse.workflows.phases.change_freeze import FREEZE_LOOK_EVERY_S, look_at_changes
from pilothouse.workflows.reports.inputs_week import INPUTS_EVERY_S, InputsWatch
from pilothouse.workflows.traces.retention import apply_retention, reprice
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.history import freeze_changes
from pilothouse.workflows.verdict.kept_pages import Judge, unfrozen
from pilothouse.workflows.verdict.residency import RESIDENCY_LOOK_EVERY_S, renew_residency
from pilothouse.workflows.verdict.stability import keep_days

__all__ = ["CharterWatch", "Keeper", "VerifierNotes", "server_ticks"]

VERIFY_EVERY_S = 5.0
"""An outcome follows its task by seconds; a tick without work costs 0.1 s CPU at 36,000 tasks."""

VERIFY_ALL_EVERY_S = 3_600.0
"""Late imports may lie behind pages of settled tasks: once an hour everything is looked through."""

CHARTERS_EVERY_S = 2.0

ERASURES_EVERY_S = 60.0
"""How soon a running server empties what somebody asked to erase; a look is one query."""

RETENTION_EVERY_S = 3_600.0
"""Days end once a day; a charter that shortens its retention takes effect within the hour."""

ASSESS_EVERY_S = 300.0
"""How long a change of a verdict may go unrecorded; judging one agent takes a second or two."""


NOTED_EVERY = timedelta(hours=1)
"""A verifier that cannot be asked is told to whoever watches the server this often."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DAYS_EVERY_S = 600.0
"""A finished day is written within ten minutes of its hour; a tick without work reads one page of the ledger."""


_Stamps = tuple[tuple[int, int] | None, ...]
"""Times and sizes of a charter file and of the files that it names."""


class CharterWatch:
    """Puts a charter file into force again whenever it, or a file that it names, changed on the disk.

    Args:
        ledger: Where charters stand.
        paths: Files to watch.
        on_note: Told in one sentence what came of a change.
    """

    def __init__(self, ledger: Ledger, paths: Sequence[Path], on_note: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._on_note = on_note
        named = {one.path: [name for name, _ in one.files or ()] for one in ledger.charters()}
        self._named: dict[Path, list[str]] = {path: named.get(str(path.absolute()), []) for path in paths}
        self._stamps: dict[Path, _Stamps] = {path: self._look_at(path) for path in paths}

    def look(self, now: datetime) -> None:
        """Accept what changed since the last look; a broken file leaves the charter in force as it is."""
        for path, known in self._stamps.items():
            stamps = self._look_at(path)
            if stamps == known:
                continue
            self._stamps[path] = stamps
            if stamps[0] is None:
                self._on_note(f"{path} is gone; the charter in force stays.")
                continue
            try:
                accepted = accept_file(self._ledger, path, now, actor="pilothouse up")
            except CharterError as error:
                self._on_note(f"{error.message}. {error.remedy}")
            except PilothouseError:
                self._stamps[path] = known
                raise
            else:
                named = [name for name, _ in accepted.record.files or ()]
                if named != self._named[path]:  # the next look compares the files that it names now
                    self._named[path], self._stamps[path] = named, stamps[:1]
                if accepted.changed:
                    waits = widening_note(self._ledger, accepted.record)
                    self._on_note(f"{accepted.sentence}{f' {waits}' if waits else ''}")

    def _look_at(self, path: Path) -> _Stamps:
        return (_stamp(path), *(_stamp(path.parent / name) for name in self._named[path]))


class Keeper:
    """Keeps the lake as charters and prices say.

    Args:
        lake: The lake of this process.
        ledger: Where charters and decisions stand.
        prices: The price list of the lake.
    """

    def __init__(self, lake: LakeUpkeep, ledger: Ledger, prices: PriceList) -> None:
        self._lake = lake
        self._ledger = ledger
        self._prices = prices
        self._priced = -1

    def retain(self, now: datetime) -> None:
        """Take away what is older than the charters say."""
        apply_retention(self._lake, self._ledger, now)
        drop_unfinished_exports(self._ledger)

    def erase(self, now: datetime) -> None:
        """Empty the traces that somebody asked to erase."""
        carry_out_erasures(self._lake, self._ledger, now)

    def reprice(self, now: datetime) -> None:
        """Give tasks their costs after the start, and whenever a price was added."""
        revision = self._prices.revision
        if revision != self._priced:
            reprice(self._lake, now)
            self._priced = revision


class VerifierNotes:
    """Asks about claims, and says what keeps them from being answered: at once, and then once an hour while it lasts.

    Args:
        installation: Opened lake and ledger.
        on_note: Told in one sentence.
    """

    def __init__(self, installation: Installation, on_note: Callable[[str], None]) -> None:
        self._installation = installation
        self._on_note = on_note
        self._told: dict[tuple[str, str], datetime] = {}

    def look(self, now: datetime, *, thorough: bool = False) -> None:
        """Ask about what is due.

        Args:
            now: The moment, aware UTC.
            thorough: Whether to look behind pages of settled tasks too.
        """
        for problem in verify_due(self._installation, now, thorough=thorough).problems:
            place = (problem.agent, problem.task_type)
            if not timedelta() <= now - self._told.get(place, EPOCH) < NOTED_EVERY:
                self._told[place] = now
                self._on_note(f"{problem.agent} {problem.task_type}: {problem.text}")


def server_ticks(
    installation: Installation,
    prices: PriceList,
    charters: Sequence[Path],
    *,
    lake: LakeUpkeep,
    intake: Intake,
    on_note: Callable[[str], None] = lambda _text: None,
    judge: Judge = unfrozen,
) -> tuple[Tick, ...]:
    """Return what a server does besides answering.

    Args:
        installation: Opened lake and ledger.
        prices: The price list of the lake.
        charters: Charter files to watch.
        lake: The lake of this process, as what may change it.
        intake: The road of telemetry into this server, on which traces of our own are planted.
        on_note: Told about things a person should know.
        judge: Gives assessments for the history of verdicts.
    """
    watch = CharterWatch(installation.ledger, charters, on_note)
    keeper = Keeper(lake, installation.ledger, prices)
    claims = VerifierNotes(installation, on_note)
    return (
        Tick(name="charters", every_s=CHARTERS_EVERY_S, run=watch.look),
        Tick(name="prices", every_s=PRICES_EVERY_S, run=prices.refresh),
        Tick(name="reprice", every_s=PRICES_EVERY_S, run=keeper.reprice),
        Tick(name="erasures", every_s=ERASURES_EVERY_S, run=keeper.erase),
        Tick(name="retention", every_s=RETENTION_EVERY_S, run=keeper.retain),
        Tick(name="verify", every_s=VERIFY_EVERY_S, run=claims.look),
        Tick(
            name="verify-all",
            every_s=VERIFY_ALL_EVERY_S,
            run=lambda now: claims.look(now, thorough=True),
        ),
        Tick(name="assess", every_s=ASSESS_EVERY_S, run=lambda now: freeze_changes(installation, now, judge)),
        Tick(
            name="tool-runs",
            every_s=TOOL_RUNS_EVERY_S,
            run=lambda now: look_at_tool_runs(installation, now),
        ),
        Tick(
            name="refusals",
            every_s=REFUSALS_EVERY_S,
            run=lambda now: take_refusals(installation.settings.runs_folder, installation.ledger, now),
        ),
        Tick(
            name="residency",
            every_s=RESIDENCY_LOOK_EVERY_S,
            run=lambda now: renew_residency(installation, now),
        ),
        Tick(
            name="changes",
            every_s=FREEZE_LOOK_EVERY_S,
            run=lambda now: look_at_changes(installation, now),
        ),
        Tick(
            name="canary",
            every_s=CANARY_EVERY_S,
            run=lambda now: record_canary(installation, intake, now),
        ),
        Tick(name="sources", every_s=SOURCES_EVERY_S, run=lambda now: look_at_sources(installation, now)),
        Tick(name="inputs", every_s=INPUTS_EVERY_S, run=InputsWatch(installation).look),
        Tick(name="days", every_s=DAYS_EVERY_S, run=lambda now: keep_days(installation, now)),
    )


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
