# SPDX-License-Identifier: Apache-2.0
"""What the charter commits to for one item: its bound, and how long its evidence counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

__all__ = ["bound_of", "life_of", "number_of"]

Json = Mapping[str, Any]

_DURATION = re.compile(r"([0-9]{1,10})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_OWN_FIELDS = ("task_type", "integration", "tool", "duty")
"""Fields of a scope that have their own name; what else an item is about stands in `part`, behind the name of its part."""


def bound_of(part: Json, item: Json, charter: Json) -> float | None:
    """Return the bound that a rule has for an item, None where it has none.

    Args:
        part: Part of a rule of the framework, with `bound`: a number, a path with a scale, or nothing. Beside a path may stand
            `otherwise`, the bound where the charter says nothing there, and `cap`, the path of a number that it never passes.
        item: The item of the verdict.
        charter: The charter as JSON.

    Raises:
        LookupError: The item does not name what the path needs.
        TypeError: The charter says nothing there, or something that is no number.
    """
    return number_of(part["bound"], part, item, charter)


def number_of(bound: Any, part: Json, item: Json, charter: Json) -> float | None:
    """Return a number of a rule: itself, or what stands at its path in the charter; None for none.

    Args:
        bound: As `bound_of` describes it.
        part: Part of a rule of the framework.
        item: The item of the verdict.
        charter: The charter as JSON.

    Raises:
        LookupError: The item does not name what the path needs.
        TypeError: The charter says nothing there, or something that is no number.
    """
    if not isinstance(bound, dict):
        return None if bound is None else float(bound)
    said = _said(bound["path"], part, item, charter)
    number = float(bound["otherwise"] if said is None else said)
    cap = _said(bound["cap"], part, item, charter) if bound.get("cap") else None
    return (min(number, cap) if isinstance(cap, (int, float)) else number) * float(bound["scale"])


def life_of(part: Json, item: Json, charter: Json) -> timedelta | None:
    """Return how long evidence counts for an item, None for ever.

    Args:
        part: Part of a rule of the framework, with `fresh`: seconds, a path, or nothing; `grace` is the share of it by which
            evidence counts longer and `otherwise` the seconds where the charter says nothing there; older bundles have neither.
        item: The item of the verdict.
        charter: The charter as JSON.

    Raises:
        LookupError: The charter says nothing there.

    Example:
        >>> part = {"name": "", "fresh": "reviews.{review}", "grace": 0.25}
        >>> life_of(part, {"scope": {"part": "owner"}}, {"reviews": {"owner": "90d"}}).days
        112
        >>> part = {"name": "", "fresh": "model.judges.{judge}.card_max_age"}
        >>> charter = {"model": {"judges": [{"name": "rubric-v3", "card_max_age": "30d"}]}}
        >>> life_of(part, {"scope": {"part": "rubric-v3"}}, charter).days
        30
    """
    fresh, longer = part["fresh"], 1 + part.get("grace", 0.0)
    if not isinstance(fresh, str):
        return None if fresh is None else timedelta(seconds=fresh) * longer
    said = _said(fresh, part, item, charter)
    if said is None:
        if part.get("otherwise") is None:
            raise LookupError(fresh)
        return timedelta(seconds=float(part["otherwise"])) * float(longer)
    match = _DURATION.fullmatch(said) if isinstance(said, str) else None
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) * longer if match else timedelta(0)


def _said(path: str, part: Json, item: Json, charter: Json) -> Any:
    """Return what the charter says at a path, None where nothing stands there."""
    here: Any = charter
    for step in path.split("."):
        if isinstance(here, list):  # of a list, entries are found by their name
            here = {one["name"]: one for one in here}
        if here is not None:
            here = here.get(_name(step[1:-1], part, item) if step.startswith("{") else step)
    return here


def _name(placeholder: str, part: Json, item: Json) -> str:
    scope = item["scope"]
    if placeholder in _OWN_FIELDS:
        return str(scope[placeholder])
    return str(scope["part"]).removeprefix(f"{part['name']} · ")
