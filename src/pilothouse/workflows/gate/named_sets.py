# SPDX-License-Identifier: Apache-2.0
"""Whether a dataset is one that the charter names: other cases, however many, say nothing of what was committed to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.evals.dataset import Dataset, load_dataset
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.gate.datasets import glossary_terms, shown_paths
from pilothouse.workflows.ground.in_force import charter_of

__all__ = ["NamedSets", "is_at", "named_sets"]

OF_ATTACKS = frozenset({"dataset.adversarial", "dataset.glossary"})
"""Kinds of evidence about the adversarial set; all others are about the labelled one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSets:
    """What a dataset is to a charter.

    Attributes:
        charter: The charter in force, or None without one.
        folder: Where it lies.
        is_labelled: Whether it is the labelled set that the charter names, or the charter names none.
        is_adversarial: The same of the adversarial set.
    """

    charter: Charter | None = None
    folder: Path = Path()
    is_labelled: bool = True
    is_adversarial: bool = True

    def only(self, records: Iterable[Evidence]) -> tuple[Evidence, ...]:
        """Return the records that are about a set of the charter.

        Args:
            records: What the dataset was found to hold.
        """
        return tuple(
            one for one in records if (self.is_adversarial if one.kind in OF_ATTACKS else self.is_labelled)
        )

    def shown(self, typed: Sequence[Path]) -> tuple[tuple[Path, ...], bool]:
        """Return what the model is shown, by what was typed and by the charter, and whether that may be taken for all.

        What is typed vouches for what is not there, and never stands in for what is.

        Args:
            typed: Files and folders of prompts and examples.
        """
        there, are_all = shown_paths(self.charter, self.folder) if self.charter is not None else ((), False)
        paths = {path.resolve(): path for path in (*there, *typed)}
        return tuple(paths.values()), are_all or bool(typed)

    @property
    def terms(self) -> tuple[str, ...]:
        """Domain terms of the charter's glossary, each of which needs an adversarial case."""
        return glossary_terms(self.charter, self.folder) if self.charter is not None else ()

    @property
    def sentence(self) -> str:
        """What is left out or does not count, in words; empty where nothing is."""
        if self.charter is None:
            return (
                "No charter of it is in force, so nothing of this counts for one: put it into force with "
                "`pilothouse verdict --charter charter.yaml`, then show this again."
            )
        left = [
            name
            for name, said in (("labelled", self.is_labelled), ("adversarial", self.is_adversarial))
            if not said
        ]
        said = (
            f"It is not the {' and not the '.join(left)} set that the charter names, so nothing is said of that."
            if left
            else ""
        )
        if self.is_adversarial and not self.terms:
            said = f"{said} No domain term stands in the `glossary` of the charter, so nothing is said of those.".strip()
        return said


def named_sets(ledger: Ledger, agent: str, dataset: Dataset) -> NamedSets:
    """Return what a dataset is to the charter of an agent."""
    record = ledger.charter(agent)
    if record is None:
        return NamedSets()
    charter, folder = charter_of(record), Path(record.path).parent
    labelled, adversarial = (
        (path := known(terms.path)) is None or is_at(folder / path, dataset)
        for terms in (charter.datasets.labelled, charter.datasets.adversarial)
    )
    return NamedSets(charter=charter, folder=folder, is_labelled=labelled, is_adversarial=adversarial)


def is_at(path: Path, dataset: Dataset) -> bool:
    """Whether a dataset is what lies at a path, wherever it was read from.

    Args:
        path: Where the charter says that it lies.
        dataset: The dataset.
    """
    return path.exists() and (path.samefile(dataset.path) or load_dataset(path).digest == dataset.digest)
