# SPDX-License-Identifier: Apache-2.0
"""One place where commands curate, trace and erase: labels to cases, examples and rows, and back out again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.spellings import says, spellings
from pilothouse.errors import UsageError
from pilothouse.evals.answers import answers_file, forget_answers
from pilothouse.evals.case import Case
from pilothouse.evals.dataset import load_dataset
from pilothouse.evals.journal import Journal
from pilothouse.evals.journal_erasure import JournalEraser
from pilothouse.ports.clock import Clock
from pilothouse.ports.curation import CurationStore, Edge, Example
from pilothouse.ports.feedback import Feedback, FeedbackStore
from pilothouse.ports.lake import STRAY_LOG, Lake
from pilothouse.ports.ledger import OUTCOME_IDS_MAX, Ledger
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.curation.corrections_week import CorrectionsWeek, corrections_week
from pilothouse.workflows.curation.curate import Curated, correction_evidence, curate_cases
from pilothouse.workflows.curation.erasure import TRACES_MAX, Forgotten, traces_saying
from pilothouse.workflows.curation.export_places import begun_exports, drop_unfinished_exports, note_begun
from pilothouse.workflows.curation.few_shot_library import (
    CURATED,
    build_few_shots,
    curated_folders,
    few_shot_evidence,
    judging_folders,
    tested_cases,
)
from pilothouse.workflows.curation.few_shot_lift import Lift, LiftRequest, lift_evidence, measure_lift
from pilothouse.workflows.curation.few_shots import ExampleIndex
from pilothouse.workflows.curation.fine_tuning import Export, export_rows
from pilothouse.workflows.curation.replay_case import FIXTURES
from pilothouse.workflows.curation.training_folder import (
    PROVENANCE,
    digest_of,
    erase_from_export,
    is_unfinished,
)
from pilothouse.workflows.gate.datasets import remove_cases
from pilothouse.workflows.gateway.launch import summarize_charter
from pilothouse.workflows.ground.decision_log import every_decision
from pilothouse.workflows.people.people import Directory

__all__ = ["CurationDesk", "Library"]

EXPORTED = "fine_tuning.exported"
EDGES_MAX = 1_000
"""Edges of one answer: a trace that fed more is looked at from its children."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that was built.

    Attributes:
        version: Its digest.
        examples: How many examples it has.
        leaking: Answers left out because a case that judges is nearly the same.
        beside: Datasets it was held against.
    """

    version: str
    examples: int
    leaking: int
    beside: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationDesk:
    """What curating commands are given.

    Attributes:
        queue: Items and answers.
        store: Libraries and lineage.
        index: Makes an index over examples.
        said: What users said.
        ledger: Where evidence goes.
        directory: The charters.
        clock: The time.
        lake: Where a subject's traces are found.
        forget: Empties the traces and recorded runs of a subject, for an actor.
    """

    queue: ReviewQueue
    store: CurationStore
    index: Callable[[Sequence[Example]], ExampleIndex]
    said: FeedbackStore
    ledger: Ledger
    directory: Directory
    clock: Clock
    lake: Lake
    forget: Callable[[str, Sequence[str], str], Forgotten]

    def cases(self, agent: str | None, path: Path) -> Curated:
        """Add trusted answers to a dataset, and put on record that corrections arrive."""
        charter, now = self.directory.one(agent), self.clock.now()
        made = curate_cases(self.queue, self.store, charter, path, now)
        arrived = correction_evidence(self.queue, charter, made, now)
        if arrived is not None:
            self.ledger.add_evidence([arrived])
        self._remember(charter.agent, path, now)
        return made

    def _remember(self, agent: str, path: Path, now: datetime) -> None:
        """Note that a folder judges the agent, once."""
        document = canonical_json({"path": str(path.resolve())})
        if all(one.document != document for one in self.ledger.decisions(agent, kind=CURATED)):
            self.ledger.record(
                kind=CURATED, agent=agent, at=now, actor="pilothouse curate cases", document=document
            )

    def few_shot(self, agent: str | None, beside: Sequence[Path]) -> Library:
        """Build the library beside every dataset that judges the agent."""
        charter, now = self.directory.one(agent), self.clock.now()
        tested, paths = tested_cases(self.ledger, charter, beside)
        version, examples, leaking = build_few_shots(self.queue, self.store, charter, tested, now)
        self.ledger.add_evidence([few_shot_evidence(charter, version, len(examples), now)])
        return Library(version=version, examples=len(examples), leaking=leaking, beside=paths)

    def lift(self, agent: str | None, request: LiftRequest) -> Lift:
        """Measure what the library brings, and put it on record for the version in force."""
        charter, now = self.directory.one(agent), self.clock.now()
        if request.version is None and (record := self.ledger.charter(charter.agent)) is not None:
            request = replace(request, version=summarize_charter(Path(record.path)).version)
        version, examples = self.store.examples(charter.agent)
        with Journal(request.journal) as journal:
            lift = asyncio.run(
                measure_lift(request, version, examples, self.index(examples), journal=journal, at=now)
            )
        measured = lift_evidence(charter.agent, lift, request, now)
        if measured is not None:
            self.ledger.add_evidence([measured])
        return lift

    def export(self, agent: str | None, folder: Path, consent: str, *, layout: str = "openai") -> Export:
        """Write the rows of a fine-tuning file, and note where, so that erasure finds them."""
        if folder.exists():
            raise UsageError(f"{str(folder)!r} is there already", remedy="Name a new folder with `--out`.")
        charter, now = self.directory.one(agent), self.clock.now()
        drop_unfinished_exports(self.ledger)
        note_begun(self.ledger, charter.agent, folder, now)
        folders = judging_folders(self.ledger, charter)
        tested = [case for path in folders for case in load_dataset(path).cases] if folders else None
        made = export_rows(
            self.queue,
            self.store,
            charter,
            folder,
            tested=tested,
            now=now,
            consent=consent,
            layout=layout,
        )
        document = canonical_json(
            {"digest": made.digest, "path": str(folder.resolve()), "ground": consent.strip()}
        )
        self.ledger.record(
            kind=EXPORTED,
            agent=charter.agent,
            at=now,
            actor="pilothouse curate fine-tuning",
            document=document,
        )
        return made

    def week(self, agent: str | None) -> CorrectionsWeek:
        """Return what the corrections of the last seven days achieved."""
        chosen = self.directory.one(agent).agent
        return corrections_week(self.ledger, self.queue, self.store, chosen, self.clock.now())

    def feedback(self, agent: str | None) -> Sequence[Feedback]:
        """Return what users said about an agent, newest first."""
        return self.said.of(self.directory.one(agent).agent)

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

    def erase(
        self, subject: str, datasets: Sequence[Path], *, actor: str, journal: Path | None = None
    ) -> dict[str, Any]:
        """Erase a subject from everything that was made from its data.

        Args:
            subject: As it stands in the texts.
            datasets: Further folders from which cases are removed; those that judge an agent are looked at anyway.
            actor: Who asked for it.
            journal: Trials of a project; nobody but its people knows where it is.

        Returns:
            `rows` by table, `cases` removed, `answers` to them removed, `trials` forgotten (None where no journal is),
            `exported` rows removed by folder, `gone` folders of exports that hold the subject and are not where they were
            written, `untraced` folders of exports whose rows were changed by hand, `traces` of the subject, how many of them are
            log `records` of no trace, how many are
            `named` by it (in the name of a tool, a model or what else is counted by, which stays), whether that list `is_cut`, rows of `telemetry` that were emptied (None while a running server will do so), recorded `runs`
            whose key was destroyed, `results` of calls, kept for their repetition, that were forgotten, `outcomes` that lose
            the words of claim and finding with their tasks, files `set_aside` that held the subject and are gone, those
            `unread` that cannot be looked through, and rows `left` by table that hold the subject and stay.
        """
        there = JournalEraser(journal) if journal is not None and journal.is_file() else nullcontext()
        with there as trials:
            return self._erase(subject, datasets, actor, trials)

    def _erase(
        self, subject: str, datasets: Sequence[Path], actor: str, trials: JournalEraser | None
    ) -> dict[str, Any]:
        reviewed = self.store.traces_with(subject)
        now = self.clock.now()
        said = traces_saying(self.lake, self.ledger, subject, now)
        traces = tuple(dict.fromkeys((*reviewed, *said.traces)))
        reached = [edge for trace in traces for edge in self.lineage(f"trace:{trace}")]
        cases = {one.child.removeprefix("case:") for one in reached if one.child.startswith("case:")}
        items = {one.child.removeprefix("item:") for one in reached if one.child.startswith("item:")}
        exports = {one.child.removeprefix("export:") for one in reached if one.child.startswith("export:")}
        removed = answers = 0
        folders = tuple(dict.fromkeys((*(path.resolve() for path in datasets), *self._folders())))
        forgotten_trials = None
        if trials is not None:  # before the cases go, which say what was asked
            asked = {one for path in folders for one in _inputs_meant(path, cases, traces, subject)}
            forgotten_trials = trials.forget(subject, asked)
        for path in folders:
            gone_cases, gone_answers = _erase_from_dataset(path, cases, traces, subject)
            removed += gone_cases
            answers += gone_answers
        drop_unfinished_exports(self.ledger)
        from_exports = self._erase_exports(exports, items, subject)
        rows = Counter(self.store.erase(subject, actor=actor, at=now))
        for trace in set(traces) - set(reviewed):
            if self.store.edges_of(f"trace:{trace}"):
                rows.update(self.store.erase(trace, actor=actor, at=now))
        outcomes = len(self.ledger.outcomes_of(traces[:OUTCOME_IDS_MAX]))
        forgotten = self.forget(subject, traces, actor)
        return {
            "rows": dict(rows),
            "cases": removed,
            "answers": answers,
            "trials": forgotten_trials,
            **from_exports,
            "traces": traces,
            "records": sum(one.startswith(STRAY_LOG) for one in traces),
            "named": len(said.named),
            "is_cut": said.is_cut or len(reviewed) >= TRACES_MAX,
            "telemetry": forgotten.rows,
            "runs": forgotten.runs,
            "results": forgotten.results,
            "outcomes": outcomes,
            "set_aside": forgotten.aside,
            "unread": forgotten.unread,
            "left": dict(self.store.left_with(subject)),
        }

    def _folders(self) -> Iterator[Path]:
        """Yield where datasets of all agents are; of one whose charter cannot be read, where answers were curated into."""
        readable = self.directory.charters()
        for record in self.ledger.charters():
            charter = readable.get(record.agent)
            yield from (
                curated_folders(self.ledger, record.agent)
                if charter is None
                else judging_folders(self.ledger, charter)
            )

    def _erase_exports(
        self, digests: Collection[str], items: Collection[str], subject: str
    ) -> dict[str, Any]:
        exported: dict[str, int] = {}
        gone: list[str] = []
        untraced: list[str] = []
        noted: set[str] = set()
        done: set[Path] = set()

        def erase(folder: Path, digest: str) -> None:
            left = erase_from_export(folder, items, subject)
            if left.rows:
                exported[str(folder)] = left.rows
            if digest in digests and not left.is_traced:
                untraced.append(str(folder))

        for record in self.ledger.charters():
            for decision in every_decision(self.ledger, record.agent, kind=EXPORTED):
                made = json.loads(decision.document)
                folder = Path(made["path"])
                noted.add(made["digest"])
                done.add(folder)
                if not (folder / PROVENANCE).is_file():
                    gone += [made["path"]] if made["digest"] in digests else []
                    continue
                erase(folder, made["digest"])
        # Killed after it was whole and before that was on record.
        for folder in begun_exports(self.ledger):
            if is_unfinished(folder):  # it is being written, or may not be taken away by us
                untraced.append(str(folder))
            if folder in done or not (folder / PROVENANCE).is_file():
                continue
            digest = digest_of((folder / PROVENANCE).read_bytes())[:32]
            noted.add(digest)
            erase(folder, digest)
        # Killed before any place was on record, by a version that noted none.
        gone += [f"a place that is not on record (export {one})" for one in sorted({*digests} - noted)]
        return {"exported": exported, "gone": gone, "untraced": untraced}


def _saying(path: Path, subject: str) -> tuple[dict[str, Path], set[str]]:
    """Return what tools answered in a dataset, by name, and the names of those answers that hold a subject."""
    fixtures, spelled = {file.stem: file for file in (path / FIXTURES).glob("*.txt")}, spellings(subject)
    return fixtures, {
        name for name, file in fixtures.items() if says(file.read_text("utf-8", "replace"), spelled)
    }


def _meant(
    found: Sequence[Case],
    saying: Collection[str],
    cases: Collection[str],
    traces: Collection[str],
    subject: str,
) -> tuple[Case, ...]:
    """Return the cases that are named, come from a trace or hold a subject, themselves or in what tools answered."""
    spelled = spellings(subject)
    return tuple(
        case
        for case in found
        if case.id in cases
        or case.trace_id in traces
        or any(one in saying for one in case.fixtures.values())
        or says(case.model_dump_json(), spelled)
    )


def _inputs_meant(path: Path, cases: Collection[str], traces: Collection[str], subject: str) -> Iterator[str]:
    """Yield the hashes of the inputs of a dataset's cases that are meant."""
    _, saying = _saying(path, subject)
    for case in _meant(load_dataset(path).cases, saying, cases, traces, subject):
        yield case.input_hash


def _erase_from_dataset(
    path: Path, cases: Collection[str], traces: Collection[str], subject: str
) -> tuple[int, int]:
    """Take out of a dataset the cases that are meant, with all that belongs to them.

    Returns:
        How many cases went, and how many answers to cases.
    """
    fixtures, saying = _saying(path, subject)
    found = load_dataset(path).cases
    named = {case.id for case in _meant(found, saying, cases, traces, subject)}
    if named:
        remove_cases(path, named)
    needed = {one for case in found if case.id not in named for one in case.fixtures.values()}
    lost = {one for case in found if case.id in named for one in case.fixtures.values()} - needed
    for name in fixtures.keys() & (saying | lost):
        fixtures[name].unlink()
    meant, spelled = {*cases, *named}, spellings(subject)
    answers = forget_answers(
        answers_file(path), lambda one: one.case_id in meant or says(one.model_dump_json(), spelled)
    )
    return len(named), answers
