# SPDX-License-Identifier: Apache-2.0
"""Say what keeps an agent from serving, wherever a verdict about it is read (controls in force → notes)."""

from __future__ import annotations

from pilothouse.core.verdict.numbers import short_digest
from pilothouse.ports.controls import NO_CONTROLS, ControlState
from pilothouse.workflows.ground.installation import Installation

__all__ = ["controls_of", "stop_notes"]


def controls_of(installation: Installation) -> ControlState:
    """Return what is paused and rolled back now; nothing where an installation was opened without its controls."""
    return NO_CONTROLS if installation.controls is None else installation.controls.read()


def stop_notes(installation: Installation, agent: str) -> list[str]:
    """Return a sentence for each thing that is paused or rolled back; a verdict alone would read as if it served."""
    state = controls_of(installation)
    found = sorted(
        (one for one in state.pauses.values() if one.agent == agent), key=lambda one: one.tool or ""
    )
    said = [one.sentence for one in found]
    back = state.rollback_of(agent)
    if back is not None:
        said.append(back.sentence(short_digest(back.to_version)))
    return [f"{sentence.rstrip('.')}." for sentence in said]
