# SPDX-License-Identifier: Apache-2.0
"""Parse a charter's YAML into plain values with the line and column of each (file → located tree).

The stream of YAML events is folded by hand: nothing is constructed, aliases and tags are refused, and
depth and size are bounded, so the file of a stranger is as safe to read as any text.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pilothouse.core.charter.contract import ToolContract, parse_contract
from pilothouse.core.charter.facts import FileFact
from pilothouse.core.charter.located import FileProblem, LocatedTree, Mark
from pilothouse.core.charter.located import Path as TreePath
from pilothouse.errors import CharterInvalid, CharterSyntaxError, Place, UsageError

__all__ = ["look_at_files", "read_charter_file", "read_charter_text", "read_text_of"]

CHARTER_BYTES_MAX = 1024 * 1024
"""A charter of one narrow agent has about 10 KiB; beyond 1 MiB it is no charter."""

DEPTH_MAX = 24
"""The deepest value of the charter's form lies at depth 8."""

REFERENCED_BYTES_MAX = 4 * 1024 * 1024
"""A prompt, schema, contract or runbook beyond 4 MiB is none."""

INTEGER_DIGITS_MAX = 15
"""Whole numbers of more digits are not kept exactly by every reader of JSON; they stay text."""

NODES_MAX = 40_000
"""Keys and values of one file: a charter of fifty tools, each with ten arguments and twenty examples, has half of them. What
is wrong with each is worked out before any is shown, so half a million unknown keys would keep `check` busy for minutes."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where it is built in: ten times faster, and `check` must answer at once."""

