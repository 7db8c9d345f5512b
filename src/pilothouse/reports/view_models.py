# SPDX-License-Identifier: Apache-2.0
"""The frozen parts of every page: what page, JSON, terminal and report file render is this and nothing else.

A number is written once, in `shown`; no template computes or rounds. NaN and infinity are refused when
a view model is made, so they can reach no face.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, computed_field, model_validator

from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.verdict.numbers import in_unit, interval
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status
from pilothouse.reports.foreign import foreign_line, visible
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.words import (
    NOT_ASKED,
    OUTCOME_STATUS,
    OUTCOME_WORDS,
    REASON_WORDS,
    SHAPES,
    STATUS_WORDS,
    UNKNOWN,
)

__all__ = [
    "ActionOffer",
    "Empty",
    "Frozen",
    "Link",
    "Page",
    "Quantity",
    "Sentence",
    "StatusMark",
    "WaiverShown",
    "count_of",
    "mark_of",
    "outcome_mark",
    "page_json",
    "page_moment",
    "quantity_of",
    "shown_text",
    "unknown_quantity",
]

VIEW_VERSION = 1
"""Raised when a field of the JSON changes its meaning or goes away."""


def _shown(value: Any) -> Any:
    if type(value) is str and value.isprintable():  # nearly every text, and a page has thousands
        return value
    if isinstance(value, str) and not isinstance(value, Enum):
        return visible(value)
    if isinstance(value, tuple) and any(isinstance(one, str | tuple) for one in value):
        return tuple(_shown(one) for one in value)
    return value


class Frozen(BaseModel):
    """Base of every part of a page."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _show_what_is_hidden(cls, values: Any) -> Any:
        """Make hidden characters visible in every text, so that no builder can forget it and no face has to."""
        if not isinstance(values, dict):
            return values
        return {name: _shown(value) for name, value in values.items()}


class StatusMark(Frozen):
    """A status as it is shown: shape and word, with colour as the third sign.

    Attributes:
        status: Decides shape and colour.
        word: The word beside the shape.
        reason: `missing`, `insufficient` or `stale`, or empty.
    """

    status: Status
    word: str
    reason: str = ""

    @computed_field  # type: ignore[prop-decorator]  # a property is what pydantic asks for
    @property
    def shape(self) -> str:
        """One character, which says the status without colour."""
        return SHAPES[self.status]

    @property
    def spoken(self) -> str:
        """Word and reason, for titles and screen readers."""
        return f"{self.word} ({self.reason})" if self.reason else self.word


def mark_of(status: Status, reason: Reason | None = None, *, word: str = "") -> StatusMark:
    """Return the mark of a status.

    Args:
        status: Decides shape and colour.
        reason: Why there is no evidence.
        word: What it says where a page speaks of something else than a requirement: paused, unused, not run.

    Example:
        >>> mark_of(Status.NO_EVIDENCE, Reason.STALE).spoken
        'No evidence (stale)'
    """
    return StatusMark(
        status=status,
        word=word or STATUS_WORDS[status],
        reason=REASON_WORDS[reason] if reason else "",
    )


def outcome_mark(status: OutcomeStatus | None) -> StatusMark:
    """Return the mark of an outcome; None says that no verifier was asked.

    Example:
        >>> outcome_mark(OutcomeStatus.CONTRADICTED).spoken, outcome_mark(None).spoken
        ('Contradicted', 'Not checked')
    """
    if status is None:
        return mark_of(Status.NO_EVIDENCE, word=NOT_ASKED)
    shown = OUTCOME_STATUS[status]
    return mark_of(shown, word=OUTCOME_WORDS[status])


class Link(Frozen):
    """A text that leads to a page of ours; an empty address is only text."""

    text: str
    href: str = ""


class Sentence(Frozen):
    """The computed first sentence.

    Attributes:
        plain: The sentence, for page, title, terminal and message alike.
        href: Where its proof stands, or empty.
    """

    plain: str
    href: str = ""


