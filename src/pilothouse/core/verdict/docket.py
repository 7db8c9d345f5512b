# SPDX-License-Identifier: Apache-2.0
"""The docket: all items of one agent, decided independently of the moment, valid until new records arrive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES, PhaseName
from pilothouse.core.evidence.binding import InForce
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.bench import Bench
from pilothouse.core.verdict.expansion import Slot, expand
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
        keys: Which item each of them is.
        places: Which of them each phase asks for.
        knows_anything: Whether any record counted.
    """

    in_force: InForce
    level: float
    rulings: tuple[Ruling, ...]
    keys: tuple[str, ...]
    places: Places
    knows_anything: bool


_Item = tuple[Requirement, Part, Slot]


def _asked(charter: Charter, kinds: Collection[str] | None = None) -> Iterator[tuple[PhaseName, str, _Item]]:
    """Yield the items of each phase with their keys; the scope of a phase selects items and changes none."""
    for phase in NUMBERED_PHASES:
        for requirement in FRAMEWORK:
            for number, part in enumerate(requirement.parts):
                if kinds is not None and part.kind not in kinds:
                    continue
                for slot in expand(part, charter, phase):
                    question = slot.question.path if slot.question else ""
                    yield (
                        phase,
                        "\x1f".join((requirement.id, str(number), slot.scope.label, question)),
                        (requirement, part, slot),
                    )


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
    items: dict[str, _Item] = {}
    places: dict[PhaseName, dict[str, list[int]]] = {
        phase: {requirement.id: [] for requirement in FRAMEWORK} for phase in NUMBERED_PHASES
    }
    numbers: dict[str, int] = {}
    for phase, key, item in _asked(charter):
        items.setdefault(key, item)
        places[phase][item[0].id].append(numbers.setdefault(key, len(numbers)))
    return Docket(
        in_force=bench.in_force,
        level=level,
        rulings=tuple(judge_item(*item, bench) for item in items.values()),
        keys=tuple(items),
        places={phase: {name: tuple(own) for name, own in asked.items()} for phase, asked in places.items()},
        knows_anything=bool(bench.by_item),
    )


def _items_of(charter: Charter, kinds: Collection[str]) -> dict[str, _Item]:
    return {key: item for _, key, item in _asked(charter, kinds)}


def judge_again(
    docket: Docket, charter: Charter, records: Iterable[Evidence], kinds: Collection[str]
) -> Docket | None:
    """Decide the items of some kinds again, keeping the others.

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
    rulings = dict(zip(docket.keys, docket.rulings, strict=True))
    rulings |= {key: judge_item(*item, bench) for key, item in _items_of(charter, kinds).items()}
    return Docket(
        in_force=docket.in_force,
        level=docket.level,
        rulings=tuple(rulings.values()),
        keys=docket.keys,
        places=docket.places,
        knows_anything=docket.knows_anything or bool(bench.by_item),
    )