FIRST = Mark(line=1, column=1)
FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML 1.2, section 5.1, does not allow."""

INTEGER = re.compile(rf"0|-?[1-9][0-9]{{0,{INTEGER_DIGITS_MAX - 1}}}")
"""A whole number as a program prints it. `0042` and `+49` are names, codes and telephone numbers: as a number they would lose
what makes them one, and YAML 1.1 reads the first as 34."""

DIGITS = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?")
WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


def read_charter_file(path: Path) -> LocatedTree:
    """Read a charter file.

    Returns:
        Its values with their places; what could not be read stands in `problems`.

    Raises:
        UsageError: There is no such file, or it cannot be read.
    """
    return read_charter_text(read_text_of(path), file=str(path))


def read_text_of(path: Path) -> str:
    """Return the text of a charter file.

    Raises:
        UsageError: There is no such file, or it cannot be read.
        CharterSyntaxError: It is too large, or no UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(CHARTER_BYTES_MAX + 1)
    except FileNotFoundError:
        raise UsageError(
            f"there is no file {str(path)!r}",
            remedy="Give the path of a charter, or draft one: `pilothouse init .`",
            subject=str(path),
        ) from None
    except OSError as failed:
        raise UsageError(
            f"{str(path)!r} cannot be read: {failed.strerror}",
            remedy="Give the path of a charter file that you may read.",
            subject=str(path),
        ) from failed
    if len(raw) > CHARTER_BYTES_MAX:
        raise CharterSyntaxError(
            f"not readable: larger than {CHARTER_BYTES_MAX // 1024} KiB",
            remedy="A charter is a few hundred lines; check the path.",
            place=Place(str(path)),
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as failed:
        line = raw[: failed.start].count(b"\n") + 1
        column = failed.start - (raw.rfind(b"\n", 0, failed.start) + 1) + 1
        raise CharterSyntaxError(
            "not readable: no UTF-8 text",
            remedy="Save the file as UTF-8.",
            place=Place(str(path), line, column),
        ) from None


def read_charter_text(text: str, *, file: str) -> LocatedTree:
    """Parse the text of a charter; no input raises.

    Args:
        text: YAML.
        file: Path to show in messages.

    Returns:
        Its values with their places; `value` is None when the YAML itself is broken.

    Example:
        >>> read_charter_text("owner: {person: dana}", file="c.yaml").value
        {'owner': {'person': 'dana'}}
    """
    fold = _Fold()
    broken: FileProblem | None = None
    try:
        for event in yaml.parse(text, Loader=LOADER):
            fold.take(event)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(line=at.line + 1, column=at.column + 1) if at else FIRST
        words = error.problem or "broken YAML"
        if error.context:
            since = f" that begins on line {error.context_mark.line + 1}" if error.context_mark else ""
            words = f"{words}, {error.context}{since}"
        broken = FileProblem(problem=words, mark=mark)
    except yaml.YAMLError:
        broken = FileProblem(problem="a character that YAML does not allow", mark=_bad_character(text))
    except _Refused as refused:
        broken = FileProblem(problem=refused.words, mark=refused.mark)
    if broken is not None:
        return LocatedTree(file=file, value=None, problems=(broken,))
    return LocatedTree(
        file=file, value=_with_tuples(fold.value), marks=fold.marks, problems=tuple(fold.problems)
    )


def _bad_character(text: str) -> Mark:
    """Where the first character stands that YAML does not allow."""
    found = FORBIDDEN.search(text)
    if found is None:
        return FIRST
    start = found.start()
    return Mark(line=text.count("\n", 0, start) + 1, column=start - text.rfind("\n", 0, start))


def look_at_files(folder: Path, names: Iterable[str]) -> dict[str, FileFact]:
    """Check the files that a charter names.

    Args:
        folder: Folder of the charter; names are relative to it.
        names: Paths as written. One that leaves the folder counts as missing.

    Returns:
        What is known about each of them.
    """
    return {name: _look_at(folder, name) for name in names}


def _look_at(folder: Path, name: str) -> FileFact:
    missing = FileFact(digest=None)
    try:
        root = folder.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            return missing
        with path.open("rb") as file:
            raw = file.read(REFERENCED_BYTES_MAX + 1)
    except (OSError, ValueError):
        return missing
    if len(raw) > REFERENCED_BYTES_MAX:
        return missing
    return FileFact(
        digest=hashlib.sha256(raw).hexdigest(),
        is_empty=not raw.strip(),
        arguments=_contract_arguments(name, raw),
        contract=_contract(name, raw),
    )


def _contract(name: str, raw: bytes) -> ToolContract | str | None:
    """Return the tool contract in a file, or the first reason why it is none."""
    if not name.endswith(".json"):
        return None
    try:
        return parse_contract(raw.decode(), path=name)
    except UnicodeDecodeError:
        return "it is no text in UTF-8"
    except CharterInvalid as error:
        return error.findings[0] if error.findings else error.message


def _contract_arguments(name: str, raw: bytes) -> tuple[str, ...] | None:
    """Names of the arguments of a tool contract, or None when the file is none."""
    if not name.endswith(".json"):
        return None
    try:
        contract = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    schema = contract.get("input") if isinstance(contract, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return tuple(properties) if isinstance(properties, dict) else None


class _Refused(Exception):
    """Refuses YAML that no charter needs; reading stops there."""

    def __init__(self, words: str, mark: Mark) -> None:
        super().__init__(words)
        self.words = words
        self.mark = mark


@dataclass(slots=True, kw_only=True)
class _Holder:
    """A mapping or a list that is still being read."""

    values: dict[str, Any] | list[Any]
    path: TreePath
    key: str | None = None
    key_mark: Mark | None = None


class _Fold:
    """Folds YAML events into values and marks, with a stack of its own instead of recursion."""

    def __init__(self) -> None:
        self.value: Any = None
        self.marks: dict[TreePath, Mark] = {}
        self.problems: list[FileProblem] = []
        self.open: list[_Holder] = []
        self.documents = 0
        self.nodes = 0

    def take(self, event: yaml.Event) -> None:
        start = event.start_mark
        mark = Mark(line=start.line + 1, column=start.column + 1) if start else FIRST
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise _Refused("a second document begins here", mark)
        elif isinstance(event, yaml.AliasEvent):
            raise _Refused(f"alias *{event.anchor}; aliases are refused", mark)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.open.pop()
        elif isinstance(event, yaml.NodeEvent):
            if event.anchor:
                raise _Refused(f"anchor &{event.anchor}; aliases are refused", mark)
            tag = getattr(event, "tag", None)
            if tag and tag != "!":
                raise _Refused(f"tag {tag}; tags are refused", mark)
            self._take_node(event, mark)

    def _take_node(self, event: yaml.NodeEvent, mark: Mark) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise _Refused(f"more than {NODES_MAX:,} keys and values", mark)
        holder = self.open[-1] if self.open else None
        expects_key = holder is not None and isinstance(holder.values, dict) and holder.key is None
        if isinstance(event, yaml.ScalarEvent):
            if holder is not None and expects_key:
                holder.key, holder.key_mark = event.value, mark
            else:
                self._put(_scalar(event), mark)
            return
        if expects_key:
            raise _Refused("a key must be one word, not a mapping or a list", mark)
        if len(self.open) >= DEPTH_MAX:
            raise _Refused(f"nested deeper than {DEPTH_MAX} levels", mark)
        values: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.open.append(_Holder(values=values, path=self._put(values, mark)))

    def _put(self, value: Any, mark: Mark) -> TreePath:
        """Insert a value at its place, and return its path."""
        if not self.open:
            self.value = value
            return ()
        holder = self.open[-1]
        if isinstance(holder.values, list):
            path: TreePath = (*holder.path, len(holder.values))
            holder.values.append(value)
            self.marks[path] = mark
            return path
        key, key_mark = holder.key or "", holder.key_mark or mark
        path = (*holder.path, key)
        if key in holder.values:
            first = self.marks[path].line
            self.problems.append(
                FileProblem(
                    problem=f"key {key} stands twice, first on line {first}", mark=key_mark, path=path
                )
            )
        else:
            holder.values[key] = value
            self.marks[path] = key_mark
        holder.key = holder.key_mark = None
        return path


def _scalar(event: yaml.ScalarEvent) -> Any:
    """Read a scalar by the rules of YAML 1.2: `on` and `no` are words, and dates are text."""
    text: str = event.value
    if event.style:  # quoted or a block: always text
        return text
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text) and not DIGITS.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_tuples(part) for key, part in value.items()}
    return tuple(_with_tuples(part) for part in value) if isinstance(value, list) else value
