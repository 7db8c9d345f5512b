# SPDX-License-Identifier: Apache-2.0
"""The provenance state of one task: typed request, registries, handles, untrusted fields; and the origin of a value.

Allow by proof of trusted origin: a value is trusted when an equal typed value was typed by the
requester, written by the owner, or read from a registry. That it also stands in a mail takes nothing
away. The context label (`tainted`) only ever rises within a task: with what the model was shown, not with
what is hidden from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.policy_types import NUMERIC, type_name, type_parameter
from pilothouse.core.charter.systems import Argument, Origin, ResultField
from pilothouse.ports.permissions import TaskOpening
from pilothouse.runtime.provenance.hiding import HiddenFields, tells_little
from pilothouse.runtime.provenance.values import EDGE, PIECE_MAX, clean, is_looked_through, value_type

__all__ = ["LEAVES_MAX", "TaskContext", "ValueOrigin"]

LEAVES_MAX = 20_000
"""Labelled values kept of a task; what comes later is not known, and what is not known is not trusted."""

FIELD_TEXT_MAX = 1_000_000
"""Characters of untrusted fields kept to tell an approver where a value stood; more proves nothing anyway."""

FIELD_ROOM_MIN = 20
"""Characters that even an empty text is counted as."""

DEPTH_MAX = 32
"""Levels of a result that are labelled; deeper ones taint and prove nothing."""

MEMBERS_MAX = 200
"""Values of one argument; a longer list has origin `model`."""

LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s<>\"'`]+")
"""Whatever a program would follow, of any scheme and to any host."""

KEY = re.compile(r"[A-Za-z_$@][\w.$-]*", re.ASCII)
"""A key that is a name; anything else may be a sentence."""

KEY_CHARACTERS_MAX = 64
"""Of a name; a longer key is a sentence whatever its signs."""

REFERENCE_TYPES = ("email", "iban", "url")
"""What a payload must not name unless somebody trusted did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueOrigin:
    """The origins of the values of one argument.

    Attributes:
        origins: Every origin, worst last; never empty.
        source: Path of the field a value was found in, for the approver; None when it is of no use.
        fits: Whether every value is of the argument's type.
    """

    origins: tuple[Origin, ...]
    source: str | None = None
    fits: bool = True


@dataclass(slots=True)
class _Labelled:
    """Labelled values, compared by type on demand."""

    values: list[str] = field(default_factory=list)
    _read: dict[str, tuple[int, set[str]]] = field(default_factory=dict)

    def holds(self, written: str, canonical: str) -> bool:
        """Whether a typed value is among them."""
        at, known_values = self._read.get(written, (0, set()))
        if at < len(self.values):
            parse = value_type(written).parse
            known_values.update(one for value in self.values[at:] if (one := parse(value)) is not None)
            self._read[written] = (len(self.values), known_values)
        return canonical in known_values


@dataclass(frozen=True, slots=True)
class _Showing:
    """A tool's labels while one of its results is traversed.

    Attributes:
        tool: Tool as the charter names it.
        labels: Labels by path.
        steps: Those paths, and each that leads to one.
        personal: The same of fields with personal data: what stands there is shown part by part, or not at all.
    """

    tool: str
    labels: Mapping[str, ResultField]
    steps: frozenset[str]
    personal: frozenset[str]


