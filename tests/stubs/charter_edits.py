# SPDX-License-Identifier: Apache-2.0
"""Edits of one value of the example charter, for tests that ask what each of them changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Any

from pydantic import ValidationError

from pilothouse.core.charter.charter import Charter

NAMED = ("id", "name", "level")
WORDS = (
    "another", "escalate", "hold", "reject", "shorten_visibly", "last_release", "middleware", "sandbox", "medium", "internal",
    "wiki", "ceiling", "drop", "sev3", "sev2", "before_after", "holdout", "up", "30d", "5d", "2029-01-01", "2028-12-31",
    "oidc:new@corp.example", "another.example:443", "sha256:" + "ab" * 32, "sha256:" + "cd" * 32, "dana", "sam", "kim", "lee",
)  # fmt: skip
"""Of these the first that the charter takes is written where a text stands."""


def values_of(
    value: Any, path: tuple[Any, ...] = (), shown: tuple[str, ...] = ()
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield each value that is no mapping and no list of mappings: its place, and the same with names for numbers."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from values_of(inner, (*path, key), (*shown, str(key)))
    elif isinstance(value, (list, tuple)) and value and all(isinstance(one, dict) for one in value):
        for number, inner in enumerate(value):
            name = next((str(inner[key]) for key in NAMED if key in inner), str(number))
            yield from values_of(inner, (*path, number), (*shown, name))
    else:
        yield path, shown


def others(value: Any) -> Iterator[Any]:
    """Yield other values of the same kind."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value + 30)
    elif isinstance(value, float):
        yield from (value * 0.9, value * 1.01, value + 0.01, value - 0.01)
    elif isinstance(value, str):
        yield from (word for word in WORDS if word != value)
    elif isinstance(value, (list, tuple)):
        yield from ([*value[:-1], *([word] if word else [])] for word in (*WORDS, ""))
    elif value is None:
        yield from ("another", 1, "30d", 0.5, ["another"])


def edits_of(tree: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Charter | None]]:
    """Yield the place of each value of a charter file with a charter in which it is another one; None where none is taken."""
    before = Charter.model_validate(tree).digest
    for path, shown in values_of(tree):
        yield shown, next(_taken(tree, path, before), None)


def _taken(tree: Mapping[str, Any], path: tuple[Any, ...], before: str) -> Iterator[Charter]:
    for value in others(reduce(getitem, path, tree)):
        document = _with(tree, path, value)
        try:
            edited = Charter.model_validate(document)
        except (ValidationError, ValueError, TypeError):
            continue
        if edited.digest != before:
            yield edited


def _with(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a tree with another value at a place; what lies beside the way to it is shared, as nobody changes it."""
    if not path:
        return value
    inner = _with(tree[path[0]], path[1:], value)
    if isinstance(tree, (list, tuple)):
        return type(tree)((*tree[: path[0]], inner, *tree[path[0] + 1 :]))
    return {**tree, path[0]: inner}
