# SPDX-License-Identifier: Apache-2.0
"""Where the demo keeps its data, and how it makes sure to replace nothing but its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pilothouse.connectors.own_server import ask_health, read_server
from pilothouse.errors import Conflict, UsageError
from pilothouse.settings import Settings

__all__ = [
    "AGENT",
    "DemoPlace",
    "claim_place",
    "demo_settings",
    "find_place",
    "mark_finished",
    "read_beginning",
]

AGENT = "ap-invoice-triage"
MARK = "demo.json"
MADE_BY = "pilothouse demo"
FOLDER = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlace:
    """The demo's folder: an installation's home with the agent's own folder in it.

    Attributes:
        settings: Settings whose home is the demo's.
    """

    settings: Settings

    @property
    def home(self) -> Path:
        """Data folder of the demo's installation."""
        return self.settings.home

    @property
    def agent_folder(self) -> Path:
        """The agent's repository: charter, prompts, verifier, and the ERP beside them."""
        return self.home / AGENT

    @property
    def charter(self) -> Path:
        """The charter in force."""
        return self.agent_folder / "charter.yaml"

    @property
    def erp(self) -> Path:
        """The ERP's database."""
        return self.agent_folder / "erp.sqlite"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.home / "report.html"

    @property
    def prompt(self) -> Path:
        """The agent's instructions."""
        return self.agent_folder / "prompts" / "system.md"

    def inbox(self, name: str) -> Path:
        """Mails of one run of the agent, one JSON object a line."""
        return self.home / f"inbox-{name}.jsonl"


def demo_settings(settings: Settings) -> Settings:
    """Return the settings with the home of the demo's own installation.

    Args:
        settings: Settings of the user's installation.

    Example:
        >>> from pilothouse.settings import load_settings
        >>> demo_settings(load_settings({"PILOTHOUSE_HOME": "/tmp/x"})).home.name
        'demo'
    """
    return replace(settings, home=settings.home / FOLDER)


def find_place(settings: Settings) -> DemoPlace | None:
    """Return the place of a finished demo below a home, or None.

    Args:
        settings: Settings of the user's installation.
    """
    place = DemoPlace(settings=demo_settings(settings))
    mark = _read_mark(place.home)
    return place if mark is not None and mark.get("finished") is True else None


def claim_place(settings: Settings) -> DemoPlace:
    """Make an empty folder for a run; replaces an earlier run of the demo and nothing else.

    Args:
        settings: Settings of the user's installation.

    Raises:
        UsageError: The folder holds something that no demo made.
        Conflict: A server is running on it.
    """
    place = DemoPlace(settings=demo_settings(settings))
    home = place.home
    if home.exists() and any(home.iterdir()):
        if _read_mark(home) is None:
            raise UsageError(
                f"{home} is not empty and was not made by the demo",
                remedy="Choose another folder: `pilothouse demo --home DIR`.",
                subject=str(home),
            )
        noted = read_server(home)
        if noted is not None and ask_health(noted.url) is not None:
            raise Conflict(
                f"a server at {noted.url} is using {home}",
                remedy=f"Stop it first: `kill {noted.pid}`.",
                subject=str(home),
            )
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    _write_mark(home, {"finished": False})
    return place


def mark_finished(place: DemoPlace, *, began_at: datetime) -> None:
    """Note that the run is complete, so that `up --demo` serves it as it is.

    Args:
        place: The place.
        began_at: Start of the first simulated day, aware UTC.
    """
    _write_mark(place.home, {"finished": True, "began_at": began_at.isoformat()})


def read_beginning(place: DemoPlace) -> datetime:
    """Return the start of the first simulated day of a finished run, aware UTC.

    Raises:
        UsageError: The note of the run is not readable.
    """
    mark = _read_mark(place.home) or {}
    try:
        return datetime.fromisoformat(str(mark["began_at"]))
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"{place.home / MARK} does not say when the run began",
            remedy="Run the demo again: `pilothouse demo`.",
            subject=str(place.home),
        ) from error


def _read_mark(home: Path) -> dict[str, object] | None:
    try:
        mark = json.loads((home / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, dict) and mark.get("made_by") == MADE_BY else None


def _write_mark(home: Path, facts: Mapping[str, object]) -> None:
    (home / MARK).write_text(json.dumps({"made_by": MADE_BY, **facts}), encoding="utf-8")
