# SPDX-License-Identifier: Apache-2.0
"""Values that a task has received and its model has not seen: passed on by name, selected by trusted code.

A hidden value stands in a result as `[[hidden 3: mail.find body]]`. The model may put that name into an
argument, whole or within a text of its own; the boundary puts the value in its place after the model has
spoken. It may ask which of several hidden values hold a word, and for numbers and dates in one: answers
that can carry no instruction. To read a value it must be revealed, and from then on the task is one that
has read something untrusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from pilothouse.core.charter.policy_types import NUMERIC, type_name, type_parameter, unscaled
from pilothouse.errors import ToolError
from pilothouse.ports.tools import TextMatch
from pilothouse.runtime.provenance.values import NUMBER, PIECE_MAX, clean, value_type

__all__ = ["HIDDEN_MAX", "TELLS_LITTLE", "FillingRoom", "HiddenFields", "tells_little"]

HIDDEN_MAX = 20_000
"""Hidden values of one task; a result with more of them is refused as too large to look at."""

FOUND_MAX = 50
"""Values that one `extract` returns."""

FILLED_CHARACTERS_MAX = 2 * 1024 * 1024
"""Of all texts of a call with hidden values in them: twice what arguments may have, so that their size is judged there and
memory is not spent."""

SHORT_MAX = 64
"""Characters of a value that may be shown because of its type."""

TELLS_LITTLE = frozenset({*NUMERIC, "bool", "date", "datetime", "enum"})
"""Types whose values are too poor to hold an instruction."""

HIDDEN = re.compile(r"\[\[hidden ([1-9][0-9]{0,5})(?:: [^\[\]]{0,300})?\]\]")


def tells_little(written: str, value: Any, values: Sequence[str] | None = None) -> bool:
    """Whether a value may be shown because its type cannot carry an instruction.

    Args:
        written: Declared type; an `id` counts with a pattern, which is its owner's word.
        value: The value.
        values: Accepted values of an enum.

    Example:
        >>> tells_little("date", "2026-11-28"), tells_little("text", "hello")
        (True, False)
    """
    kind = type_name(written)
    if kind == "enum":
        return values is not None and value in values
    poor = kind in TELLS_LITTLE or (kind == "id" and "(" in written)
    return poor and len(str(value)) <= SHORT_MAX and value_type(written).parse(value) is not None


class FillingRoom:
    """How many characters a call may still get for the names in it."""

    def __init__(self) -> None:
        self.left = FILLED_CHARACTERS_MAX


class HiddenFields:
    """The hidden values of one task.

    Args:
        on_reveal: Told before a value is shown; from then on the task is tainted.
    """

    def __init__(self, on_reveal: Callable[[str], None]) -> None:
        self._on_reveal = on_reveal
        self._values: list[tuple[str, Any]] = []

    def __len__(self) -> int:
        """Return how many values are hidden."""
        return len(self._values)

    def keep(self, source: str, value: Any) -> str:
        """Hide a value and return its name.

        Args:
            source: Tool and path it came from; neither is foreign text.
            value: Plain JSON data.

        Raises:
            ToolError: The task has too many of them.
        """
        if len(self._values) >= HIDDEN_MAX:
            raise ToolError(
                f"this task holds {HIDDEN_MAX} hidden values already",
                remedy="Ask for less.",
                kind="contract_violation",
            )
        self._values.append((source, value))
        return f"[[hidden {len(self._values)}: {source}]]"

    def filled(self, value: Any, room: FillingRoom | None = None) -> tuple[Any, bool]:
        """Return a value with every name replaced by what it stands for, and whether there was one.

        Args:
            value: Plain data, tuples included. What was put in is not looked through again.
            room: What the other arguments of the call have left; that of a call when None.

        Raises:
            ToolError: A name stands for nothing in this task.
        """
        room = room or FillingRoom()
        if isinstance(value, str):
            return self._filled_text(value, room)
        if isinstance(value, dict):
            parts = {key: self.filled(one, room) for key, one in value.items()}
            if not any(held for _, held in parts.values()):
                return value, False
            return {key: one for key, (one, _) in parts.items()}, True
        if isinstance(value, list | tuple):
            members = [self.filled(one, room) for one in value]
            if not any(held for _, held in members):
                return value, False
            return type(value)(one for one, _ in members), True
        return value, False

    def reveal(self, name: str) -> Any:
        """Return a hidden value for the model to read; the task has then read something untrusted.

        Raises:
            ToolError: The name stands for nothing in this task.
        """
        source, value = self._named(name)
        self._on_reveal(source)
        return value

    def matching(self, names: Sequence[str], how: TextMatch, words: str) -> list[str]:
        """Return the names whose values match, without revealing any.

        Args:
            names: Names to choose among.
            how: TextMatch they must match; case does not count.
            words: What they are held against.

        Raises:
            ToolError: A name stands for nothing in this task.
        """
        wanted = clean(words).casefold().strip()
        tests: dict[str, Callable[[str], bool]] = {
            "equals": lambda text: text == wanted,
            "starts_with": lambda text: text.startswith(wanted),
            "contains": lambda text: wanted in text,
        }
        test = tests[how]
        known: dict[int, bool] = {}  # a name may stand there a thousand times, and a value may be a megabyte
        for name in names:
            number = self._number(name)
            if number not in known:
                known[number] = test(clean(_as_text(self._values[number - 1][1])).casefold().strip())
        return [name for name in names if known[self._number(name)]]

    def extract(self, name: str, written: str) -> list[Any]:
        """Return the values of one type in a hidden value; numbers in their order.

        Numbers, dates and the like are returned as they are; addresses, accounts and other texts are hidden
        in their turn.

        Args:
            name: Name of the hidden value.
            written: Type as a policy writes it; an `id` without a pattern, for whoever asks is not its owner.

        Raises:
            ToolError: The name stands for nothing in this task, or there is no such type.
        """
        # With a pattern of the model's own, whatever fits would be shown as too poor to hold an instruction.
        is_pattern = type_name(written) == "id" and type_parameter(written) is not None
        if type_name(written) is None or is_pattern:
            raise ToolError(
                f"{written[:80]!r} is {'a pattern of your own' if is_pattern else 'no type'}",
                remedy="Use `number`, `date`, `email`, `url` or `id`.",
                kind="invalid_input",
            )
        source, value = self._named(name)
        text, kind = clean(_as_text(value)[:PIECE_MAX]), type_name(written)
        found = value_type(written).find(text)
        if kind in NUMERIC:
            read = (value_type(written).parse(match[0]) for match in NUMBER.finditer(text))
            return list(islice((unscaled(written, int(one)) for one in read if one in found), FOUND_MAX))
        return [
            one if tells_little(written, one) else self.keep(f"{source} {kind}", one)
            for one in sorted(found)[:FOUND_MAX]
        ]

    def transform(self, names: Sequence[str], work: Callable[..., str]) -> str:
        """Make a hidden text out of hidden values and return its name.

        Args:
            names: Names of the values.
            work: Is given each value and returns a text: code, or a model that has no tools. The text may be
                whatever stands in the values, so it stays hidden and untrusted.

        Raises:
            ToolError: A name stands for nothing in this task.
        """
        made = work(*(self._named(name)[1] for name in names))
        return self.keep("made of hidden values", str(made)[:PIECE_MAX])

    def _named(self, name: str) -> tuple[str, Any]:
        return self._values[self._number(name) - 1]

    def _number(self, name: str) -> int:
        match = HIDDEN.fullmatch(name.strip())
        number = int(match[1]) if match else 0
        if not 1 <= number <= len(self._values):
            raise ToolError(
                f"{name[:80]!r} is no hidden value of this task",
                remedy="Use a name exactly as a result of this task gave it: `[[hidden 3: …]]`.",
                kind="invalid_input",
            )
        return number

    def _filled_text(self, text: str, room: FillingRoom) -> tuple[Any, bool]:
        if "[[hidden " not in text:
            return text, False
        if HIDDEN.fullmatch(text.strip()):
            return self._named(text)[1], True
        pieces = []
        for piece in self._pieces(text):
            pieces.append(piece)
            room.left -= len(piece)
            if room.left < 0:
                raise ToolError(
                    f"with what its hidden values stand for, this call is longer than {FILLED_CHARACTERS_MAX} characters",
                    remedy="Pass fewer of them on at once.",
                    kind="invalid_input",
                )
        return "".join(pieces), len(pieces) > 1

    def _pieces(self, text: str) -> Iterator[str]:
        at = 0
        for match in HIDDEN.finditer(text):
            yield text[at : match.start()]
            yield _as_text(self._named(match[0])[1])
            at = match.end()
        yield text[at:]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
