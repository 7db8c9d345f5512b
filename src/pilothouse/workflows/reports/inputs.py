# SPDX-License-Identifier: Apache-2.0
"""Analyse what an agent is asked: the kinds of input of a month, the rare ones named, and which of them has no case."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.binding import under_terms
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.input_kinds import InputKind, InputKinds, find_kinds, words_of
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.new_inputs import LABELS_MIN, SeenWords, see_words
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.verdict.numbers import percentage
from pilothouse.errors import PilothouseError
from pilothouse.evals.case import Case
from pilothouse.evals.dataset import Dataset, load_dataset
from pilothouse.evals.dataset_checks import comparable_text
from pilothouse.evals.targets.recorded import json_or_text, root_span
from pilothouse.ports.lake import Lake
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.workflows.gate.datasets import labelled_cases
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import newest_tasks

__all__ = [
    "ANALYSED",
    "COMMAND",
    "AskedText",
    "InputAnalysis",
    "LabelledInputs",
    "ReadInputs",
    "analyse_inputs",
    "analysis_evidence",
    "keep_analysis",
    "labelled_inputs",
    "offer_cases",
    "read_inputs",
    "seen_before",
]

ANALYSED: Final = "inputs.analysed"
"""Decision that keeps what an analysis saw, so that a later week can be held against it."""

COMMAND: Final = "pilothouse dataset tail"
WINDOW: Final = timedelta(days=28)
"""Four weeks hold every day of the week and the end of a month, and telemetry keeps texts for thirty days."""

INPUTS_MAX: Final = 2_000
"""Inputs that are compared, evenly spread over the window: a kind of 1 % has twenty among them."""

ENOUGH: Final = 1_000
"""Inputs from which an analysis says something about kinds of 1 %."""

ENOUGH_OF_ALL: Final = 200
"""Inputs that are enough when there are no others."""

FREQUENT: Final = 0.01
"""Share of the traffic from which a kind must have cases."""

TEXT_CHARS: Final = 256
"""Characters of a case that are compared: as many as telemetry keeps of an input beside its task."""

ANALYSES_READ: Final = 20
"""Newest analyses among which the one to compare with is looked for: four months of weekly ones."""


@dataclass(frozen=True, slots=True)
class AskedText:
    """One input: its trace, its task type and its words."""

    trace_id: str
    task_type: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadInputs:
    """Inputs of a window.

    Attributes:
        inputs: Those that are compared, oldest first.
        tasks: Tasks of the window, with and without a text.
        is_all: Whether every task of the window is among the inputs.
    """

    inputs: tuple[AskedText, ...]
    tasks: int
    is_all: bool

    @property
    def is_enough(self) -> bool:
        """Whether an analysis of them says something."""
        return len(self.inputs) >= (ENOUGH_OF_ALL if self.is_all else ENOUGH)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledInputs:
    """What the charter's labelled cases ask: what a record of them is bound to, and the words of each input."""

    binds: Binding
    words: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputAnalysis:
    """What an analysis of the inputs found.

    Attributes:
        read: The inputs.
        kinds: Kinds of those whose task type the charter lists.
        listed: These inputs, in the order that kinds count them.
        labelled: The labelled cases, or None where there are none to read.
        cases: Labelled cases of each kind.
        since: Start of the window.
    """

    read: ReadInputs
    kinds: InputKinds
    listed: tuple[AskedText, ...]
    labelled: LabelledInputs | None
    cases: tuple[int, ...]
    since: datetime

    @property
    def untested(self) -> tuple[InputKind, ...]:
        """Kinds of 1 % of the traffic or more with too few labelled cases, largest first."""
        return tuple(
            kind
            for kind, cases in zip(self.kinds.kinds, self.cases, strict=True)
            if kind.share >= FREQUENT and cases < LABELS_MIN
        )

    @property
    def rare(self) -> tuple[InputKind, ...]:
        """Kinds of less than 1 % of the traffic."""
        return tuple(kind for kind in self.kinds.kinds if kind.share < FREQUENT)

    def traces(self, kind: InputKind, limit: int = LABELS_MIN) -> tuple[str, ...]:
        """Return tasks of a kind, newest first."""
        return tuple(self.listed[at].trace_id for at in reversed(kind.inputs[-limit:]))


def read_inputs(lake: Lake, agent: str, since: datetime, now: datetime) -> ReadInputs:
    """Return the words of inputs of a window, evenly spread where there are too many.

    Args:
        lake: Telemetry.
        agent: Agent id.
        since: Start, aware UTC.
        now: End.
    """
    tasks, is_whole = newest_tasks(lake, agent, since, now)
    with_text = [task for task in reversed(tasks) if task.input_preview]
    step = max(1.0, len(with_text) / INPUTS_MAX)
    chosen = [with_text[int(at * step)] for at in range(min(len(with_text), INPUTS_MAX))]
    return ReadInputs(
        inputs=tuple(
            AskedText(task.trace_id, task.task_type, words_of(comparable_text(task.input_preview)))
            for task in chosen
        ),
        tasks=len(tasks),
        is_all=is_whole and len(chosen) == len(tasks),
    )


def labelled_inputs(charter: Charter, folder: Path) -> LabelledInputs | None:
    """Return what the charter's labelled cases ask, or None while there is no dataset that can be read."""
    path = known(charter.datasets.labelled.path)
    if path is None:
        return None
    try:
        dataset: Dataset = load_dataset(folder / path)
    except PilothouseError:
        return None  # the verdict on EVAL-1 says what is missing
    words = tuple(words_of(_last_asked(case.input)) for case in labelled_cases(dataset.cases))
    binds = under_terms(Binding(dataset=dataset.digest), kind_named("inputs.tail"), charter)
    return LabelledInputs(binds=binds, words=words)


