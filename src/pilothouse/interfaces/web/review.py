# SPDX-License-Identifier: Apache-2.0
"""The review queue in the browser: one item at a time, the next one right after the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from starlette.responses import Response

from pilothouse.core.charter.powers import Action
from pilothouse.errors import PilothouseError, UsageError
from pilothouse.interfaces.web.frame import HEADERS, Frame
from pilothouse.interfaces.web.routing import PageRoute, Visit, see_other
from pilothouse.ports.clock import Clock
from pilothouse.ports.review import QueueCount
from pilothouse.reports.review import (
    AfterAnswer,
    after_answer,
    build_item,
    build_queue,
    changes_between,
    similar_shown,
)
from pilothouse.workflows.people.people import Visitor
from pilothouse.workflows.review.load import ReviewLoad, load_in_words
from pilothouse.workflows.review.own_week import own_week_in_words
from pilothouse.workflows.review.queue import Workbench, rubric_of

__all__ = ["ReviewRoom"]

OTHERS_DIGITS_MAX = 7
"""Digits of how many items were settled with one answer, as our own address carries it."""


class ReviewRoom:
    """The queue, the item, its answer and draft, and undo."""

    def __init__(self, bench: Workbench, clock: Clock) -> None:
        self._bench = bench
        self._clock = clock

    def routes(self, frame: Frame) -> Sequence[PageRoute]:
        """Return the addresses."""

        def queue(visit: Visit) -> Response:
            counts = self._bench.counts(visit.person)
            page = build_queue(
                sum(count.waiting for count in counts),
                _by_agent(self._bench.loads(self._bench.agents(visit.person)), counts),
                self._clock.now().replace(second=0, microsecond=0),
                week=own_week_in_words(self._bench.week(visit.person)),
                after=self._after(visit),
                hand_out=self._bench.directory.agents_for(visit.person, Action.ASSIGN),
            )
            return frame.answer(visit.request, page, governed=False, viewer=visit.viewer)

        def item(visit: Visit) -> Response:
            record = self._bench.open_item(visit.person, visit.path("item"))
            charter = self._bench.directory.charter(record.item.agent)
            page = build_item(
                record,
                self._clock.now().replace(second=0, microsecond=0),
                rubric=rubric_of(charter, record.item.task_type).lines,
                similar=[
                    similar_shown(one.input, one.answer, one.result) for one in self._bench.similar(record)
                ],
                draft=self._bench.draft(visit.person, record.item.item_id),
                charter=charter,
                waiting=self._bench.waiting(visit.person),
                after=self._after(visit),
            )
            return frame.answer(visit.request, page, governed=True, viewer=visit.viewer)

        def needs(
            path: str, answer: Callable[[Visit], Response], *, writes: bool = False, is_live: bool = False
        ) -> PageRoute:
            return PageRoute(path=path, answer=answer, action=Action.REVIEW, writes=writes, is_live=is_live)

        return (
            needs("/review", queue, is_live=True),
            needs("/review/next", self._next, writes=True),
            needs("/review/undo", self._undo, writes=True),
            needs("/review/{item}", item),
            needs("/review/{item}", self._answer, writes=True),
            needs("/review/{item}/draft", self._draft, writes=True),
        )

    def _next(self, visit: Visit) -> Response:
        return self._lead_on(visit.person)

    def _answer(self, visit: Visit) -> Response:
        form, item_id = visit.form, visit.path("item")
        try:
            record, others = self._bench.answer(
                visit.person,
                item_id,
                form.get("answer", ""),
                correction=form.get("correction", ""),
                note=form.get("note", ""),
            )
        except UsageError as error:
            with suppress(PilothouseError):  # the error that is said is the first one
                self._bench.save_draft(visit.person, item_id, _typed(form))
            remedy = f"{error.remedy} What you wrote is kept: /review/{item_id}"
            raise UsageError(error.message, remedy=remedy) from error
        return self._lead_on(visit.person, after=record.item.item_id, others=str(others))

    def _undo(self, visit: Visit) -> Response:
        return see_other(f"/review/{self._bench.undo(visit.person, visit.form.get('item', '')).item.item_id}")

    def _draft(self, visit: Visit) -> Response:
        fields = _typed(visit.form)
        record = self._bench.save_draft(visit.person, visit.path("item"), fields)
        changes = changes_between(record.item.proposal, fields["correction"] or record.item.proposal)
        return Response("\n".join(changes), media_type="text/plain", headers=dict(HEADERS))

    def _lead_on(self, visitor: Visitor, **query: str) -> Response:
        record = self._bench.take_next(visitor)
        return see_other(f"/review/{record.item.item_id}" if record else "/review", **query)

    def _after(self, visit: Visit) -> AfterAnswer | None:
        said = visit.request.query_params
        record = self._bench.answered(visit.person, said["after"]) if "after" in said else None
        others = said.get("others", "")
        count = (
            int(others) if others.isascii() and others.isdigit() and len(others) < OTHERS_DIGITS_MAX else 0
        )
        return None if record is None else after_answer(record, count)


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    return {name: form.get(name, "") for name in ("answer", "correction", "note")}


def _by_agent(loads: Sequence[ReviewLoad], counts: Sequence[QueueCount]) -> tuple[str, ...]:
    waiting: Counter[str] = Counter()
    overdue: Counter[str] = Counter()
    for count in counts:
        waiting[count.agent] += count.waiting
        overdue[count.agent] += count.overdue
    return tuple(
        f"{load.agent}: {waiting[load.agent]:,} wait"
        + (f", {overdue[load.agent]:,} late" if overdue[load.agent] else "")
        + ". "
        + " ".join(load_in_words(load))
        for load in loads
    )
