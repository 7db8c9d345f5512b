# SPDX-License-Identifier: Apache-2.0
"""Learn what differs between two replays of one run and means nothing, and have a person approve it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UsageError
from pilothouse.ports.ledger import Decision, Ledger
from pilothouse.runtime.replay.divergence import Divergence
from pilothouse.runtime.replay.masks import MASKS_MAX, NO_MASKS, Covered, Mask, MaskSet, TokenKind
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.replay.run import ReplayReport, ReplayRequest

__all__ = ["Candidate", "Learnt", "approve_masks", "learn_masks", "masks_in_force", "withdraw_masks"]

KIND = "replay.masks"
"""Kind of the decision that holds all masks of an agent from then on."""

APART_S = 1.1
"""Between the two replays, so that a time told in seconds is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A mask that could be approved.

    Attributes:
        mask: What it would cover.
        recorded: A token of the record.
        found: The token in its place, in each of the two replays.
    """

    mask: Mask
    recorded: str
    found: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What two replays of one run showed.

    Attributes:
        agent: Agent.
        run: Run id.
        candidates: What differs from the record and between the replays too.
        settled: What differs from the record and is the same in both replays: a change of the agent, or of what it reads.
        divergence: Where a replay differed in what no mask may cover, or None.
    """

    agent: str
    run: str
    candidates: tuple[Candidate, ...]
    settled: tuple[Covered, ...]
    divergence: Divergence | None


def learn_masks(
    replay: Callable[[ReplayRequest], Sequence[ReplayReport]],
    request: ReplayRequest,
    pause: Callable[[float], None],
) -> Learnt:
    """Replay a run twice with the agent's code, and return what differed.

    Args:
        replay: Replays the run.
        request: How, with a command and nothing changed.
        pause: Waits so many seconds.

    Raises:
        UsageError: Something is changed, or no code runs.
    """
    if request.command is None or request.mode is not ReplayMode.STRICT or not request.substitution.is_empty:
        raise UsageError(
            "what differs by itself shows where the agent's own code runs twice with nothing changed",
            remedy="Type it: `pilothouse replay RUN --learn --exec 'python agent.py'`",
            subject="--learn",
        )
    asked = replace(request, repeats=1, masks=MaskSet(learns=True))
    (first,) = replay(asked)
    pause(APART_S)
    (second,) = replay(asked)
    again = _placed(second.covered)
    candidates: dict[Mask, Candidate] = {}
    settled: dict[Mask, Covered] = {}
    for place, each in _placed(first.covered).items():
        other = again.get(place)
        if other is None:
            continue  # the second one did not come there, or met the recorded one
        if other.found != each.found:
            found = Candidate(mask=each.mask, recorded=each.recorded, found=(each.found, other.found))
            candidates.setdefault(each.mask, found)
        else:
            settled.setdefault(each.mask, each)
    return Learnt(
        agent=first.agent,
        run=first.run,
        candidates=tuple(candidates.values()),
        settled=tuple(settled.values()),
        divergence=first.divergence or second.divergence,
    )


def _placed(covered: Sequence[Covered]) -> dict[tuple[object, ...], Covered]:
    """Return each token by its place, and by how many of the same mask stand before it there."""
    found: dict[tuple[object, ...], Covered] = {}
    seen: Counter[tuple[object, ...]] = Counter()
    for each in covered:
        place = (each.call, each.at, each.mask)
        found[*place, seen[place]] = each
        seen[place] += 1
    return found


def masks_in_force(ledger: Ledger, agent: str) -> MaskSet:
    """Return the masks that people approved for an agent."""
    return _read(_newest(ledger, agent))


def approve_masks(
    ledger: Ledger, learnt: Learnt, idents: Sequence[str], *, by: str, now: datetime
) -> MaskSet:
    """Put masks into force that were just learnt.

    Args:
        ledger: Where they are kept.
        learnt: What was learnt; nothing else can be approved.
        idents: Which of its candidates.
        by: Person of the charter.
        now: The moment, aware UTC.

    Raises:
        UsageError: One was not learnt, the person is none of the charter, or they are too many.
    """
    candidates = {each.mask.ident: each.mask for each in learnt.candidates}
    unknown = next((ident for ident in idents if ident not in candidates), None)
    if unknown is not None:
        raise UsageError(
            f"these two replays did not show a mask {unknown!r}",
            remedy="See what they show: the same command without --approve",
            subject=unknown,
        )
    newest = _newest(ledger, learnt.agent)
    masks = {*_read(newest).masks, *(candidates[ident] for ident in idents)}
    if len(masks) > MASKS_MAX:
        raise UsageError(
            f"{learnt.agent} would have {len(masks)} masks; {MASKS_MAX} are the most",
            remedy="Withdraw one: `pilothouse replay RUN --withdraw MASK --by PERSON`; a tap needs none: `pilothouse run --taps clock,uuid,random -- CMD`",
            subject=learnt.agent,
        )
    return _put(ledger, learnt.agent, newest, masks, by=by, now=now, run=learnt.run)


def withdraw_masks(ledger: Ledger, agent: str, idents: Sequence[str], *, by: str, now: datetime) -> MaskSet:
    """Take masks out of force.

    Raises:
        UsageError: One is not in force, or the person is none of the charter.
    """
    newest = _newest(ledger, agent)
    masks = {mask.ident: mask for mask in _read(newest).masks}
    unknown = next((ident for ident in idents if ident not in masks), None)
    if unknown is not None:
        raise UsageError(
            f"no mask {unknown!r} is in force for {agent}",
            remedy=f"In force are: {', '.join(masks) or 'none'}",
            subject=unknown,
        )
    left = {mask for ident, mask in masks.items() if ident not in idents}
    return _put(ledger, agent, newest, left, by=by, now=now, run=None)


def _newest(ledger: Ledger, agent: str) -> Decision | None:
    return next(iter(ledger.decisions(agent, kind=KIND, limit=1)), None)


def _read(decision: Decision | None) -> MaskSet:
    if decision is None:
        return NO_MASKS
    document = json.loads(decision.document)
    masks = tuple(Mask(each["whose"], each["path"], TokenKind(each["token"])) for each in document["masks"])
    return MaskSet(masks=masks, version=document["version"])


def _put(
    ledger: Ledger,
    agent: str,
    newest: Decision | None,
    masks: set[Mask],
    *,
    by: str,
    now: datetime,
    run: str | None,
) -> MaskSet:
    """Write the next version; only if nobody wrote one since the newest was read."""
    record = ledger.charter(agent)
    people = () if record is None else tuple(charter_of(record).people)
    if by not in people:
        raise UsageError(
            f"{by!r} is no person of the charter of {agent}",
            remedy=f"Say who decides: `--by {people[0] if people else 'PERSON'}`",
            subject=by,
        )
    after = MaskSet(masks=tuple(sorted(masks)), version=_read(newest).version + 1)
    listed = [{"whose": each.whose, "path": each.path, "token": str(each.token)} for each in after.masks]
    document = canonical_json({"version": after.version, "masks": listed, "run": run})
    ledger.record(
        kind=KIND, agent=agent, at=now, actor=by, document=document, after=newest.sequence if newest else 0
    )
    return after
