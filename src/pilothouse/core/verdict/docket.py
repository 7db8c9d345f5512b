# SPDX-License-Identifier: Apache-2.0
"""All items of one agent, decided and without a date: what a verdict at any moment is made of until another record comes in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.evidence.binding import InForce
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.bench import Bench
from pilothouse.core.verdict.expansion import PHASES_JUDGED, Slot, expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.item import judge_item
from pilothouse.core.verdict.requirement import Part, Requirement
from pilothouse.core.verdict.rules import LEVEL
from pilothouse.core.verdict.ruling import Ruling

__all__ = ["Docket", "judge_again", "judge_all"]

Places = Mapping[PhaseName, Mapping[str, tuple[int, ...]]]
"""Which rulings each phase asks for, by requirement: the scope of a phase chooses items and changes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docket:
    """Every item that any phase asks for.

    Attributes:
        in_force: Version and datasets that the items were decided for.
        level: Confidence at which a rate counted as proved.
        rulings: The items.
        places: Which of them each phase asks for.
        knows_anything: Whether any record counted.
    """

    in_force: InForce
    level: float
    rulings: tuple[Ruling, ...]
    places: Places
    knows_anything: bool


def _items(charter: Charter) -> tuple[list[tuple[Requirement, Part, Slot]], Places]:
    """Return every item that a phase asks for, once, and its places in the phases."""
    found: list[tuple[Requirement, Part, Slot]] = []
    numbers: dict[tuple[object, ...], int] = {}
    places: dict[PhaseName, dict[str, tuple[int, ...]]] = {}
    for phase in PHASES_JUDGED:
        places[phase] = {}
        for requirement in FRAMEWORK:
            own = []
            for number, part in enumerate(requirement.parts):
                for slot in expand(part, charter, phase):
                    question = slot.question.path if slot.question else None
                    key = (requirement.id, number, slot.scope, question)
                    if key not in numbers:
                        numbers[key] = len(found)
                        found.append((requirement, part, slot))
                    own.append(numbers[key])
            places[phase][requirement.id] = tuple(own)
    return found, places


def judge_all(
    charter: Charter, records: Iterable[Evidence], *, version: str | None, level: float = LEVEL
) -> Docket:
    """Decide every item.

    Args:
        charter: The charter in force.
        records: Records that count, newest first.
        version: Version that is judged.
        level: Confidence at which a rate counts as proved, in (0, 1).
    """
    bench = Bench.of(charter, records, version=version, level=level)
    items, places = _items(charter)
    return Docket(
        in_force=bench.in_force,
        level=level,
        rulings=tuple(judge_item(*item, bench) for item in items),
        places=places,
        knows_anything=bool(bench.shelf),
    )


def judge_again(
    docket: Docket, charter: Charter, records: Iterable[Evidence], kinds: Collection[str]
) -> Docket | None:
    """Decide the items of some kinds anew and leave all others as they are.

    Args:
        docket: What was decided under the same charter.
        charter: The charter in force.
        records: All records of these kinds that count, newest first.
        kinds: Kinds of evidence of which records came or went.

    Returns:
        The docket with them; None when the records put another dataset or library in force, against which items of other
        kinds have to be held too.
    """
    bench = Bench.of(charter, records, version=docket.in_force.version, level=docket.level)
    if not bench.agrees_with(docket.in_force, kinds):
        return None
    bench = bench.under(docket.in_force)
    rulings = list(docket.rulings)
    for number, (requirement, part, slot) in enumerate(_items(charter)[0]):
        if part.kind in kinds:
            rulings[number] = judge_item(requirement, part, slot, bench)
    return Docket(
        in_force=docket.in_force,
        level=docket.level,
        rulings=tuple(rulings),
        places=docket.places,
        knows_anything=docket.knows_anything or bool(bench.shelf),
    )
