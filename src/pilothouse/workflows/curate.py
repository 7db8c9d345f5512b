# SPDX-License-Identifier: Apache-2.0
"""What labels become: cases of a dataset, few-shot examples and rows for fine-tuning, each with its lineage."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.core.evidence.review import ItemState, Label, ReviewSource
from pilothouse.errors import LimitExceeded, UsageError
from pilothouse.evals.case import Case, CaseLabel, Split
from pilothouse.evals.dataset import Dataset, read_cases, write_cases
from pilothouse.evals.dataset_checks import near_pairs
from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.ports import ItemRecord, ReviewQueue
from pilothouse.ports.curation import CurationStore, Edge, Example
from pilothouse.workflows.datasets import add_cases
from pilothouse.workflows.review import rubric_of

__all__ = [
    "Curated",
    "Trusted",
    "build_few_shots",
    "correction_evidence",
    "curate_cases",
    "export_rows",
    "few_shot_evidence",
    "trusted_labels",
]

NEAR = 0.9
"""Share of common word 5-grams from which two inputs are the same question, as in the checks of datasets."""

GATE_SHARE = 0.5
"""Share of labels that become cases of the gate; the rest may be shown to the model and never judges it."""

EXAMPLES_PER_TYPE_MAX = 200
ROWS_MIN, ROWS_MAX = 500, 2_000
"""Rows of a fine-tuning file: below, a tuned model learns the few rows by heart; above, it learns no more."""

VALIDATION_SHARE = 0.1
WEEKS = timedelta(days=365)
_DECIDED = (ItemState.ACCEPTED, ItemState.CORRECTED)

_PERSONAL = (
    re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b"),
    re.compile(r"\b(?:\d[ -]?){13,19}\b"),
    re.compile(r"\+\d[\d ()/-]{7,}\d"),
)
"""Mail addresses, account numbers, card numbers and telephone numbers with a country."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """An answer that may be learned from.

    Attributes:
        record: The item.
        label: The answer.
        output: What is right: the proposal, or its correction.
        second: A second person's equal answer, or None.
    """

    record: ItemRecord
    label: Label
    output: str
    second: Label | None = None

    @property
    def split(self) -> Split:
        """Gate or dev, by a coin on what was asked, so that equal questions never lie on both sides."""
        digest = hashlib.sha256(f"split {self.record.item.input}".encode()).digest()
        return Split.GATE if digest[0] / 256 < GATE_SHARE else Split.DEV


@dataclass(frozen=True, slots=True, kw_only=True)
class Curated:
    """What came of the labels.

    Attributes:
        dataset: The dataset with its new version.
        added: Ids of new cases.
        repeated: Items whose input a case has already.
        leaks: Items left out because another split has nearly the same input.
        by_week: New labels by ISO week: the growth curve.
    """

    dataset: Dataset
    added: tuple[str, ...]
    repeated: tuple[str, ...]
    leaks: tuple[str, ...]
    by_week: dict[str, int]


def trusted_labels(queue: ReviewQueue, charter: Charter, now: datetime) -> tuple[Trusted, ...]:
    """Return answers that may be learned from: decided, undisputed, and given by the rubric in force.

    Args:
        queue: Items and answers.
        charter: The charter in force.
        now: The moment; answers of the last year count.
    """
    labels = {label.item_id: label for label in reversed(queue.labels(charter.agent, since=now - WEEKS))}
    records = {record.item.item_id: record for record in queue.items(charter.agent, since=now - WEEKS)}
    seconds = {
        record.item.pair_of: record
        for record in records.values()
        if record.item.pair_of and not record.item.only_for and not record.state.is_open
    }
    found = []
    for item_id, record in sorted(records.items()):
        label = labels.get(item_id)
        learnable = record.state in _DECIDED and record.item.source is not ReviewSource.CANARY
        if label is None or not learnable or record.item.pair_of or not label.answer.decides:
            continue
        if label.rubric and label.rubric != rubric_of(charter, record.item.task_type).digest:
            continue
        second = seconds.get(item_id)
        if second is not None and (second.state, second.correction) != (record.state, record.correction):
            continue
        output = record.correction if record.state is ItemState.CORRECTED else record.item.proposal
        found.append(
            Trusted(
                record=record,
                label=label,
                output=output or "",
                second=labels.get(second.item.item_id) if second else None,
            )
        )
    return tuple(found)


def _case(trusted: Trusted) -> Case:
    item, label = trusted.record.item, trusted.label
    expected = json_or_text(trusted.output)
    return Case(
        id=f"review:{item.item_id}",
        task_type=item.task_type,
        input=json_or_text(item.input),
        expected=expected,
        cluster=item.trace_id,
        source=f"production:{item.trace_id}",
        label=CaseLabel(
            by=label.reviewer,
            at=label.at,
            value=expected,
            second_by=trusted.second.reviewer if trusted.second else None,
            second_value=expected if trusted.second else None,
        ),
        risk_cost=item.error_cost,
        split=trusted.split,
    )


def curate_cases(
    queue: ReviewQueue, store: CurationStore, charter: Charter, path: Path, now: datetime
) -> Curated:
    """Turn trusted labels into cases of a dataset, each input once and none of them in two splits.

    Args:
        queue: Items and answers.
        store: Keeps the lineage.
        charter: The charter in force.
        path: Folder of the dataset; made if it is missing.
        now: The moment.

    Raises:
        UsageError: There is no label to learn from.
    """
    trusted = trusted_labels(queue, charter, now)
    kept = read_cases(sorted(path.glob("*.jsonl")), is_bare=False) if path.is_dir() else ()
    if not trusted and not kept:
        raise UsageError(
            "no answer of a person can become a case yet",
            remedy="Review some outputs first: `pilothouse review`.",
            subject=charter.agent,
        )
    known_ids = {case.id for case in kept}
    fresh = [_case(one) for one in trusted if f"review:{one.record.item.item_id}" not in known_ids]
    everything = [*kept, *fresh]
    first_new = len(kept)
    repeated: list[str] = []
    leaks: list[str] = []
    for one, other, _ in near_pairs([_words(case.input) for case in everything], similarity_min=NEAR):
        if other < first_new or everything[other].id in (*repeated, *leaks):
            continue
        same_split = everything[one].split is everything[other].split
        (repeated if same_split else leaks).append(everything[other].id)
    added = [case for case in fresh if case.id not in (*repeated, *leaks)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels.jsonl"
        write_cases(file, added)
        owner = known(charter.raci.benchmarks.accountable) or ""
        dataset = add_cases(path, [file] if added else [], owner=owner, population=charter.agent)
    by_id = {f"review:{one.record.item.item_id}": one.record.item for one in trusted}
    store.link(
        [
            edge
            for case in added
            for edge in (
                Edge(
                    agent=charter.agent,
                    parent=f"trace:{by_id[case.id].trace_id}",
                    child=f"item:{by_id[case.id].item_id}",
                    at=now,
                ),
                Edge(
                    agent=charter.agent,
                    parent=f"item:{by_id[case.id].item_id}",
                    child=f"case:{case.id}",
                    at=now,
                ),
            )
        ]
    )
    weeks = Counter(
        f"{one.label.at.isocalendar().year}-W{one.label.at.isocalendar().week:02}" for one in trusted
    )
    return Curated(
        dataset=dataset,
        added=tuple(case.id for case in added),
        repeated=tuple(repeated),
        leaks=tuple(leaks),
        by_week=dict(sorted(weeks.items())),
    )


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def correction_evidence(
    queue: ReviewQueue, charter: Charter, curated: Curated, now: datetime
) -> Evidence | None:
    """Return the record that a correction went the whole way from a user's flag to a case, or None.

    Args:
        queue: Items and answers.
        charter: The charter in force.
        curated: What was just made.
        now: The moment.
    """
    added = set(curated.added)
    whole = [
        record
        for record in queue.items(charter.agent, sources=(ReviewSource.FLAGGED,))
        if f"review:{record.item.item_id}" in added and record.state is ItemState.CORRECTED
    ]
    if not whole:
        return None
    hours = sorted((now - record.item.created_at).total_seconds() / 3_600 for record in whole)
    late = queue.counts([charter.agent], now)
    overdue = sum(count.overdue for count in late)
    return Evidence(
        kind="correction",
        agent=charter.agent,
        window_from=min(record.item.created_at for record in whole),
        window_to=now,
        n=len(whole),
        passed=overdue == 0,
        detail=f"{len(whole)} corrections went from flag to case, the middle one in {hours[len(hours) // 2]:.1f} h; "
        f"{overdue} items of the queue are late",
        items=tuple(record.item.trace_id for record in whole[:50]),
        source=Source(command="pilothouse curate cases"),
        recorded_at=now,
    )


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
    candidates = [one for one in trusted_labels(queue, charter, now) if one.split is Split.DEV]
    candidates.sort(key=lambda one: one.label.at, reverse=True)
    sealed = [_words(case.input) for case in tested if case.split is not Split.DEV]
    texts = [*sealed, *(one.record.item.input for one in candidates)]
    leaking: set[int] = set()
    repeated: set[int] = set()
    for earlier, other, _ in near_pairs(texts, similarity_min=NEAR):
        if other >= len(sealed):
            (leaking if earlier < len(sealed) else repeated).add(other - len(sealed))
    limit = min(known(charter.few_shot.max) or EXAMPLES_PER_TYPE_MAX, EXAMPLES_PER_TYPE_MAX)
    count: Counter[str] = Counter()
    examples = []
    for number, one in enumerate(candidates):
        item = one.record.item
        if number in leaking or number in repeated or count[item.task_type] >= limit:
            continue
        count[item.task_type] += 1
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
    store.link(
        [
            Edge(
                agent=charter.agent, parent=f"item:{one.item_id}", child=f"few-shot:{one.example_id}", at=now
            )
            for one in examples
        ]
    )
    return version, tuple(examples), len(leaking)


def few_shot_evidence(charter: Charter, count: int, now: datetime) -> Evidence:
    """Return the record of a library's size; its lift is another measurement.

    Args:
        charter: The charter in force.
        count: Examples.
        now: The moment.
    """
    return Evidence(
        kind="few_shot.examples",
        agent=charter.agent,
        window_from=now,
        window_to=now,
        n=count,
        detail=f"{count} trusted examples, none of them near a case that judges",
        source=Source(command="pilothouse curate few-shot"),
        recorded_at=now,
    )


def export_rows(
    queue: ReviewQueue, store: CurationStore, charter: Charter, folder: Path, *, now: datetime, consent: str
) -> tuple[int, int, int]:
    """Write chat JSON lines for fine-tuning: train and validation apart, with where each row comes from.

    Args:
        queue: Items and answers.
        store: Keeps the lineage.
        charter: The charter in force.
        folder: New folder.
        now: The moment.
        consent: On what ground these data may train a model; written beside them.

    Returns:
        Rows for training, rows for validation, rows left out for personal data.

    Raises:
        UsageError: No ground was given.
        LimitExceeded: Fewer than 500 rows; says how many are missing.
    """
    if not consent.strip():
        raise UsageError(
            "on what ground may these data train a model?",
            remedy="Say it: `--consent 'contract of 2026-03-01, section 4'`; it is written beside the rows.",
        )
    candidates = [one for one in trusted_labels(queue, charter, now) if one.split is Split.DEV]
    clean = [one for one in candidates if not _is_personal(one.record.item.input + "\n" + one.output)]
    personal = len(candidates) - len(clean)
    if len(clean) < ROWS_MIN:
        raise LimitExceeded(
            f"{len(clean):,} rows may be exported, {ROWS_MIN:,} are needed: {ROWS_MIN - len(clean):,} are missing "
            f"({personal:,} hold personal data, and labels of the gate are never trained on)",
            remedy="Label more outputs with `pilothouse review`; few-shot examples need 50: `pilothouse curate few-shot`.",
            subject=charter.agent,
        )
    chosen = sorted(clean, key=lambda one: one.label.at, reverse=True)[:ROWS_MAX]
    system = known(charter.purpose) or charter.agent
    folder.mkdir(parents=True)
    provenance = []
    files: dict[str, list[str]] = {"train": [], "validation": []}
    for one in chosen:
        item = one.record.item
        coin = hashlib.sha256(f"validation {item.input}".encode()).digest()[0] / 256
        name = "validation" if coin < VALIDATION_SHARE else "train"
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": item.input},
            {"role": "assistant", "content": one.output},
        ]
        files[name].append(json.dumps({"messages": messages}, ensure_ascii=False))
        provenance.append(
            {
                "file": name,
                "line": len(files[name]),
                "item": item.item_id,
                "trace": item.trace_id,
                "by": one.label.reviewer,
            }
        )
    for name, lines in files.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    about = {
        "agent": charter.agent,
        "made": now.isoformat(),
        "consent": consent.strip(),
        "left_out_personal": personal,
    }
    text = json.dumps({**about, "rows": provenance}, ensure_ascii=False, indent=1)
    (folder / "provenance.json").write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    store.link(
        [
            Edge(
                agent=charter.agent,
                parent=f"item:{one.record.item.item_id}",
                child=f"export:{digest}",
                at=now,
            )
            for one in chosen
        ]
    )
    return len(files["train"]), len(files["validation"]), personal


def _is_personal(text: str) -> bool:
    return any(pattern.search(text) for pattern in _PERSONAL)
