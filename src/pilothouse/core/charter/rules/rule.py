# SPDX-License-Identifier: Apache-2.0
"""A rule of the charter: its id, its words, and what it says at one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.findings import Finding, FindingKind
from pilothouse.core.charter.located import LocatedTree, Mark, Path, dotted
from pilothouse.core.charter.secrets import redacted
from pilothouse.errors import Place

__all__ = ["Check", "Hit", "Rule", "error", "question", "warning"]

VALUE_SHOWN_MAX = 120
"""Characters of a value in a message: enough to recognise it, too few to fill a screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        id: Stable id.
        kind: What breaking it means.
        message: Words with `{names}` in them.
        remedy: What to do about it, also with `{names}`.
    """

    id: str
    kind: FindingKind
    message: str
    remedy: str

    def at(self, path: Path, /, **words: object) -> Hit:
        """Return what the rule says about one path.

        Args:
            path: Path in the model.
            words: Values of the names in message and remedy; `path` and `parent` are filled by us.
        """
        return Hit(rule=self, path=path, words=tuple((name, _shown(word)) for name, word in words.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A rule broken at a path.

    Attributes:
        rule: The rule.
        path: Path in the model.
        words: Values of the names in its message and remedy.
        mark: Where it stands, when that is known better than from the path.
    """

    rule: Rule
    path: Path
    words: tuple[tuple[str, str], ...]
    mark: Mark | None = None

    def finding(self, tree: LocatedTree) -> Finding:
        """Return the finding with the place where a person must look."""
        written = tree.locate(self.path)
        shown = self.path
        if self.path[:1] == ("task_types",) and written[:1] == ("task_defaults",):
            shown = ("task_defaults", *self.path[2:])
        words = {"path": dotted(shown), "parent": dotted(shown[:-1]) or "the charter", **dict(self.words)}
        place = Place(tree.file, self.mark.line, self.mark.column) if self.mark else tree.place(self.path)
        return Finding(
            rule=self.rule.id,
            kind=self.rule.kind,
            path=dotted(shown),
            place=place,
            message=self.rule.message.format_map(words),
            remedy=self.rule.remedy.format_map(words),
        )


Check = Callable[[Charter, CharterFacts], Iterator[Hit]]
"""A pure function from a charter and facts to what the rules say."""


def error(id: str, message: str, remedy: str) -> Rule:  # noqa: A002 - it is the rule's id, as in every table
    """Return a rule that allows no verdict when broken."""
    return Rule(id=id, kind=FindingKind.ERROR, message=message, remedy=remedy)


def question(id: str, message: str, remedy: str) -> Rule:  # noqa: A002 - same reason
    """Return a rule that asks."""
    return Rule(id=id, kind=FindingKind.QUESTION, message=message, remedy=remedy)


def warning(id: str, message: str, remedy: str) -> Rule:  # noqa: A002 - same reason
    """Return a rule that is shown and blocks nothing."""
    return Rule(id=id, kind=FindingKind.WARNING, message=message, remedy=remedy)


def _shown(value: object) -> str:
    if isinstance(value, float):
        text = f"{value:.12g}"
    elif isinstance(value, (list, tuple, set, frozenset)):
        text = ", ".join(_shown(part) for part in value)
    else:
        text = str(value)
    text = redacted(text)
    return text if len(text) <= VALUE_SHOWN_MAX else text[: VALUE_SHOWN_MAX - 1] + "…"
