# SPDX-License-Identifier: Apache-2.0
"""Check a file's values against the charter's schema: unknown, missing, or of a wrong type.

Every problem becomes a hit, and the values come back repaired: what was wrong is an open question in
them. So the rules can speak about the rest in the same pass, and one run shows everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pilothouse.core.charter.answers import OPEN, is_open
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.located import Path, dotted
from pilothouse.core.charter.rules.duties import MISSING_DUTY, NO_ACCOUNTABLE, RACI_BLANK, TWO_ACCOUNTABLE
from pilothouse.core.charter.rules.people import NO_OWNER, OWNER_NOT_PERSON
from pilothouse.core.charter.rules.policy import MISSING_EXAMPLE
from pilothouse.core.charter.rules.rule import Hit
from pilothouse.core.charter.rules.shape import BAD_TYPE, BAD_UNIT, MISSING_KEY, UNKNOWN_KEY
from pilothouse.core.charter.rules.systems import INTEGRATION_INCOMPLETE
from pilothouse.core.charter.rules.tasks import NO_THRESHOLD
from pilothouse.core.charter.rules.value import BUDGET_ONE, NO_BASELINE
from pilothouse.errors import nearest_name

__all__ = ["Shaped", "known_keys", "shape"]

PASSES_MAX = 12
"""Repairs after which the rules are given up: each pass repairs every problem it sees."""

PROBLEMS_REPAIRED_MAX = 1_000
"""Problems of the form beyond which nothing is repaired, so that no rule speaks: each repair copies what it stands in, and
20,000 of them would take a minute. Nobody mends a thousand by reading on."""

KEYS_COMPARED_MAX = 200
"""Problems among which an unknown key is held against the known ones, to name what was meant: a millisecond each, and a file
with more of them is no misspelt charter."""

KEYS_SHOWN_MAX = 6
"""Keys named when none is near: enough to see what kind of mapping it is."""

REMOVED = object()
"""Marks an entry that is taken out of a copy."""

TYPES: dict[str, tuple[str, str]] = {
    "float_type": ("number", "0.95"),
    "finite_number": ("number", "0.95"),
    "int_type": ("whole number", "3"),
    "int_from_float": ("whole number", "3"),
    "bool_type": ("switch, true or false", "true"),
    "string_type": ("text", "a few words"),
    "string_too_short": ("text", "a few words"),
    "string_too_long": ("text of at most 2,000 characters", "a sentence"),
    "tuple_type": ("list", "[first, second]"),
    "dict_type": ("mapping", "{key: value}"),
    "model_type": ("mapping", "{key: value}"),
    "model_attributes_type": ("mapping", "{key: value}"),
    "greater_than_equal": ("number of at least {ge}", "{ge}"),
    "too_long": ("pair [low, high]", "[0.10, 0.14]"),
}
"""pydantic's error type → what was wanted in words, and an example of it."""

PATTERNS: dict[str, tuple[str, str]] = {
    "A-Z]{3}": ("currency code", "USD"),
    "{3,48}": ("agent id of 3 to 48 characters a-z, 0-9 and -", "invoice-triage"),
    "sha256": ("digest", "sha256: and 64 hex digits"),
    r"\.\.": ("window of months", "2026-02..2026-04"),
    "{0,63}": ("id of a-z, 0-9, ., - and _", "po_invoice"),
}
"""Part of a pattern → what it wants in words, and an example."""

THRESHOLD_KEYS = frozenset(
    {
        "metric", "quality", "completion", "escalation", "override", "discrepancy", "cost_of_error",
        "cost_of_review", "cost_per_task", "routing", "sampling", "critical",
    }
)  # fmt: skip
"""Keys of a task type without which nothing could be judged."""