class Quantity(Frozen):
    """A number with what it rests on.

    Attributes:
        value: The number, or None when nobody knows it.
        unit: `rate`, `usd`, `seconds`, `points`, `count`, `days` or empty.
        low: Lower end of the interval, or None.
        high: Upper end, or None.
        n: Cases behind it, or None for a plain count.
        shown: The only text of the number.
        shown_interval: The only text of its interval, or empty.
        source: Digests of the records behind it.
        measured_at: End of its window, or None.
        lapses_at: When it stops counting, or None.
    """

    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    n: int | None = None
    shown: str
    shown_interval: str = ""
    source: tuple[str, ...] = ()
    measured_at: AwareDatetime | None = None
    lapses_at: AwareDatetime | None = None


def unknown_quantity(unit: str) -> Quantity:
    """Return the quantity of which nothing is known."""
    return Quantity(value=None, unit=unit, shown=UNKNOWN)


def count_of(count: int) -> Quantity:
    """Return a plain count.

    Example:
        >>> count_of(1204).shown
        '1,204'
    """
    return Quantity(value=count, unit="count", shown=f"{count:,}")


def quantity_of(item: ItemVerdict, currency: str) -> Quantity | None:
    """Return the measured value of a verdict's item, or None when it has none.

    Args:
        item: The item.
        currency: ISO code, for money.
    """
    if item.value is None or not item.n:
        return None
    if item.unit == "count":
        shown, ends = f"{item.value:,.0f}", ""
    else:
        shown = in_unit(item.value, item.unit, n=item.n, currency=currency, bound=item.bound)
        ends = ""
        # What was counted whole has none, as in its sentence.
        if item.low is not None and item.high is not None and item.low < item.high:
            ends = interval(item.low, item.high, item.unit, n=item.n, currency=currency)
    return Quantity(
        value=item.value,
        unit=item.unit,
        low=item.low,
        high=item.high,
        n=item.n,
        shown=shown,
        shown_interval=ends,
        source=(item.evidence,) if item.evidence else (),
        measured_at=item.window_to,
        lapses_at=item.lapses_at,
    )


class WaiverShown(Frozen):
    """A signed permission to proceed, beside a status and never instead of it."""

    text: str
    until: Moment


class ActionOffer(Frozen):
    """The one thing that a page asks for.

    Attributes:
        label: What to do, in words.
        command: What to type, or empty.
        href: Where it can be read up, or empty.
        who: Names of those who must act.
    """

    label: str
    command: str = ""
    href: str = ""
    who: tuple[str, ...] = ()


class Empty(Frozen):
    """What stands where there is nothing yet: never a zero, never green.

    Attributes:
        missing: What is missing.
        asked_by: What asks for it, or empty.
        command: What fills it.
        who: Who can, or empty.
    """

    missing: str
    asked_by: str = ""
    command: str = ""
    who: str = ""


class Page(Frozen):
    """What every page has.

    Attributes:
        view_version: Version of the JSON.
        name: Name of the page, for example `readiness`.
        title: Title of the window; begins with the status word.
        heading: The one `h1`.
        agent: Agent, or None for a page about all.
        as_of: The moment it speaks of.
        mark: The status, or None for a page without one.
        sentence: The computed first sentence.
        action: The one thing that the page asks for, or None when it asks for nothing.
        notices: What a reader must know about the page itself: sources that did not answer, limits that bit.
    """

    template: ClassVar[str] = ""

    view_version: int = VIEW_VERSION
    name: str
    title: str
    heading: str
    agent: str | None = None
    as_of: Moment
    mark: StatusMark | None = None
    sentence: Sentence
    action: ActionOffer | None = None
    notices: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the page's JSON: two faces with one digest show the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def page_json(page: Page) -> str:
    """Return a page as JSON text of one line, its digest first."""
    text = page.model_dump_json()
    return f'{{"digest":"{page.digest}",{text[1:]}'


def page_moment(now: datetime) -> Moment:
    """Return the moment a page speaks of."""
    return moment(now, now)


def shown_text(text: str) -> str:
    """Return text that carries foreign parts with hidden characters made visible and its length bounded."""
    return foreign_line(text, chars_max=2_000)
