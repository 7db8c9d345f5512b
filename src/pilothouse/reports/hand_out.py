# SPDX-License-Identifier: Apache-2.0
"""The page on which reviews are handed out: people, what waits for whom, and the forms (facts of the queue → page)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.numbers import significant
from pilothouse.core.verdict.sentence import person_names
from pilothouse.reports.moments import moment
from pilothouse.reports.review import WHEN_ITEMS_COME
from pilothouse.reports.sections import ROWS_MAX, Cell, Field, FormOffer, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import ActionOffer, Empty, Sentence, page_moment, shown_text
from pilothouse.reports.words import plural

__all__ = ["COUNTS", "EVERYBODY", "ItemWaiting", "ReviewerShown", "build_hand_out"]

EVERYBODY = "everybody"
"""To whom an item belongs that nobody in particular was given."""

COUNTS = (10, 25, 200)
"""How many items a form gives at most: an hour's work, a day's, and all that is handed out at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerShown:
    """Somebody who may review.

    Attributes:
        person: Person id.
        is_gone: Whether the directory says so.
        substitute: Who stands in, or empty.
        waiting: Items given to this person.
    """

    person: str
    is_gone: bool
    substitute: str
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemWaiting:
    """An item that waits; neither its texts nor why it is here are shown, for whoever hands out may review as well.

    Attributes:
        item_id: Its id.
        task_type: Task type.
        due_at: When it must be answered.
        error_cost: Cost of one wrong answer in the charter's currency, or None when unknown.
        given_to: Person id, or `everybody`.
        open_with: Who has it open now, or empty.
    """

    item_id: str
    task_type: str
    due_at: datetime
    error_cost: float | None
    given_to: str
    open_with: str


def build_hand_out(
    charter: Charter,
    people: Sequence[ReviewerShown],
    waiting: Sequence[ItemWaiting],
    now: datetime,
    *,
    load: str,
    may_give: bool = False,
    item: str = "",
    given: int = 0,
) -> SectionsPage:
    """Build the page.

    Args:
        charter: The charter in force.
        people: Who may review.
        waiting: What waits, the earliest due first.
        now: The moment, aware UTC.
        load: Whether people keep up, in words.
        may_give: Whether the visitor may hand out.
        item: Id of the item that the visitor is about to give, or empty.
        given: How many were just given.
    """
    names = person_names(charter)
    base = f"/agents/{quote(charter.agent, safe='')}/reviews"
    chosen = next((one for one in waiting if one.item_id == item), None)
    sections = [
        _people(people, names),
        _slices(waiting, people, names, now, base, may_give=may_give),
        _items(waiting, names, charter, now, base, may_give=may_give),
    ]
    if chosen is not None and may_give:
        sections.insert(0, _one(chosen, people, names, base))
    notices = (f"{plural(given, 'item')} given; each is on record.",) if given else ()
    return SectionsPage(
        name="reviews",
        title=f"Hand out reviews · {charter.agent}",
        heading="Hand out reviews",
        agent=charter.agent,
        as_of=page_moment(now),
        sentence=Sentence(plain=shown_text(f"{_said(waiting, now)} {load[:1].upper()}{load[1:]}")),
        action=_action(waiting, people, names, base),
        notices=notices,
        sections=tuple(sections),
    )


def _said(waiting: Sequence[ItemWaiting], now: datetime) -> str:
    if not waiting:
        return f"Nothing waits for a reviewer. {WHEN_ITEMS_COME}"
    late = sum(one.due_at <= now for one in waiting)
    given = sum(one.given_to != EVERYBODY for one in waiting)
    head = f"{plural(len(waiting), 'item')} {'waits' if len(waiting) == 1 else 'wait'}"
    return f"{head}{f', {late:,} late' if late else ''}: {given:,} given to somebody, {len(waiting) - given:,} for everybody."


def _action(
    waiting: Sequence[ItemWaiting], people: Sequence[ReviewerShown], names: dict[str, str], base: str
) -> ActionOffer | None:
    gone = next((one for one in people if one.is_gone and one.waiting), None)
    if gone is not None:
        label = f"{names.get(gone.person, gone.person)} is gone: give away the {plural(gone.waiting, 'item')}"
        return ActionOffer(label=shown_text(label), href=f"{base}#what-waits")
    if not waiting:
        return None
    return ActionOffer(label="Answer the most urgent one", href="/review")


def _people(people: Sequence[ReviewerShown], names: dict[str, str]) -> Section:
    rows = tuple(
        row(
            Cell(
                text=shown_text(names.get(one.person, one.person)),
                small="gone, as the directory says" if one.is_gone else "",
            ),
            f"{one.waiting:,}",
            shown_text(names.get(one.substitute, one.substitute)) or "nobody",
            anchor=f"person-{one.person}",
        )
        for one in people
    )
    return Section(
        anchor="people",
        title="People",
        note="who may review, by the charter's duties",
        columns=columns("Person", "#Given to them", "Stands in when away"),
        rows=rows,
        empty=None
        if rows
        else Empty(
            missing="Nobody who may review has an identity to sign in with.",
            asked_by="`raci.feedback_review` and `people` of the charter",
            command="pilothouse check charter.yaml",
        ),
    )


