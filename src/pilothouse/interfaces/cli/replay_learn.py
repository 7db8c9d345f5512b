# SPDX-License-Identifier: Apache-2.0
"""`pilothouse replay RUN --learn`: show what differs by itself, and let a person say that it means nothing."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilothouse.interfaces.cli.services import Services
    from pilothouse.settings import Settings
    from pilothouse.workflows.curation.replay_masks import Learnt
    from pilothouse.workflows.replay.run import ReplayRequest

__all__ = ["learn", "withdraw"]


def learn(
    services: Services,
    settings: Settings,
    run: str,
    request: ReplayRequest,
    *,
    approved: Sequence[str],
    by: str | None,
    as_json: bool,
) -> None:
    """Replay a run twice, print what differs by itself, and put into force what is approved of it.

    Args:
        services: Openers.
        settings: Values in force.
        run: Run id, or enough of its beginning.
        request: How it is replayed.
        approved: Masks to put into force.
        by: Person of the charter who approves.
        as_json: Whether to print JSON.

    Raises:
        UsageError: Nobody is named who approves.
    """
    from pilothouse.reports.words import plural
    from pilothouse.workflows.curation.replay_masks import approve_masks, learn_masks

    if approved and by is None:
        raise _nobody(run)
    learnt = learn_masks(lambda asked: services.replay(settings, run, asked), request, time.sleep)
    if as_json:
        print_json(
            {**asdict(learnt), "masks": {each.mask.ident: each.mask.sentence() for each in learnt.candidates}}
        )
    else:
        say(_text(learnt))
    if approved and by is not None:
        with services.open_installation(settings) as installation:
            now = services.clock.now()
            masks = approve_masks(installation.ledger, learnt, approved, by=by, now=now)
        say(
            f"{by} approved: masks version {masks.version} of {learnt.agent}, {plural(len(masks.masks), 'mask')}"
        )


def withdraw(
    services: Services, settings: Settings, run: str, idents: Sequence[str], *, by: str | None
) -> None:
    """Take masks of a run's agent out of force.

    Args:
        services: Openers.
        settings: Values in force.
        run: Run id, or enough of its beginning.
        idents: Which masks.
        by: Person of the charter who says so.

    Raises:
        UsageError: Nobody is named, or a mask is not in force.
    """
    from pilothouse.workflows.curation.replay_masks import withdraw_masks

    if by is None:
        raise _nobody(run)
    with services.open_run_log(settings) as log:
        agent = log.read(run).summary.agent
    with services.open_installation(settings) as installation:
        masks = withdraw_masks(installation.ledger, agent, idents, by=by, now=services.clock.now())
    say(f"{by} withdrew: masks version {masks.version} of {agent}, {len(masks.masks)} left")


def _nobody(run: str) -> UsageError:
    return UsageError("a mask is what a person decides about", remedy="Say who: `--by PERSON`", subject=run)


def _text(learnt: Learnt) -> str:
    lines = [f"run {learnt.run[:8]} of {learnt.agent}, replayed twice"]
    for each in learnt.candidates:
        lines += [
            f"  {each.mask.ident}  {each.mask.sentence()}",
            f"            recorded {each.recorded}, then {each.found[0]} and {each.found[1]}",
        ]
    lines += [
        f"  no mask   {each.mask.sentence()}: recorded {each.recorded}, and {each.found} both times"
        for each in learnt.settled
    ]
    divergence = learnt.divergence
    if divergence is not None:
        lines.append(f"  no mask   for call {divergence.call}, {divergence.kind} at {divergence.path}")
    if len(lines) == 1:
        lines.append("  nothing differs")
    if learnt.candidates:
        lines.append(
            "A mask hides what it covers in every later replay. To approve some: the same with --approve MASK --by PERSON"
        )
    return "\n".join(lines)