def analyse_inputs(installation: Installation, record: CharterInForce, now: datetime) -> InputAnalysis:
    """Divide the inputs of four weeks into kinds, and count the labelled cases of each."""
    charter = charter_of(record)
    since = now - WINDOW
    read = read_inputs(installation.lake, charter.agent, since, now)
    listed = tuple(one for one in read.inputs if one.task_type in charter.task_types)
    kinds = find_kinds([one.words for one in listed]) if listed else InputKinds(n=0, kinds=())
    labelled = labelled_inputs(charter, Path(record.path).parent)
    count = Counter(kinds.place(words) for words in (labelled.words if labelled and listed else ()))
    return InputAnalysis(
        read=read,
        kinds=kinds,
        listed=listed,
        labelled=labelled,
        cases=tuple(count[at] for at in range(len(kinds.kinds))),
        since=since,
    )


def analysis_evidence(found: InputAnalysis, agent: str, now: datetime) -> tuple[Evidence, ...]:
    """Return the records of an analysis: none where too little was there to look at."""
    if not found.read.is_enough or not found.listed:
        return ()
    kinds, frequent = found.kinds.kinds, [one for one in found.kinds.kinds if one.share >= FREQUENT]
    about = f"{len(found.listed):,} inputs of {found.read.tasks:,} tasks, {len(kinds)} kinds"
    rare = "; ".join(f"{kind.name} ({len(kind.inputs)})" for kind in found.rare[:5])
    analysed = bound_record(
        "inputs.analysed",
        agent,
        now,
        command=COMMAND,
        since=found.since,
        n=len(found.listed),
        passed=True,
        detail=f"{about}, {len(found.rare)} of them rare" + (f": {rare}" if rare else ""),
        items=tuple(trace for kind in found.rare for trace in found.traces(kind)),
        counts={"kinds": len(kinds), "rare": len(found.rare)},
    )
    if found.labelled is None:
        return (analysed,)
    lacking = "; ".join(f"{one.name} ({percentage(one.share)} of inputs)" for one in found.untested[:5])
    tail = bound_record(
        "inputs.tail",
        agent,
        now,
        command=COMMAND,
        binds=found.labelled.binds,
        since=found.since,
        n=max(len(frequent), 1),
        passed=not found.untested,
        detail=f"{len(frequent) - len(found.untested)} of {len(frequent)} frequent kinds have {LABELS_MIN} or more "
        "labelled cases" + (f"; without: {lacking}" if lacking else ""),
        items=tuple(trace for kind in found.untested for trace in found.traces(kind)),
    )
    return (analysed, tail)


def keep_analysis(ledger: Ledger, found: InputAnalysis, agent: str, now: datetime, *, actor: str) -> int:
    """Put an analysis on record, with the marks of the words that it saw; return how many records that were."""
    records = analysis_evidence(found, agent, now)
    if records:
        seen = see_words([one.words for one in found.read.inputs])
        document = {"inputs": seen.inputs, "marks": " ".join(sorted(seen.marks))}
        ledger.add_evidence(records)
        ledger.record(kind=ANALYSED, agent=agent, at=now, actor=actor, document=canonical_json(document))
    return len(records)


def seen_before(ledger: Ledger, agent: str, moment: datetime) -> SeenWords | None:
    """Return what the newest analysis made at a moment or before saw, or None where there is none."""
    for decision in ledger.decisions(agent, kind=ANALYSED, limit=ANALYSES_READ):
        if decision.at <= moment:
            document: dict[str, Any] = json.loads(decision.document)
            return SeenWords(inputs=document["inputs"], marks=frozenset(document["marks"].split()))
    return None


def _last_asked(value: object) -> str:
    """Return the beginning of what a user said last in a case, as telemetry keeps it beside a task."""
    said: object = value
    if isinstance(value, Sequence) and not isinstance(value, str):
        messages = [one for one in value if isinstance(one, dict)]
        asked = [one for one in messages if one.get("role") == "user"] or messages
        if asked:
            said = " ".join(_texts(asked[-1]))
    return comparable_text(said)[:TEXT_CHARS]


def _texts(value: object) -> list[str]:
    """Return every text of a message; what names a role or a type is none."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        inner: list[object] = [one for name, one in value.items() if name not in {"role", "type"}]
    else:
        inner = list(value) if isinstance(value, list | tuple) else []
    return [text for one in inner for text in _texts(one)]


def offer_cases(lake: Lake, found: InputAnalysis, path: Path) -> int:
    """Write the newest inputs of each untested and each rare kind as cases without an expectation.

    Args:
        lake: Has the traces.
        found: The analysis.
        path: JSON-lines file to write.

    Returns:
        How many; an input that telemetry did not keep whole is left out.
    """
    types = {one.trace_id: one.task_type for one in found.listed}
    kinds = {
        trace: kind.name
        for kind in (*found.untested, *found.rare)
        for trace in found.traces(kind, LABELS_MIN)
    }
    views = lake.traces(list(kinds))
    lines = []
    for trace, kind in kinds.items():
        root = root_span(views[trace]) if trace in views else None
        if root is None or not root.input or root.cut_bytes:
            continue
        case = Case(
            id=f"task-{trace}",
            task_type=types[trace],
            input=json_or_text(root.input),
            stratum=kind[:128],
            source=f"production:{trace}",
        )
        lines.append(case.model_dump_json(exclude_defaults=True))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)