def _receivers(people: Sequence[ReviewerShown], names: dict[str, str]) -> tuple[tuple[str, str], ...]:
    present = tuple((one.person, names.get(one.person, one.person)) for one in people if not one.is_gone)
    return (*present, (EVERYBODY, "everybody who may review"))


def _slices(
    waiting: Sequence[ItemWaiting],
    people: Sequence[ReviewerShown],
    names: dict[str, str],
    now: datetime,
    base: str,
    *,
    may_give: bool,
) -> Section:
    counted = Counter((one.task_type, one.given_to) for one in waiting)
    late = Counter((one.task_type, one.given_to) for one in waiting if one.due_at <= now)
    first: dict[tuple[str, str], datetime] = {}
    for one in waiting:
        first.setdefault((one.task_type, one.given_to), one.due_at)
    rows = tuple(
        row(
            shown_text(key[0].replace("_", " ")),
            names.get(key[1], key[1]),
            f"{count:,}",
            f"{late[key]:,}",
            moment(first[key], now),
        )
        for key, count in counted.most_common(ROWS_MAX)
    )
    types = sorted({one.task_type for one in waiting})
    holders = sorted({one.given_to for one in waiting})
    form = FormOffer(
        href=base,
        fields=(
            Field(
                name="task_type",
                label="Give items of",
                choices=(("", "every task type"), *((one, one.replace("_", " ")) for one in types)),
            ),
            Field(
                name="given_to",
                label="given to",
                choices=(("", "anybody"), *((one, names.get(one, one)) for one in holders)),
            ),
            Field(
                name="count",
                label="at most, earliest due first",
                value=str(COUNTS[0]),
                choices=tuple((str(one), f"{one:,}") for one in COUNTS),
            ),
            Field(name="to", label="to", choices=_receivers(people, names)),
        ),
        buttons=(("give", "Give"),),
    )
    return Section(
        anchor="what-waits",
        title="What waits for whom",
        note="" if may_give else "handed out by the owner, or by who is accountable for a duty, signed in",
        columns=columns("Task type", "Given to", "#Items", "#Late", "First due"),
        rows=rows,
        empty=None
        if rows
        else Empty(missing="Nothing waits.", command="pilothouse review", asked_by="nothing now"),
        forms=(form,) if may_give and rows else (),
    )


def _items(
    waiting: Sequence[ItemWaiting],
    names: dict[str, str],
    charter: Charter,
    now: datetime,
    base: str,
    *,
    may_give: bool,
) -> Section:
    currency = known(charter.currency) or ""
    rows = tuple(
        row(
            Cell(text=one.item_id[:12], is_code=True),
            shown_text(one.task_type.replace("_", " ")),
            moment(one.due_at, now),
            "unknown" if one.error_cost is None else f"{currency} {significant(one.error_cost)}".strip(),
            Cell(
                text=names.get(one.given_to, one.given_to),
                small=f"open with {names.get(one.open_with, one.open_with)}" if one.open_with else "",
            ),
            *((Cell(text="Give …", href=f"{base}?item={quote(one.item_id, safe='')}"),) if may_give else ()),
            anchor=f"item-{one.item_id[:12]}",
        )
        for one in waiting[:ROWS_MAX]
    )
    left_out = len(waiting) - len(rows)
    return Section(
        anchor="items",
        title="Item by item",
        note=f"the first {len(rows):,}; {left_out:,} more wait" if left_out else "",
        columns=columns(
            "Item", "Task type", "Due", "#An error costs", "Given to", *(("Hand on",) if may_give else ())
        ),
        rows=rows,
        style="folded" if rows else "open",
        empty=None if rows else Empty(missing="No item waits."),
    )


def _one(one: ItemWaiting, people: Sequence[ReviewerShown], names: dict[str, str], base: str) -> Section:
    warning = ""
    if one.open_with:
        warning = f"{names.get(one.open_with, one.open_with)} has it open and loses it."
    return Section(
        anchor="give",
        title=f"Give item {one.item_id[:12]}",
        note=f"{one.task_type.replace('_', ' ')}, now for {names.get(one.given_to, one.given_to)}",
        forms=(
            FormOffer(
                href=base,
                fields=(
                    Field(name="item", value=one.item_id),
                    Field(name="to", label="To", choices=_receivers(people, names)),
                ),
                buttons=(("give", "Give this item"),),
                warning=shown_text(warning),
            ),
        ),
    )
