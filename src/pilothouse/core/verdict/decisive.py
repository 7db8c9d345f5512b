# SPDX-License-Identifier: Apache-2.0
"""Whether a record decides every item that reads it, so that older records of its subject are never read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.evidence.evidence import Basis, Evidence, Scope
from pilothouse.core.verdict.expansion import OpenQuestion, bound_of, expand, rule_of
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.requirement import Derived, Part, Rule
from pilothouse.core.verdict.rules import LEVEL, Assessment, Proof, assess

__all__ = ["Decisive", "settles"]


def settles(found: Assessment, record: Evidence) -> bool:
    """Return whether a record ends the search for the deciding record of an item.

    A breach is a breach wherever it comes from; an imported record proves nothing.

    Args:
        found: What the record says about the rule.
        record: The record.
    """
    if found.proof is Proof.BREACHED:
        return True
    return found.proof is Proof.PROVED and record.basis is not Basis.IMPORTED


def _parts_by_kind() -> dict[str, tuple[Part, ...]]:
    found: dict[str, tuple[Part, ...]] = {}
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            found[part.kind] = (*found.get(part.kind, ()), part)
    return found


_PARTS = _parts_by_kind()


@dataclass(slots=True)
class Decisive:
    """The predicate of deciding records under one charter.

    Attributes:
        charter: The charter in force.
        level: Confidence at which a rate counts as proved.
    """

    charter: Charter
    level: float = LEVEL
    _rules: dict[str, dict[Scope, list[tuple[Rule, float]]]] = field(default_factory=dict)

    def __call__(self, record: Evidence) -> bool:
        """Return whether a record decides every item that reads it; one that no item reads also ends the search."""
        if record.kind not in self._rules:
            self._rules[record.kind] = self._of_kind(record.kind)
        return all(
            isinstance(rule, Derived) or settles(assess(rule, bound, record, level=self.level), record)
            for rule, bound in self._rules[record.kind].get(record.scope, ())
        )

    def _of_kind(self, kind: str) -> dict[Scope, list[tuple[Rule, float]]]:
        found: dict[Scope, list[tuple[Rule, float]]] = {}
        for scope, rule, bound in self._items(kind):
            rules = found.setdefault(scope, [])
            if (rule, bound) not in rules:
                rules.append((rule, bound))
        return found

    def _items(self, kind: str) -> Iterator[tuple[Scope, Rule, float]]:
        for part in _PARTS.get(kind, ()):
            for phase in NUMBERED_PHASES:
                for slot in expand(part, self.charter, phase):
                    if slot.question is not None:
                        continue
                    bound = bound_of(part.rule, slot.names, self.charter)
                    rule = rule_of(part.rule, slot.names, self.charter)
                    if not isinstance(bound, OpenQuestion) and not isinstance(rule, OpenQuestion):
                        yield slot.scope, rule, bound
