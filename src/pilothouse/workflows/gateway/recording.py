# SPDX-License-Identifier: Apache-2.0
"""Whether the model calls of a launch may go unrecorded: as whoever launches it chooses, where the charter demands nothing else."""

from __future__ import annotations

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName, phase_in_words
from pilothouse.errors import CharterError, UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.runlog import RecordMode
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.phase_log import phase_now

__all__ = ["check_choice", "record_demanded"]


def record_demanded(charter: Charter | None, phase: PhaseName) -> str:
    """Return why every model call of an agent must be recorded, or empty where a launch may choose.

    Args:
        charter: The charter in force, or None where there is none or it cannot be read.
        phase: The phase in force.

    Example:
        >>> record_demanded(None, "2"), record_demanded(None, "pilot")
        ('it is in phase 2, where every model call must be recorded', '')
    """
    if phase != "pilot":
        return f"it is in {phase_in_words(phase)}, where every model call must be recorded"
    if charter is None or charter.context.policy != "shorten_visibly":
        return ""
    return "its charter has long requests shortened, and what is taken out stands only in the record"


def check_choice(ledger: Ledger, agent: str, record: RecordMode) -> None:
    """Refuse a choice that a command may not make.

    Args:
        ledger: Charter and phase in force.
        agent: Agent id.
        record: What whoever launches it chose.

    Raises:
        UsageError: The agent's calls must be recorded.
    """
    if record is RecordMode.REQUIRED:
        return
    kept = ledger.charter(agent)
    try:
        charter = None if kept is None else charter_of(kept)
    except CharterError:  # the gateway lets no call of it through
        charter = None
    why = record_demanded(charter, phase_now(ledger, agent))
    if why:
        raise UsageError(
            f"the record of {agent} cannot be {record}: {why}",
            remedy="Start it without `--record`.",
            subject="record",
        )
