# SPDX-License-Identifier: Apache-2.0
"""What an agent's model calls have cost today, held against the limits of its charter, and how many of them were settled exactly."""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.models import AlertLimits, CallLimits
from pilothouse.core.verdict.numbers import percent, significant
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.gateway import Spent
from pilothouse.reports.sections import Cell, Row, Section, columns, row
from pilothouse.reports.view_models import Empty, StatusMark, mark_of
from pilothouse.reports.words import plural

__all__ = ["spending_section"]

USD_PER_PICO = 1e-12


def spending_section(charter: Charter, spent: Spent | None) -> Section:
    """Return the section.

    Args:
        charter: The charter in force.
        spent: What the agent has spent today (UTC); None where no call of it has passed the gateway.
    """
    limits = charter.model.limits or CallLimits()
    alert = limits.alert or AlertLimits()
    rows = [] if spent is None else [_settled(spent)]
    rows += _limited(limits, alert, spent or Spent())
    return Section(
        anchor="spending",
        title="Model calls today",
        note="what passed the gateway since midnight UTC, saved every few seconds; limits are `model.limits` of the charter",
        columns=columns("State", "What", "#So far", "#Told from", "#Refused from"),
        rows=tuple(rows),
        empty=Empty(
            missing="No model call passed the gateway today, and the charter limits none.",
            command=f"pilothouse key add {charter.agent}",
        ),
    )


def _settled(spent: Spent) -> Row:
    """Say how many calls cost what their providers counted, and not what was estimated."""
    exact = max(0, spent.calls - spent.estimated)
    mark = mark_of(Status.HOLDS, word="Exact")
    if not spent.calls:
        mark = mark_of(Status.NO_EVIDENCE)
    elif exact < spent.calls:
        mark = mark_of(Status.AT_RISK, word="Estimated")
    share = percent(exact / spent.calls, spent.calls) if spent.calls else "unknown"
    return row(
        Cell(mark=mark, small="" if exact == spent.calls else "no usage of the provider, or no price"),
        "Settled exactly",
        Cell(text=share, small=f"{exact:,} of {plural(spent.calls, 'call')}"),
        "",
        "",
    )


def _limited(limits: CallLimits, alert: AlertLimits, spent: Spent) -> Iterator[Row]:
    """Yield a row for each limit that the charter says, and those of the day that it does not."""
    usd = None if spent.tokens and not spent.usd_pico else spent.usd_pico * USD_PER_PICO
    for name, title, amount in (
        ("usd_per_day", "USD of the day", usd),
        ("tokens_per_day", "Tokens of the day", spent.tokens),
        ("usd_per_run", "USD of a run", None),
        ("tokens_per_run", "Tokens of a run", None),
    ):
        told, refused = getattr(alert, name), getattr(limits, name)
        is_day = name.endswith("day")
        if told is None and refused is None and not (is_day and spent.calls):
            continue
        shown = ("unknown" if amount is None else _amount(name, amount)) if is_day else "each by itself"
        yield row(
            Cell(mark=_mark(amount, told, refused, is_day=is_day)),
            title,
            shown,
            "nothing" if told is None else _amount(name, told),
            "nothing" if refused is None else _amount(name, refused),
        )


def _mark(amount: float | None, told: float | None, refused: float | None, *, is_day: bool) -> StatusMark:
    if told is None and refused is None:
        return mark_of(Status.NO_EVIDENCE, word="No limit")
    if not is_day:
        return mark_of(Status.HOLDS, word="Limited")
    if amount is None:
        return mark_of(Status.NO_EVIDENCE, word="No price")
    if refused is not None and amount >= refused:
        return mark_of(Status.BREACHED, word="Used up")
    if told is not None and amount >= told:
        return mark_of(Status.AT_RISK, word="Told")
    return mark_of(Status.HOLDS, word="Below")


def _amount(name: str, amount: float) -> str:
    return significant(amount) if name.startswith("usd") else f"{amount:,.0f}"
