# SPDX-License-Identifier: Apache-2.0
"""Call the owner of an agent when its claims are held against nothing: a verifier that fails, or that cannot be loaded, for an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.connectors.verifier_loader import load_verifier
from pilothouse.core.dates import minute
from pilothouse.core.evidence.claim import is_erased, says_done
from pilothouse.core.evidence.outcome import UNANSWERED, Outcome
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import ExtensionError
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.incidents.alerts import Firing, alert_for_every_agent
from pilothouse.workflows.integrations.verifiers import VerifierCase, verifier_case

__all__ = ["VERIFIERS_EVERY_S", "VerifierWatch"]

VERIFIERS_EVERY_S = 300.0

SILENT_FOR = timedelta(hours=1)
"""How long nothing is answered before somebody is called: claims have a day by default, and a system may be restarted."""

CLAIMS_LOOKED_AT = 20
"""The newest claims that are due: one answer among them shows that the system of record can be asked."""

LOOKED_BACK = timedelta(days=7)
"""An agent without a claim for a week has none that waits."""


class VerifierWatch:
    """Looks at what became of the newest claims of each task type; since when nothing is answered is what it has seen itself.

    Args:
        room: Opened parts.
    """

    def __init__(self, room: ControlRoom) -> None:
        self._room = room
        self._silent: dict[tuple[str, str], datetime] = {}

    def look(self, now: datetime) -> int:
        """Call somebody about verifiers that answer nothing; return how many incidents were opened.

        Raises:
            PilothouseError: The first agent for which it failed, after all others have been looked at.
        """
        return alert_for_every_agent(self._room, lambda record: self._firings(record, now), now)

    def _firings(self, record: CharterInForce, now: datetime) -> Iterator[Firing]:
        for name, terms in charter_of(record).task_types.items():
            case, place = verifier_case(record, name, terms), (record.agent, name)
            why = None if case is None else self._why_silent(case, now)
            if case is None or why is None:
                self._silent.pop(place, None)
                continue
            since = min(self._silent.setdefault(place, now), now)
            if now - since >= SILENT_FOR:
                yield Firing(
                    agent=record.agent,
                    metric=f"verifier.{name}",
                    task_type=name,
                    sentence=f"{name}: nobody knows whether what {record.agent} claims is true, for {case.use} answers nothing since "
                    f"{minute(since)}: {why}",
                    onset=since,
                )

    def _why_silent(self, case: VerifierCase, now: datetime) -> str | None:
        """Return why none of the newest claims that are due has an answer; None where one has, or where there is none."""
        wanted = TaskFilter(
            agent=case.record.agent,
            task_type=case.task_type,
            from_ns=unix_ns(now - LOOKED_BACK),
            to_ns=unix_ns(now - case.after),
        )
        page = self._room.installation.lake.tasks(wanted, limit=CLAIMS_LOOKED_AT)
        claims = [one for one in page.tasks if says_done(one) and not is_erased(one.claim)]
        known = self._room.installation.ledger.outcomes_of([one.trace_id for one in claims])
        found: list[Outcome] = []
        for one in claims:
            outcome = standing_outcome(one, known.get(one.trace_id))
            if outcome is not None:
                found.append(outcome)
        if any(not one.is_unanswered for one in found):
            return None
        if len(found) < len(claims):
            try:
                load_verifier(case.use, Path(case.record.path).parent)
            except ExtensionError as error:
                return str(error)
        if not found:
            return None  # nobody was asked yet
        return max(found, key=lambda one: (one.verified_at, one.trace_id)).found.removeprefix(UNANSWERED)