class TaskContext:
    """The state of one open task.

    Args:
        opening: What the calling service said.
        tainted: Whether it has read something untrusted before.
    """

    def __init__(self, opening: TaskOpening, *, tainted: bool = False) -> None:
        self.opening = opening
        self.tainted = tainted or any(segment.source == "quoted" for segment in opening.segments)
        self._typed = [clean(one.text)[:PIECE_MAX] for one in opening.segments if one.source == "typed"]
        self._fields = [
            ("request (quoted)", clean(one.text)) for one in opening.segments if one.source == "quoted"
        ]
        self._field_room = FIELD_TEXT_MAX
        self._found: dict[str, frozenset[str]] = {}
        self._registries: dict[str, _Labelled] = {}
        self._registry, self._handles = _Labelled(), _Labelled()
        self.hidden = HiddenFields(self._reveal)
        self.revealed: list[str] = []

    def origin_of(self, argument: Argument, value: Any) -> ValueOrigin:
        """Return where an argument's value comes from.

        Args:
            argument: Its policy.
            value: What the call passes; None or an empty list is absent.
        """
        members = value if isinstance(value, list | tuple) else (value,)
        if value is None or not members:
            return ValueOrigin(origins=("absent",))
        if len(members) > MEMBERS_MAX:
            return ValueOrigin(origins=("model",), fits=False)
        origins: dict[Origin, None] = {}
        source, fits = None, True
        for member in members:
            canonical = _canonical(argument, member)
            if canonical is None:
                fits = False
                origins["model"] = None
                continue
            origin, place = self._origin(argument, member, canonical)
            origins[origin] = None
            source = source or place
        found = tuple(origins) if len(origins) == 1 else tuple(sorted(origins, key=_badness))
        return ValueOrigin(origins=found, source=source, fits=fits)

    def names_strangers(self, text: str) -> bool:
        """Whether a payload names an address, account or link from an untrusted origin."""
        shown = clean(text)
        if not is_looked_through(shown):  # behind what is looked at may be anybody
            return True
        for match in LINK.finditer(shown):
            # A link whose host is a number or has no dot is none of the type, so only its like in the request proves it.
            link = match[0].rstrip(EDGE + ".")
            if value_type("url").parse(link) is None and not any(
                link in self._links(one) for one in self._typed
            ):
                return True
        # As it is written too: what reads like a proven address may be none once it is sent.
        forms = (shown,) if text.isascii() else (shown, text)
        return any(
            not self._is_named(kind, canonical)
            for kind in REFERENCE_TYPES
            for form in forms
            for canonical in value_type(kind).find(form)
        )

    def _is_named(self, kind: str, canonical: str) -> bool:
        """Whether somebody trusted named an address, account or link that stands in a text; marks behind a link are the text's."""
        named = self._typed_values(kind)
        forms = {canonical, canonical.rstrip(EDGE + ".")} if kind == "url" else {canonical}
        return any(form in named or self._registry.holds(kind, form) for form in forms)

    def _links(self, text: str) -> frozenset[str]:
        return frozenset(match[0].rstrip(EDGE + ".") for match in LINK.finditer(text))

    def observe(self, tool: str, result: Any, labels: Mapping[str, ResultField]) -> None:
        """Label the fields of a result before the model is shown it.

        Args:
            tool: Tool as the charter names it.
            result: Plain JSON data.
            labels: Labels by path; list positions stand in no path, `$` is a result that is no object.
        """
        server = tool.partition("@")[0]
        for count, (path, leaf) in enumerate(_leaves(result)):
            label = labels.get(path) if count < LEAVES_MAX else None
            origin = known(label.origin) if label else None
            if not _is_trusted(label):
                self._add_field(f"{tool} {path}", leaf)
            if origin == "registry":
                self._add(self._registry, leaf)
                self._add(self._registries.setdefault(server, _Labelled()), leaf)
            elif origin == "handle":
                self._add(self._handles, leaf)
        # Last, since most results have a value that taints anyway.
        if not self.tainted and _says_more_than_names(result):
            self.tainted = True

    def show(self, tool: str, result: Any, labels: Mapping[str, ResultField], *, hide: bool) -> Any:
        """Label a result and return what the model is shown of it.

        Args:
            tool: Tool as the charter names it.
            result: Plain JSON data.
            labels: Labels by path, as for `observe`.
            hide: Whether names stand for untrusted fields.

        Returns:
            The result itself, or a copy with names of hidden fields.
        """
        if not hide:
            self.observe(tool, result, labels)
            return result
        steps = _steps(labels)
        personal = _steps(path for path, label in labels.items() if label.pii is not None)
        return self._shown(_Showing(tool, labels, steps, personal and personal | {"$"}), "", result, 0)

    def _shown(self, showing: _Showing, path: str, value: Any, depth: int) -> Any:
        label = showing.labels.get(path or "$")
        is_personal = (path or "$") in showing.personal
        is_whole = label is not None and label.pii is not None
        if isinstance(value, Mapping) and value and depth < DEPTH_MAX and not is_whole:
            inner = {key: _under(path, key) for key in value}
            # A key that the charter does not name may be anybody's words.
            if all(one in showing.steps for one in inner.values()):
                return {key: self._shown(showing, inner[key], one, depth + 1) for key, one in value.items()}
        elif isinstance(value, list | tuple) and depth < DEPTH_MAX:
            return [self._shown(showing, path, one, depth + 1) for one in value]
        self._keep(showing.tool, label, value)
        tells = not (value is None or value == {}) and (is_personal or not isinstance(value, bool))
        if not tells or (not is_personal and self._may_be_shown(label, value)):
            return value
        return self.hidden.keep(f"{showing.tool} {path or '$'}", value)

    def _may_be_shown(self, label: ResultField | None, value: Any) -> bool:
        if _is_trusted(label) or (isinstance(value, int | float) and tells_little("number", value)):
            return True
        written = known(label.type) if label else None
        if label is None or written is None or not isinstance(value, str):
            return False
        if type_name(written) == "name":
            canonical = value_type(written).parse(value)
            return canonical is not None and self._origin_of_name(
                type_parameter(written) or "", canonical
            ) in (("request", None), ("registry", None))
        return tells_little(written, value, label.values)

    def _keep(self, tool: str, label: ResultField | None, value: Any) -> None:
        """Remember the origin of a hidden or harmless value that the model has not read."""
        origin = known(label.origin) if label else None
        if origin == "registry":
            self._add(self._registry, value)
            self._add(self._registries.setdefault(tool.partition("@")[0], _Labelled()), value)
        elif origin == "handle":
            self._add(self._handles, value)
        if not _is_trusted(label) and isinstance(value, str) and self._field_room > 0:
            self._keep_text(f"{tool} (hidden)", value)

    def _reveal(self, source: str) -> None:
        self.tainted = True
        self.revealed.append(source)

    def _origin(self, argument: Argument, value: Any, canonical: str) -> tuple[Origin, str | None]:
        written = known(argument.type) or "text"
        kind = type_name(written)
        if kind == "name":
            return self._origin_of_name(type_parameter(written) or "", canonical)
        if canonical in self._typed_values(written):
            return "request", None
        if self._registry.holds(written, canonical):
            return "registry", None
        if kind == "enum":
            return "owner", None
        # An amount that happens to be the number of some object is no name of it.
        if kind not in NUMERIC and self._handles.holds(written, canonical):
            return "handle", None
        place = self._place_of(str(value))
        return ("model", None) if place is None else ("field", place)

    def _origin_of_name(self, registry: str, canonical: str) -> tuple[Origin, str | None]:
        """A free name is trusted only as a whole entry of its registry; `request` when it was typed as well."""
        entries = self._registries.get(registry)
        if entries is not None and entries.holds("name", canonical):
            word = re.compile(rf"(?<!\w){re.escape(clean(canonical))}(?!\w)")
            return ("request" if any(word.search(text) for text in self._typed) else "registry"), None
        place = self._place_of(canonical)
        return ("model", None) if place is None else ("field", place)

    def _typed_values(self, written: str) -> frozenset[str]:
        found = self._found.get(written)
        if found is None:
            find = value_type(written).find
            found = frozenset().union(*(find(text) for text in self._typed)) if self._typed else frozenset()
            self._found[written] = found
        return found

    def _place_of(self, value: str) -> str | None:
        """Return the untrusted field that contains a value, for the approver; never a reason to allow."""
        wanted = clean(value).strip()
        return next((path for path, text in self._fields if wanted and wanted in text), None)

    def _add(self, labelled: _Labelled, leaf: Any) -> None:
        if (
            isinstance(leaf, str | int | float)
            and not isinstance(leaf, bool)
            and len(labelled.values) < LEAVES_MAX
        ):
            labelled.values.append(str(leaf)[:PIECE_MAX])

    def _add_field(self, path: str, leaf: Any) -> None:
        if leaf is None or isinstance(leaf, bool):
            return
        self.tainted = True
        if isinstance(leaf, str) and self._field_room > 0:
            self._keep_text(path, leaf)

    def forget_texts(self) -> None:
        """Drop the texts of foreign values; the taint of the task stays."""
        self._fields = []
        self._field_room = FIELD_TEXT_MAX

    def _keep_text(self, path: str, leaf: str) -> None:
        """Store a foreign text; each has a minimum size, so that a million empty ones are not kept."""
        text = clean(leaf[: self._field_room])
        self._field_room -= len(text) + FIELD_ROOM_MIN
        self._fields.append((path, text))


