# SPDX-License-Identifier: Apache-2.0
"""Plays recorded runs of an installation again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pilothouse.app.runs import open_run_log

if TYPE_CHECKING:
    from pilothouse.runtime.replay.masks import MaskSet
    from pilothouse.settings import Settings
    from pilothouse.workflows.replay.run import ReplayReport, ReplayRequest

__all__ = ["replay"]


def replay(settings: Settings, run: str, request: ReplayRequest) -> tuple[ReplayReport, ...]:
    """Replay a recorded run of an installation.

    Args:
        settings: Values in force.
        run: Run id, or enough of its beginning.
        request: What is asked.
    """
    from pilothouse.interfaces.http.replay import ReplayServer
    from pilothouse.workflows.replay.run import replay_run

    with open_run_log(settings) as log:
        recorded = log.read(run)
        if request.command is not None and not request.masks.learns:
            request = replace(request, masks=_masks(settings, recorded.summary.agent))
        return replay_run(
            recorded,
            log.redaction,
            request,
            lambda sessions, live, on_live, file: ReplayServer(
                sessions, live=live, on_live=on_live, socket_file=file
            ),
            partial(_retrieved, settings, recorded.summary.run) if request.looks_up else tuple,
        )


def _masks(settings: Settings, agent: str) -> MaskSet:
    """Return the masks of an agent."""
    from pilothouse.app.opening import open_installation
    from pilothouse.workflows.curation.replay_masks import masks_in_force

    with open_installation(settings) as installation:
        return masks_in_force(installation.ledger, agent)


def _retrieved(settings: Settings, run: str) -> tuple[str, ...]:
    """Return the texts that a run had retrieved according to telemetry; empty where unreadable, because a replay can do without."""
    from pilothouse.app.opening import open_installation
    from pilothouse.errors import PilothouseError
    from pilothouse.workflows.replay.retrieved import retrieved_texts

    try:
        with open_installation(settings) as installation:
            view = installation.lake.trace(run)
    except PilothouseError:
        return ()
    return () if view is None else retrieved_texts(view.spans)
