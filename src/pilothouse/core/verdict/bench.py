# SPDX-License-Identifier: Apache-2.0
"""What items are decided on: the charter, and the records that count, indexed by kind and scope."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, under_terms
from pilothouse.core.evidence.evidence import Binding, Evidence, Scope
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.writing_order import misdated
from pilothouse.core.verdict.expansion import people_for
from pilothouse.core.verdict.requirement import Requirement, Rule
from pilothouse.core.verdict.rules import LEVEL, Assessment, assess
from pilothouse.core.verdict.sentence import person_names

__all__ = ["Bench", "dataset_in_force"]

_DATASET_KINDS = {
    "labelled": "dataset.labelled",
    "adversarial": "dataset.adversarial",
    "examples": "few_shot.examples",
}
"""Kinds of which the newest record says what is in force."""


def dataset_in_force(kind: str, charter: Charter, records: Sequence[Evidence]) -> str | None:
    """Return the digest that the newest record of a kind names; a set that the charter does not name is not in force.

    Args:
        kind: Kind of evidence that says which set there is.
        charter: The charter in force.
        records: Records of this kind, newest first.
    """
    terms = under_terms(Binding(), kind_named(kind), charter).contract
    own = [one for one in records if one.binds.contract == terms]
    wrong = misdated(own)
    return next((one.binds.dataset for one in own if id(one) not in wrong), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The inputs of deciding items.

    Attributes:
        charter: The charter in force.
        by_item: Records by kind and scope, newest first.
        in_force: Version and datasets in force.
        names: Person id → name.
        level: Confidence at which a rate counts as proved.
    """

    charter: Charter
    by_item: Mapping[tuple[str, Scope], tuple[Evidence, ...]]
    in_force: InForce
    names: Mapping[str, str] = field(default_factory=dict)
    level: float = LEVEL

    @classmethod
    def of(
        cls,
        charter: Charter,
        records: Iterable[Evidence],
        *,
        version: str | None,
        level: float = LEVEL,
    ) -> Bench:
        """Sort records by the item that they speak of.

        Args:
            charter: The charter in force.
            records: Records that count, newest first.
            version: Version that is judged.
            level: Confidence at which a rate counts as proved, in (0, 1).
        """
        by_item: dict[tuple[str, Scope], list[Evidence]] = {}
        named: dict[str, list[Evidence]] = {kind: [] for kind in _DATASET_KINDS.values()}
        for record in records:
            by_item.setdefault((record.kind, record.scope), []).append(record)
            if record.kind in named:
                named[record.kind].append(record)
        datasets = {kind: dataset_in_force(kind, charter, own) for kind, own in named.items()}
        return cls(
            charter=charter,
            by_item={key: tuple(found) for key, found in by_item.items()},
            level=level,
            names=person_names(charter),
            in_force=InForce(
                version=version, **{name: datasets.get(kind) for name, kind in _DATASET_KINDS.items()}
            ),
        )

    def agrees_with(self, in_force: InForce, kinds: Collection[str]) -> bool:
        """Return whether the records on the bench put the same datasets in force, as far as they are of kinds that do.

        Args:
            in_force: What was in force.
            kinds: Kinds of which all records are on the bench.
        """
        return all(
            getattr(self.in_force, name) == getattr(in_force, name)
            for name, kind in _DATASET_KINDS.items()
            if kind in kinds
        )

    def under(self, in_force: InForce) -> Bench:
        """Return the same bench with what is in force said from outside."""
        return replace(self, in_force=in_force)

    @property
    def currency(self) -> str:
        """The charter's currency; USD, in which model prices are known, while it is open."""
        return known(self.charter.currency) or "USD"

    def people(self, requirement: Requirement, names: Mapping[str, str]) -> tuple[str, ...]:
        """Return who must act on an item."""
        return people_for(requirement, self.charter, names)

    def assess(self, rule: Rule, bound: float, record: Evidence) -> Assessment:
        """Hold a record against a rule."""
        return assess(rule, bound, record, level=self.level)
