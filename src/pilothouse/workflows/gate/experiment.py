# SPDX-License-Identifier: Apache-2.0
"""Where an experiment begins and by what test it is judged: fixed by its first look, so that the error holds over all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.statistics.canary import CanaryTest
from pilothouse.errors import UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.decision_log import every_decision

__all__ = ["LENGTH_MAX", "Experiment", "experiment_of", "keep_experiment"]

BEGAN: Final = "canary.began"
"""Kind of the decision that an experiment is looked at for the first time."""

LENGTH_MAX: Final = timedelta(days=180)
"""How long an experiment lasts: a share of 1 % of 300 tasks a day takes four months to tell 5 points, and who served half a year ago
served other users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What the looks at an experiment have in common.

    Attributes:
        name: Its id.
        since: Where each look begins, aware UTC.
        test: The test of each look.
        is_kept: Whether it is on record; otherwise this look is the first.
    """

    name: str
    since: datetime
    test: CanaryTest
    is_kept: bool

    @property
    def until(self) -> datetime:
        """Where it ends, decided or not."""
        return self.since + LENGTH_MAX


def experiment_of(
    ledger: Ledger,
    agent: str,
    name: str,
    *,
    first: datetime,
    margin: float | None = None,
    tolerance: float | None = None,
    alpha: float | None = None,
) -> Experiment:
    """Return an experiment as its first look fixed it, or as this one does.

    Args:
        ledger: Decisions.
        agent: Agent id.
        name: Id of the experiment.
        first: Where it begins when this is the first look, aware UTC.
        margin: Largest accepted loss as a share, as it was typed, or None.
        tolerance: Loss that is no harm yet, likewise.
        alpha: Error of each decision, likewise.

    Raises:
        UsageError: Another rule was typed than the one of the first look: each is one more chance to be wrong.
    """
    typed = {"margin": margin, "tolerance": tolerance, "alpha": alpha}
    said = {key: value for key, value in typed.items() if value is not None}
    kept = [
        found
        for one in every_decision(ledger, agent, kind=BEGAN)
        if (found := json.loads(one.document))["experiment"] == name
    ]
    if not kept:
        rules = {"margin": 0.05, "tolerance": 0.02, "alpha": 0.05, **said}
        return Experiment(name=name, since=first, test=CanaryTest(**rules), is_kept=False)
    oldest = kept[-1]  # newest first; of two first looks at once the earlier one counts
    rules = {key: float(oldest[key]) for key in typed}
    for key, value in said.items():
        if value != rules[key]:
            raise UsageError(
                f"experiment {name!r} is judged by {key} {_shown(key, rules[key])} since its first look, not by "
                f"{_shown(key, value)}: each further rule is one more chance to be wrong.",
                remedy=f"Leave --{key} out, or begin another experiment.",
                subject=name,
            )
    since = datetime.fromisoformat(oldest["since"])
    return Experiment(name=name, since=since, test=CanaryTest(**rules), is_kept=True)


def keep_experiment(ledger: Ledger, agent: str, one: Experiment, *, at: datetime) -> None:
    """Put on record where an experiment begins and how it is judged, once.

    Args:
        ledger: Decisions.
        agent: Agent id.
        one: The experiment.
        at: The moment, aware UTC.
    """
    if one.is_kept:
        return
    document = {
        "experiment": one.name,
        "since": one.since.isoformat(),
        "margin": one.test.margin,
        "tolerance": one.test.tolerance,
        "alpha": one.test.alpha,
    }
    ledger.record(kind=BEGAN, agent=agent, at=at, actor="canary", document=canonical_json(document))


def _shown(rule: str, value: float) -> str:
    return f"{value:g}" if rule == "alpha" else f"{100 * value:g} points"
