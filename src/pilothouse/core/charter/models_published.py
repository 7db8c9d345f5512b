# SPDX-License-Identifier: Apache-2.0
"""What providers published about exact models: the day they stop serving one, and how many tokens it reads.

A dated copy, not the truth: each entry names its page and the day it was read. A charter that knows better says so
(`model.pin.retires_on`, `model.limits.window_tokens`); of two retirement days the earlier counts. A model that is not
listed has no published day and no known window here, which is not the same as having none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

__all__ = ["MODEL_RETIREMENTS", "MODEL_WINDOWS", "Retirement", "first_retirement"]

_ANTHROPIC = "https://platform.claude.com/docs/en/about-claude/model-deprecations"
_OPENAI = "https://platform.openai.com/docs/deprecations"
_READ_ANTHROPIC = date(2026, 7, 28)
_READ_OPENAI = date(2026, 6, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A published last day of a model.

    Attributes:
        on: First day on which requests fail.
        source: Page that says so.
        read_on: When it was read.
    """

    on: date
    source: str
    read_on: date


def _anthropic(year: int, month: int, day: int) -> Retirement:
    return Retirement(on=date(year, month, day), source=_ANTHROPIC, read_on=_READ_ANTHROPIC)


def _openai(year: int, month: int, day: int) -> Retirement:
    return Retirement(on=date(year, month, day), source=_OPENAI, read_on=_READ_OPENAI)


MODEL_RETIREMENTS: Mapping[str, Retirement] = {
    "claude-2.0": _anthropic(2025, 7, 21),
    "claude-2.1": _anthropic(2025, 7, 21),
    "claude-3-sonnet-20240229": _anthropic(2025, 7, 21),
    "claude-3-5-sonnet-20240620": _anthropic(2025, 10, 28),
    "claude-3-5-sonnet-20241022": _anthropic(2025, 10, 28),
    "claude-3-opus-20240229": _anthropic(2026, 1, 5),
    "claude-3-5-haiku-20241022": _anthropic(2026, 2, 19),
    "claude-3-7-sonnet-20250219": _anthropic(2026, 2, 19),
    "claude-3-haiku-20240307": _anthropic(2026, 4, 20),
    "claude-opus-4-20250514": _anthropic(2026, 6, 15),
    "claude-sonnet-4-20250514": _anthropic(2026, 6, 15),
    "claude-opus-4-1-20250805": _anthropic(2026, 8, 5),
    "gpt-5-codex": _openai(2026, 7, 23),
    "gpt-5.1-codex": _openai(2026, 7, 23),
    "gpt-5.1-codex-max": _openai(2026, 7, 23),
    "gpt-5.1-codex-mini": _openai(2026, 7, 23),
    "gpt-5.2-codex": _openai(2026, 7, 23),
    "o3-deep-research-2025-06-26": _openai(2026, 7, 23),
    "o4-mini-deep-research-2025-06-26": _openai(2026, 7, 23),
    "gpt-3.5-turbo-0125": _openai(2026, 10, 23),
    "gpt-4-0613": _openai(2026, 10, 23),
}
"""Announced days only: a page's "not sooner than" is no day."""

MODEL_WINDOWS: Mapping[str, int] = {
    "claude-haiku-4-5-20251001": 200_000,
    "claude-opus-4-5-20251101": 200_000,
    "gpt-4o-2024-08-06": 128_000,
    "gpt-4o-2024-11-20": 128_000,
    "gpt-4o-mini-2024-07-18": 128_000,
    "gpt-4.1-2025-04-14": 1_047_576,
    "gpt-4.1-mini-2025-04-14": 1_047_576,
    "gpt-4.1-nano-2025-04-14": 1_047_576,
    "gpt-5-2025-08-07": 400_000,
    "gpt-5-mini-2025-08-07": 400_000,
    "gpt-5-nano-2025-08-07": 400_000,
    "o4-mini-2025-04-16": 200_000,
}
"""Tokens that are read and written together, from the providers' model pages. Models whose window a header widens are
left out: a number that may be too small would refuse what the provider takes."""


def first_retirement(
    model: str, said: date | None, calendar: Mapping[str, Retirement] | None = None
) -> tuple[date, Retirement | None] | None:
    """Return the earlier of the charter's and the published day, with the page when that decides; None without either.

    Args:
        model: Exact id.
        said: Day that the charter says, or None.
        calendar: Published days; the table of this module when None.

    Example:
        >>> day, page = first_retirement("gpt-4-0613", date(2027, 1, 1))
        >>> day.isoformat(), page is not None
        ('2026-10-23', True)
        >>> first_retirement("acme-large-2026-04-12", None) is None
        True
    """
    published = (MODEL_RETIREMENTS if calendar is None else calendar).get(model)
    if published is not None and (said is None or published.on < said):
        return published.on, published
    return None if said is None else (said, None)