def _canonical(argument: Argument, value: Any) -> str | None:
    if argument.values is not None and value not in argument.values:
        return None
    return value_type(known(argument.type) or "text").parse(value)


def _leaves(result: Any) -> Iterator[tuple[str, Any]]:
    """Yield path and value of every leaf; positions in lists stand in no path."""
    waiting: list[tuple[str, Any, int]] = [("", result, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > DEPTH_MAX:
            yield "…", str(value)[:PIECE_MAX]
        elif isinstance(value, Mapping):
            waiting.extend((_under(path, key), one, depth + 1) for key, one in value.items())
        elif isinstance(value, list | tuple):
            waiting.extend((path, one, depth + 1) for one in value)
        else:
            yield path or "$", value


@lru_cache(maxsize=4_096)
def _is_name(key: str) -> bool:
    return KEY.fullmatch(key) is not None


def _says_more_than_names(result: Any) -> bool:
    """Whether a key of a result is more than a name: a model reads keys too, and keys have no labels."""
    waiting = [result]
    for _ in range(DEPTH_MAX + 1):
        following: list[Any] = []
        for value in waiting:
            if isinstance(value, Mapping):
                if not all(len(key) <= KEY_CHARACTERS_MAX and _is_name(key) for key in map(str, value)):
                    return True
                following.extend(value.values())
            elif isinstance(value, list | tuple):
                following.extend(value)
        waiting = [one for one in following if isinstance(one, Mapping | list | tuple)]
        if not waiting:
            return False
    return True  # deeper than labels reach


def _is_trusted(label: ResultField | None) -> bool:
    """Whether only the system itself can have written a field."""
    if label is None or label.integrity == "untrusted":
        return False
    return known(label.origin) in ("owner", "registry", "handle") or label.integrity == "trusted"


def _ends(path: str) -> Iterator[int]:
    """Yield where the steps of a path end, its last one excepted."""
    return (at for at, sign in enumerate(path) if sign == "." and path[at - 1] != "\\")


def _steps(paths: Iterable[str]) -> frozenset[str]:
    """Return paths, and each that leads to one."""
    return frozenset(path[:end] for path in paths for end in (*_ends(path), len(path)))


def _under(path: str, key: object) -> str:
    """Return the path of a key; dots within a key are escaped, so that foreign keys cannot name labelled fields."""
    name = str(key).replace(".", "\\.")
    return f"{path}.{name}" if path else name


_ORDER: tuple[Origin, ...] = ("request", "owner", "registry", "absent", "handle", "field", "model")


def _badness(origin: Origin) -> int:
    return _ORDER.index(origin)
