# SPDX-License-Identifier: Apache-2.0
"""What came into the scope and goes through the phases by itself, as the Rollout page shows it (standing → rows)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.addition import Addition
from pilothouse.core.verdict.phases import LOOKS_MAX, NEXT_PHASE, next_look_at
from pilothouse.core.verdict.verdict import AdditionVerdict
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.rollout_next import look_words
from pilothouse.reports.view_models import Frozen, StatusMark, mark_of, shown_text
from pilothouse.reports.words import phase_words

__all__ = ["AdditionShown", "AdditionStanding", "addition_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditionStanding:
    """What is known of one thing that came into the scope.

    Attributes:
        addition: It, with its phase.
        verdict: How it stands; None once it has joined the scope.
        looks: Planned looks taken in its phase.
        waiting_for: Person ids that its open request waits for; empty without one.
        request: Number of this request; empty without one.
    """

    addition: Addition
    verdict: AdditionVerdict | None
    looks: tuple[datetime, ...]
    waiting_for: tuple[str, ...]
    request: str = ""


class AdditionShown(Frozen):
    """One thing that came into the scope.

    Attributes:
        label: What it is called.
        what: Which kind of thing it is.
        name: Its name in the charter.
        phase: The phase it is in by itself, in words.
        since: Since when.
        mark: How it stands; None once it has joined.
        word: The word of its own decision, or empty.
        sentence: Why.
        looks: Planned looks, in words.
        command: What moves it on, or empty.
        may_request: The phase that may be requested for it now, or empty.
        is_waiting: Whether a request waits for approval.
        request: Number of this request, which an approval names; empty without one.
        may_go_back: Whether it can be taken back by itself.
    """

    label: str
    what: str
    name: str
    phase: str
    since: Moment
    mark: StatusMark | None
    word: str
    sentence: str
    looks: str
    command: str
    may_request: str
    is_waiting: bool
    request: str
    may_go_back: bool


def addition_rows(
    charter: Charter, standing: Sequence[AdditionStanding], now: datetime
) -> tuple[AdditionShown, ...]:
    """Return what came into the scope, as it was accepted."""
    return tuple(_row(charter, one, now) for one in standing)


def _row(charter: Charter, one: AdditionStanding, now: datetime) -> AdditionShown:
    addition, verdict = one.addition, one.verdict
    state = addition.state
    since = moment(state.since or now, now)
    if verdict is None:
        return AdditionShown(
            label=addition.label,
            what=str(addition.what),
            name=addition.name,
            since=since,
            phase="joined the scope",
            mark=None,
            word="",
            sentence="It passed phase 3 and counts with everything else.",
            looks="",
            command="",
            may_request="",
            is_waiting=False,
            request="",
            may_go_back=False,
        )
    target = NEXT_PHASE[state.phase]
    due = next_look_at(charter, state, one.looks)
    option = f"--{addition.what.replace(' ', '-')} {addition.name}"
    if one.waiting_for:
        command = f"pilothouse phase approve {charter.agent} {option} --as {one.waiting_for[0]}"
    else:
        command = f"pilothouse phase request {target} {charter.agent} {option}"
    return AdditionShown(
        label=addition.label,
        what=str(addition.what),
        name=addition.name,
        since=since,
        phase="out of service" if state.phase == "pilot" else phase_words(state.phase),
        mark=mark_of(verdict.status, verdict.reason),
        word=verdict.word,
        sentence=shown_text(verdict.sentence),
        looks=f"{len(one.looks)} of {LOOKS_MAX} planned looks taken. {look_words(due, now)}",
        command=command,
        may_request=target if not one.waiting_for and (due is None or due <= now) else "",
        is_waiting=bool(one.waiting_for),
        request=one.request,
        may_go_back=state.phase != "pilot",
    )