LAST_RESORT: dict[str, Any] = {
    "apiVersion": "pilothouse/v1",
    "agent": "unnamed-agent",
    "people": {},
    "task_types": {},
    "function": {"verb": "route", "object": "unnamed", "output_schema": "unnamed"},
}
"""What stands for a key that may not be an open question, while the rest is checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """The result of the form check.

    Attributes:
        charter: The charter of the repaired values, or None when even repair did not help.
        hits: What was wrong with the form.
        lost: Entries that even repair could not keep: nothing can be said about what they belong to.
        renamed: Path of a key as it should be → path as it was misspelt.
    """

    charter: Charter | None
    hits: tuple[Hit, ...]
    lost: frozenset[Path]
    renamed: Mapping[Path, Path]


def shape(values: Mapping[str, Any]) -> Shaped:
    """Fit plain values to the charter's schema, and report everything that does not fit.

    Args:
        values: Top-level mapping with `task_defaults` already merged into the task types.

    Returns:
        The charter of the values, repaired where they did not fit, and one hit for each problem.
    """
    hits: list[Hit] = []
    lost: set[Path] = set()
    renamed: dict[Path, Path] = {}
    charter: Charter | None = None
    repaired: Any = dict(values)
    for attempt in range(PASSES_MAX):
        try:
            charter = Charter.model_validate(repaired)
            break
        except ValidationError as broken:
            problems = [_problem(error, repaired) for error in broken.errors(include_url=False)]
        renames = _renames(problems)
        told = [problem for problem in problems if problem.path not in renames.values()]
        if attempt > 0:  # what only now comes to light, and is no trace of an earlier repair
            told = [p for p in told if not _stays_wrong(p, renames) and not _touches(p.path, lost)]
        hits += [
            _hit(problem, renames, is_compared=number < KEYS_COMPARED_MAX)
            for number, problem in enumerate(told)
            if not _is_threshold(problem)
        ]
        hits += _without_threshold([problem.path for problem in told if _is_threshold(problem)])
        renamed |= {right: wrong for wrong, right in renames.items()}
        if len(problems) > PROBLEMS_REPAIRED_MAX:
            break
        edits = {path: value for problem in problems for path, value in _edits(problem, renames)}
        lost |= {_removal(problem.path)[0] for problem in problems if _stays_wrong(problem, renames)}
        for path in sorted(edits, key=_from_the_end, reverse=True):
            repaired = _replaced(repaired, path, edits[path])
    return Shaped(charter=charter, hits=tuple(hits), lost=frozenset(lost), renamed=renamed)


def known_keys(path: Path) -> tuple[str, ...]:
    """Return the keys that a mapping of the charter may have.

    Args:
        path: Path of the mapping.

    Returns:
        Keys in the order of the reference; empty for a path that is no mapping with fixed keys.

    Example:
        >>> known_keys(("sponsor",))
        ('person', 'review', 'because')
    """
    wanted: Any = Charter
    for key in path:
        wanted = _step(wanted, key)
    model = _model(wanted)
    return tuple(field.alias or name for name, field in model.model_fields.items()) if model else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """One problem of the form.

    Attributes:
        kind: pydantic's error type, or ours.
        path: Path as written.
        value: What stands there.
        wanted: What should stand there, in words.
        example: An example of it.
    """

    kind: str
    path: Path
    value: Any
    wanted: str = ""
    example: str = ""


def _problem(error: ErrorDetails, values: Any) -> _Problem:
    kind, context = error["type"], error.get("ctx", {})
    path = tuple(key for key in error["loc"] if key != "[key]")
    if kind in ("missing", "extra_forbidden") and not isinstance(_get(values, path[:-1]), tuple):
        return _Problem(kind=kind, path=path, value=_get(values, path))
    path = _existing(path, values)
    if kind == "missing":
        kind = "too_long"  # a pair with one end only reads as one that is no pair
    if kind in ("bad_unit", "bad_type"):
        wanted, example = error["msg"], str(context["example"])
    elif kind == "literal_error":
        options = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        wanted, example = f"value of: {options}", options.split(", ")[0]
    elif kind == "string_pattern_mismatch":
        wanted, example = next(words for part, words in PATTERNS.items() if part in str(context["pattern"]))
    else:
        wanted, example = TYPES.get(kind, ("value that fits here", '"?" while nobody knows'))
        wanted, example = (
            wanted.format_map({"ge": context.get("ge")}),
            example.replace("{ge}", str(context.get("ge"))),
        )
    value = path[-1] if "[key]" in error["loc"] else _get(values, path)
    if kind == "string_type" and isinstance(value, tuple) and value and isinstance(value[0], str):
        wanted, example = "single text", value[0]
    return _Problem(kind=kind, path=path, value=value, wanted=wanted, example=example)


def _hit(problem: _Problem, renames: Mapping[Path, Path], *, is_compared: bool) -> Hit:
    path = problem.path
    if problem.kind == "extra_forbidden":
        keys, name = known_keys(path[:-1]), str(path[-1])
        near = (
            str(renames[path][-1]) if path in renames else nearest_name(name, keys) if is_compared else None
        )
        hint = f"Did you mean {near}?" if near else f"Known here: {_listed(keys)}."
        return UNKNOWN_KEY.at(path, key=name, hint=hint)
    if problem.kind == "missing":
        return _missing(path)
    match path:
        case ("raci", str(duty), "A") if isinstance(problem.value, tuple):
            n = len(problem.value)
            return (
                TWO_ACCOUNTABLE.at(path, duty=duty, n=n, who=problem.value)
                if n > 1
                else NO_ACCOUNTABLE.at(path, duty=duty)
            )
        case ("raci", str(duty), "A") if problem.value == "":
            return NO_ACCOUNTABLE.at(path, duty=duty)
        case ("owner", "person") if isinstance(problem.value, tuple):
            return OWNER_NOT_PERSON.at(path, owner=f"[{', '.join(map(str, problem.value))}]")
    rule = BAD_UNIT if problem.kind == "bad_unit" else BAD_TYPE
    return rule.at(path, value=_in_words(problem.value), type=problem.wanted, example=problem.example)


def _missing(path: Path) -> Hit:
    match path:
        case ("owner",):
            return NO_OWNER.at(path)
        case ("raci", str(duty)):
            return MISSING_DUTY.at(path, duty=duty)
        case ("raci", str(duty), "A"):
            return NO_ACCOUNTABLE.at(path, duty=duty)
        case ("raci", str(duty), str(letter)):
            return RACI_BLANK.at(path, duty=duty, letter=letter)
        case ("integrations", str(name), str(key), *rest):
            return INTEGRATION_INCOMPLETE.at(path, integration=name, field=dotted((key, *rest)))
        case ("outcomes", int(), "baseline", *rest):
            field = str(rest[0]) if rest else "at all"
            return NO_BASELINE.at(path, outcome=dotted(path[:2]), field=field)
        case ("budgets", "production"):
            return BUDGET_ONE.at(path)
        case ("tools", str(name), "examples", *rest):
            kind = str(rest[0]) if rest else "allow and deny"
            return MISSING_EXAMPLE.at(path, rule="entitled", tool=name, kind=kind)
        case _:
            return MISSING_KEY.at(path)


def _is_threshold(problem: _Problem) -> bool:
    """Return whether a task type lacks a required threshold."""
    path = problem.path
    return (
        problem.kind == "missing" and len(path) > 2 and path[0] == "task_types" and path[2] in THRESHOLD_KEYS
    )


def _without_threshold(paths: Sequence[Path]) -> Iterator[Hit]:
    """Yield one hit for each threshold that is missing, however many task types lack it."""
    by_field: dict[Path, list[str]] = {}
    for path in paths:
        by_field.setdefault(path[2:], []).append(str(path[1]))
    for field, names in by_field.items():
        many = len(names) > 1
        shown = ", ".join(repr(name) for name in names)
        yield NO_THRESHOLD.at(
            ("task_types", names[0], *field),
            who=f"task types {shown} have" if many else f"task type {shown} has",
            field=dotted(field),
            place="task_defaults" if many else f"task_types.{names[0]}",
        )


def _renames(problems: Sequence[_Problem]) -> dict[Path, Path]:
    """Return misspelt key → missing key beside it, so that one typo is one finding."""
    missing = [problem.path for problem in problems if problem.kind == "missing"]
    unknown = [problem.path for problem in problems if problem.kind == "extra_forbidden"]
    renames: dict[Path, Path] = {}
    for wrong in unknown[:KEYS_COMPARED_MAX]:
        top = wrong[:-1]
        beside = [str(path[-1]) for path in missing if path[:-1] == top and path not in renames.values()]
        near = nearest_name(str(wrong[-1]), beside)
        if near:
            renames[wrong] = (*top, near)
    return renames


def _edits(problem: _Problem, renames: Mapping[Path, Path]) -> Iterator[tuple[Path, Any]]:
    """Yield path and new value of each edit that repairs the values."""
    path = problem.path
    if path in renames:
        yield renames[path], problem.value
    if problem.kind == "extra_forbidden":
        yield path, REMOVED
    elif _stays_wrong(problem, renames):
        yield _removal(path)
    elif path not in renames.values():
        yield path, OPEN


def _stays_wrong(problem: _Problem, renames: Mapping[Path, Path]) -> bool:
    """Return whether an open question in its place is not valid either."""
    return (
        problem.kind != "extra_forbidden" and problem.path not in renames.values() and is_open(problem.value)
    )


def _removal(path: Path) -> tuple[Path, Any]:
    """Return the edit for a value that may not be an open question: its entry is removed."""
    while len(path) > 1 and not isinstance(path[-1], int) and known_keys(path[:-1]):
        path = path[:-1]
    return path, LAST_RESORT.get(str(path[0]), REMOVED) if len(path) == 1 else REMOVED


def _touches(path: Path, lost: Collection[Path]) -> bool:
    """Return whether a path contains a removed entry, or is in the same list."""
    return any(
        gone[: len(path)] == path or (isinstance(gone[-1], int) and path[: len(gone) - 1] == gone[:-1])
        for gone in lost
    )


def _from_the_end(path: Path) -> tuple[tuple[bool, int, str], ...]:
    """Return a sort key that edits list items last first, so that indexes stay valid."""
    return tuple((isinstance(key, int), key if isinstance(key, int) else 0, str(key)) for key in path)


def _existing(path: Path, values: Any) -> Path:
    """Cut a path at the last existing value: pydantic appends type names."""
    for length, key in enumerate(path):
        holder = _get(values, path[:length])
        inside = (
            key in holder
            if isinstance(holder, dict)
            else isinstance(holder, tuple) and key in range(len(holder))
        )
        if not inside:
            return path[:length]
    return path


def _get(values: Any, path: Path) -> Any:
    for key in path:
        values = values.get(str(key)) if isinstance(values, dict) else values[int(key)]
    return values


def _replaced(values: Any, path: Path, value: Any) -> Any:
    """Return a copy with one entry replaced, or removed; other entries are shared with the original."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(values, tuple) and isinstance(key, int):
        inner = _replaced(values[key], rest, value)
        return (*values[:key], *(() if inner is REMOVED else (inner,)), *values[key + 1 :])
    copied = dict(values) if isinstance(values, dict) else {}
    inner = _replaced(copied.get(str(key)), rest, value)
    if inner is REMOVED:
        copied.pop(str(key), None)
    else:
        copied[str(key)] = inner
    return copied


