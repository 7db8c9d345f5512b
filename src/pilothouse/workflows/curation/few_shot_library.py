# SPDX-License-Identifier: Apache-2.0
"""Build the library of few-shot examples: trusted answers, none near a case of any dataset that judges."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Binding, Evidence
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case, Split
from pilothouse.evals.dataset import load_dataset
from pilothouse.evals.dataset_checks import comparable_text, copies_of, near_pairs
from pilothouse.ports.curation import CurationStore, Example
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.curation.lineage import link_made
from pilothouse.workflows.review.trusted_labels import NEAR, Trusted, trusted_labels

__all__ = [
    "CURATED",
    "build_few_shots",
    "curated_folders",
    "few_shot_evidence",
    "judging_folders",
    "near_judging",
    "tested_cases",
]

EXAMPLES_MAX = 200
"""Examples of one agent, whatever the charter allows: a larger library is data to tune a model with."""

CURATED = "dataset.curated"
"""Decision that says into which folder answers went: it judges from then on, whoever builds the library."""


def judging_folders(ledger: Ledger, charter: Charter) -> tuple[Path, ...]:
    """Return where datasets of an agent are: those of its charter, and every folder that answers were curated into.

    Args:
        ledger: Knows where the charter lies and what was curated.
        charter: The charter in force.
    """
    record = ledger.charter(charter.agent)
    folder = Path(record.path).parent if record is not None else Path()
    sets = charter.datasets
    named = (known(one.path) for one in (sets.labelled, sets.adversarial, sets.trajectories))
    there = (path for one in named if one and (path := folder / one).exists())
    found = (*(path.resolve() for path in there), *curated_folders(ledger, charter.agent))
    return tuple(dict.fromkeys(found))


def curated_folders(ledger: Ledger, agent: str) -> tuple[Path, ...]:
    """Return every folder that answers of an agent were curated into and that is there, whatever its charter says now."""
    paths = [Path(json.loads(one.document)["path"]) for one in ledger.decisions(agent, kind=CURATED)]
    return tuple(dict.fromkeys(path.resolve() for path in paths if path.exists()))


def tested_cases(
    ledger: Ledger, charter: Charter, further: Sequence[Path]
) -> tuple[tuple[Case, ...], tuple[Path, ...]]:
    """Return the cases of every dataset that judges an agent, and where they are.

    Read are the datasets of the charter, every folder that answers were ever curated into, and those that are named.

    Args:
        ledger: Knows where the charter lies and what was curated.
        charter: The charter in force.
        further: Datasets that must be there.

    Raises:
        UsageError: There is none, so nothing says which inputs must stay hidden.
    """
    paths = tuple(dict.fromkeys((*(path.resolve() for path in further), *judging_folders(ledger, charter))))
    if not paths:
        raise UsageError(
            "no dataset says which inputs judge this agent, so any example could be one of them",
            remedy="Make one first: `pilothouse curate cases --into FOLDER`, or name it with `--beside FOLDER`.",
            subject=charter.agent,
        )
    return tuple(case for path in paths for case in load_dataset(path).cases), paths


def near_judging(tested: Sequence[Case], inputs: Sequence[str]) -> tuple[set[int], set[int]]:
    """Return which inputs are nearly those of a case that judges, and which nearly repeat an earlier one, by place.

    Args:
        tested: Cases; those of the split `dev` judge nothing.
        inputs: Inputs of answers that a model would learn from.
    """
    judging = [comparable_text(case.input) for case in tested if case.split is not Split.DEV]
    texts = [*judging, *map(comparable_text, inputs)]
    leaking: set[int] = set()
    repeated: set[int] = set()
    copies = copies_of(texts)
    places = [place for place in range(len(texts)) if place not in copies]
    for one, other, _ in near_pairs([texts[place] for place in places], similarity_min=NEAR):
        if places[other] >= len(judging):
            (leaking if places[one] < len(judging) else repeated).add(places[other] - len(judging))
    for place, first in copies.items():
        if place >= len(judging):
            is_leak = first < len(judging) or first - len(judging) in leaking
            (leaking if is_leak else repeated).add(place - len(judging))
    return leaking, repeated


def build_few_shots(
    queue: ReviewQueue,
    store: CurationStore,
    charter: Charter,
    tested: Sequence[Case],
    now: datetime,
) -> tuple[str, tuple[Example, ...], int]:
    """Build the library of few-shot examples from trusted labels that judge nothing.

    Args:
        queue: Items and answers.
        store: Keeps library and lineage.
        charter: The charter in force.
        tested: Cases whose inputs must not be shown to the model: all of the gate and the sealed split.
        now: The moment.

    Returns:
        Version, examples, and how many were left out because a tested case is nearly the same.

    Raises:
        UsageError: No trusted label is left.
    """
    candidates = [
        one for one in trusted_labels(queue, charter, now) if one.has_input and one.split is Split.DEV
    ]
    candidates.sort(key=lambda one: one.label.at, reverse=True)
    leaking, repeated = near_judging(tested, [one.record.item.input for one in candidates])
    said = known(charter.few_shot.max)
    fit = [one for number, one in enumerate(candidates) if number not in leaking and number not in repeated]
    examples = []
    for one in _in_turns(fit)[: EXAMPLES_MAX if said is None else min(said, EXAMPLES_MAX)]:
        item = one.record.item
        examples.append(
            Example(
                example_id=item.item_id,
                agent=charter.agent,
                task_type=item.task_type,
                input=item.input,
                output=one.output,
                item_id=item.item_id,
            )
        )
    if not examples:
        raise UsageError(
            "no trusted label is left for the library: half of them judge, and those are never shown",
            remedy="Review some outputs first: `pilothouse review`.",
            subject=charter.agent,
        )
    text = json.dumps([[one.example_id, one.input, one.output] for one in examples])
    version = hashlib.sha256(text.encode()).hexdigest()
    store.save_examples(charter.agent, version, examples, now)
    traces = {one.record.item.item_id: one.record.item.trace_id for one in candidates}
    made = ((traces[one.item_id], one.item_id, f"few-shot:{one.example_id}") for one in examples)
    link_made(store, charter.agent, made, now)
    return version, tuple(examples), len(leaking)


def _in_turns(newest_first: Sequence[Trusted]) -> list[Trusted]:
    """Return the newest of each task type, then the second newest of each, so that none crowds out another."""
    count: Counter[str] = Counter()
    turns = []
    for one in newest_first:
        turns.append(count[one.record.item.task_type])
        count[one.record.item.task_type] += 1
    return [one for _, one in sorted(zip(turns, newest_first, strict=True), key=itemgetter(0))]


def few_shot_evidence(charter: Charter, version: str, count: int, now: datetime) -> Evidence:
    """Return the record that a library is in force, and how large it is; its lift is another measurement.

    Args:
        charter: The charter in force.
        version: Version of the library; from now on only a lift that was measured with it counts.
        count: Examples.
        now: The moment.
    """
    return bound_record(
        "few_shot.examples",
        charter.agent,
        now,
        command="pilothouse curate few-shot",
        binds=Binding(dataset=version),
        n=count,
        detail=f"{count} trusted examples, none of them near a case that judges",
    )
