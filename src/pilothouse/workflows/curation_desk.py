# SPDX-License-Identifier: Apache-2.0
"""One place where commands curate, trace and erase: labels to cases, examples and rows, and back out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.errors import UsageError
from pilothouse.evals.dataset import load_dataset, write_dataset
from pilothouse.ports import Clock, Ledger, ReviewQueue
from pilothouse.ports.curation import CurationStore, Edge
from pilothouse.ports.feedback import Feedback, FeedbackStore
from pilothouse.workflows.curate import (
    Curated,
    build_few_shots,
    correction_evidence,
    curate_cases,
    export_rows,
    few_shot_evidence,
)
from pilothouse.workflows.people import Directory

__all__ = ["CurationDesk"]

EDGES_MAX = 1_000
"""Edges of one answer: a trace that fed more is looked at from its children."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationDesk:
    """What curating commands are given.

    Attributes:
        queue: Items and answers.
        store: Libraries and lineage.
        said: What users said.
        ledger: Where evidence goes.
        directory: The charters.
        clock: The time.
    """

    queue: ReviewQueue
    store: CurationStore
    said: FeedbackStore
    ledger: Ledger
    directory: Directory
    clock: Clock

    def charter(self, agent: str | None) -> Charter:
        """Return the charter of an agent, or of the only one.

        Raises:
            UsageError: None is in force, or there are several and none was named.
        """
        if agent is not None:
            return self.directory.charter(agent)
        charters = self.directory.charters()
        if len(charters) != 1:
            raise UsageError(
                f"{len(charters)} agents have a charter",
                remedy="Name one, or put one into force: `pilothouse verdict --charter charter.yaml`.",
            )
        return next(iter(charters.values()))

    def cases(self, agent: str | None, path: Path) -> Curated:
        """Add trusted answers to a dataset, and put on record that corrections arrive."""
        charter, now = self.charter(agent), self.clock.now()
        made = curate_cases(self.queue, self.store, charter, path, now)
        arrived = correction_evidence(self.queue, charter, made, now)
        if arrived is not None:
            self.ledger.add_evidence([arrived])
        return made

    def few_shot(self, agent: str | None, dataset: Path) -> tuple[str, int, int]:
        """Build the library; return version, examples and how many a case kept out."""
        charter, now = self.charter(agent), self.clock.now()
        tested = load_dataset(dataset).cases
        version, examples, leaking = build_few_shots(self.queue, self.store, charter, tested, now)
        self.ledger.add_evidence([few_shot_evidence(charter, len(examples), now)])
        return version, len(examples), leaking

    def export(self, agent: str | None, folder: Path, consent: str) -> tuple[int, int, int]:
        """Write the rows of a fine-tuning file."""
        if folder.exists():
            raise UsageError(f"{str(folder)!r} is there already", remedy="Name a new folder with `--out`.")
        return export_rows(
            self.queue, self.store, self.charter(agent), folder, now=self.clock.now(), consent=consent
        )

    def feedback(self, agent: str | None) -> Sequence[Feedback]:
        """Return what users said about an agent, newest first."""
        return self.said.of(self.charter(agent).agent)

    def lineage(self, name: str) -> tuple[Edge, ...]:
        """Return everything a thing was made from, up to the start, and everything made from it, to the end."""
        found: dict[tuple[str, str], Edge] = {}
        for upwards in (True, False):
            waiting, seen = [name], {name}
            while waiting and len(found) < EDGES_MAX:
                here = waiting.pop()
                for edge in self.store.edges_of(here):
                    near, far = (edge.child, edge.parent) if upwards else (edge.parent, edge.child)
                    if near == here:
                        found[edge.parent, edge.child] = edge
                        if far not in seen:
                            seen.add(far)
                            waiting.append(far)
        return tuple(sorted(found.values(), key=lambda edge: (edge.at, edge.parent, edge.child)))

    def erase(self, subject: str, datasets: Sequence[Path], *, actor: str) -> dict[str, Any]:
        """Erase a subject from everything that was made from its data.

        Args:
            subject: As it stands in the texts.
            datasets: Folders from which cases are removed.
            actor: Who asked for it.

        Returns:
            `rows` by table, `cases` removed, and `traces` that telemetry holds until their retention ends.
        """
        traces = tuple(self.store.traces_with(subject))
        made = {
            edge.child.removeprefix("case:")
            for trace in traces
            for edge in self.lineage(f"trace:{trace}")
            if edge.child.startswith("case:")
        }
        removed = 0
        for path in datasets:
            dataset = load_dataset(path)
            kept = [
                case
                for case in dataset.cases
                if case.id not in made and subject not in case.model_dump_json()
            ]
            if len(kept) < len(dataset.cases):
                removed += len(dataset.cases) - len(kept)
                write_dataset(path, dataset.manifest, kept)
        rows = dict(self.store.erase(subject, actor=actor, at=self.clock.now()))
        return {"rows": rows, "cases": removed, "traces": traces}
