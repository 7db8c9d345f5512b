# SPDX-License-Identifier: Apache-2.0
"""Check a located file with facts: the charter and all findings (located file → charter + findings)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pilothouse.core.charter.answers import OPEN, is_open
from pilothouse.core.charter.charter import API_VERSION, Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.findings import CharterCheck, Finding, FindingKind, asked_of
from pilothouse.core.charter.located import LocatedTree, Path
from pilothouse.core.charter.rules.rule import Hit
from pilothouse.core.charter.rules.shape import BAD_TYPE, OLD, OPEN_QUESTION, SECRET, TOO_NEW, YAML
from pilothouse.core.charter.rules.table import CHECKS
from pilothouse.core.charter.secrets import secret_kind
from pilothouse.core.charter.shape import shape
from pilothouse.core.charter.tasks import merge_defaults
from pilothouse.errors import Place

__all__ = ["check_charter"]

API_VERSION_FORM = re.compile(r"pilothouse/v([0-9]{1,3})")

NEVER_EMPTY: tuple[Path, ...] = (
    ("people",),
    ("operations", "team"),
    ("escalation",),
    ("task_types",),
    ("model", "upgrade", "approve"),
    ("alerts",),
    ("outcomes",),
    ("residency", "regions"),
)
"""Lists and mappings of which an empty one would silently ask for nothing."""

FINDINGS_MAX = 500
"""Findings shown: nobody reads more, and a hostile file could ask for millions."""


def check_charter(tree: LocatedTree, facts: CharterFacts) -> CharterCheck:
    """Check a file against the charter's form and all its rules, in one pass.

    Args:
        tree: What a reader made of the file.
        facts: What the rules must know about the world.

    Returns:
        The charter (None when an error stands) and every finding: errors, questions, warnings, each
        in file order.
    """
    hits = [
        replace(YAML.at(problem.path, problem=problem.problem), mark=problem.mark)
        for problem in tree.problems
    ]
    if not isinstance(tree.value, dict):
        if not hits:
            hits = [YAML.at((), problem="the file is no mapping of keys to values")]
        return _settled(tree, hits, charter=None)
    values = dict(tree.value)
    hits += _secrets(values, ())
    version_hits, values = _versioned(values)
    hits += version_hits
    if any(hit.rule is TOO_NEW for hit in version_hits):
        return _settled(tree, hits, charter=None)
    empty = [*_empty_values(values, ())]
    hits += [
        BAD_TYPE.at(path, value="nothing", type="value", example='"?" while nobody knows') for path in empty
    ]
    defaults = values.get("task_defaults", {})
    if not isinstance(defaults, dict) and not is_open(defaults) and defaults is not None:
        hits.append(BAD_TYPE.at(("task_defaults",), value="this", type="mapping", example="{key: value}"))
    values = _filled(_merged(values))
    shaped = shape(values)
    tree = _under_right_names(tree, shaped.renamed)
    wrong = {*empty, *(hit.path for hit in shaped.hits)}
    hits += shaped.hits
    charter = shaped.charter
    if charter is not None and facts.files is not None:
        found = {name: file.digest for name, file in facts.files.items() if file.digest is not None}
        charter = charter.with_files(found)
    hits += _questions(values=tree.value, path=(), wrong=wrong, charter=charter)
    if charter is not None:
        told = (hit for check in CHECKS for hit in check(charter, facts))
        hits += [hit for hit in (*_nothing_in(values), *told) if not _is_silent(hit.path, wrong, shaped.lost)]
    return _settled(tree, hits, charter=charter)


def _under_right_names(tree: LocatedTree, renamed: Mapping[Path, Path]) -> LocatedTree:
    """Return the tree with the values of misspelt keys also under the right keys."""
    marks = dict(tree.marks)
    for right, wrong in renamed.items():
        marks |= {
            (*right, *path[len(wrong) :]): mark
            for path, mark in tree.marks.items()
            if path[: len(wrong)] == wrong
        }
    return replace(tree, marks=marks)


def _settled(tree: LocatedTree, hits: Iterable[Hit], *, charter: Charter | None) -> CharterCheck:
    """Sort and deduplicate findings, and withhold a charter that has an error."""
    findings: dict[tuple[str, Place, str], Finding] = {}
    for hit in hits:
        finding = hit.finding(tree)
        if finding.kind is FindingKind.QUESTION:
            finding = replace(finding, asked=asked_of(str(hit.path[0]), charter))
        findings.setdefault((finding.rule, finding.place, finding.message), finding)
    order = list(FindingKind)
    ordered = sorted(
        findings.values(),
        key=lambda f: (order.index(f.kind), f.place.line, f.place.column, f.rule, f.message),
    )
    is_valid = not any(finding.kind is FindingKind.ERROR for finding in ordered)
    return CharterCheck(
        charter=charter if is_valid else None,
        findings=tuple(ordered[:FINDINGS_MAX]),
        hidden=max(0, len(ordered) - FINDINGS_MAX),
    )


def _versioned(values: dict[str, Any]) -> tuple[list[Hit], dict[str, Any]]:
    """Check the apiVersion: an older one is migrated, a newer one ends the check."""
    version = values.get("apiVersion")
    if version is None or version == API_VERSION:
        return [], values
    form = API_VERSION_FORM.fullmatch(version) if isinstance(version, str) else None
    if form is not None and int(form[1]) < int(API_VERSION.removeprefix("pilothouse/v")):
        hit = OLD.at(("apiVersion",), version=version, known=API_VERSION)
        return [hit], {**values, "apiVersion": API_VERSION}
    return [TOO_NEW.at(("apiVersion",), version=version, known=API_VERSION)], values


def _merged(values: dict[str, Any]) -> dict[str, Any]:
    """Merge `task_defaults` into each task type; a wrong type of either is reported by the form check."""
    own, defaults = values.get("task_types"), values.get("task_defaults")
    if not isinstance(own, dict) or not isinstance(defaults, dict):
        return values
    rest = {key: value for key, value in values.items() if key != "task_defaults"}
    return {**rest, "task_types": {name: merge_defaults(defaults, terms) for name, terms in own.items()}}


def _filled(value: Any) -> Any:
    """Return a copy in which empty values are open questions."""
    if isinstance(value, dict):
        return {key: _filled(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_filled(part) for part in value)
    return OPEN if value is None else value


def _empty_values(value: Any, path: Path) -> Iterator[Path]:
    if value is None:
        yield path
    for key, part in _parts(value):
        yield from _empty_values(part, (*path, key))


def _secrets(value: Any, path: Path) -> Iterator[Hit]:
    kind = secret_kind(value) if isinstance(value, str) else None
    if kind:
        yield SECRET.at(path, kind=kind)
    for key, part in _parts(value):
        yield from _secrets(part, (*path, key))


def _questions(*, values: Any, path: Path, wrong: Collection[Path], charter: Charter | None) -> Iterator[Hit]:
    if is_open(values) and not _lies_under(path, wrong):
        yield OPEN_QUESTION.at(path, who=asked_of(str(path[0]), charter))
    for key, part in _parts(values):
        yield from _questions(values=part, path=(*path, key), wrong=wrong, charter=charter)


def _nothing_in(values: Mapping[str, Any]) -> Iterator[Hit]:
    """Yield empty lists that the charter depends on."""
    for path in NEVER_EMPTY:
        value = _value(values, path)
        if value in ((), {}):
            yield BAD_TYPE.at(
                path, value="an empty one", type="list with an entry", example="at least one entry"
            )


def _is_silent(path: Path, wrong: Collection[Path], lost: Collection[Path]) -> bool:
    """Return whether a rule's finding is suppressed: it repeats a form finding, or its subject lost a part."""
    rests_on_lost = any(part[: len(path)] == path for part in lost)
    return rests_on_lost or _lies_under(path, wrong) or _lies_under(path, lost)


def _lies_under(path: Path, wrong: Collection[Path]) -> bool:
    return any(path[:length] in wrong for length in range(1, len(path) + 1))


def _parts(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, tuple):
        yield from enumerate(value)


def _value(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