def _listed(keys: Sequence[str]) -> str:
    more = len(keys) - KEYS_SHOWN_MAX
    shown = ", ".join(keys[:KEYS_SHOWN_MAX])
    return f"{shown} and {more} more" if more > 0 else shown


def _in_words(value: Any) -> str:
    """Return a value in words, a collection without its content."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str) else str(value)


def _arms(wanted: Any) -> Iterator[Any]:
    """Yield the plain types inside annotations and unions."""
    if get_origin(wanted) is Annotated:
        yield from _arms(get_args(wanted)[0])
    elif get_origin(wanted) in (Union, UnionType):
        for arm in get_args(wanted):
            yield from _arms(arm)
    else:
        yield wanted


def _model(wanted: Any) -> type[BaseModel] | None:
    return next((arm for arm in _arms(wanted) if isinstance(arm, type) and issubclass(arm, BaseModel)), None)


def _step(wanted: Any, key: str | int) -> Any:
    """Return the type of the value at a key."""
    for arm in _arms(wanted):
        if get_origin(arm) is tuple and isinstance(key, int):
            return get_args(arm)[0]
        if get_origin(arm) is dict:
            return get_args(arm)[1]
    model = _model(wanted)
    fields = model.model_fields.items() if model else ()
    return next((field.annotation for name, field in fields if key == (field.alias or name)), None)
