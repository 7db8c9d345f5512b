# SPDX-License-Identifier: Apache-2.0
"""Make, describe and split datasets, and put what they hold on record (cases -> evidence)."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Unpack

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Binding, Evidence, Scope
from pilothouse.core.evidence.recorded import Found, bound_record
from pilothouse.core.statistics.power import cases_needed, smallest_detectable
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case, Split
from pilothouse.evals.dataset import (
    BARE_TASK_TYPE,
    MANIFEST,
    Dataset,
    Manifest,
    load_dataset,
    read_cases,
    read_manifest,
    write_cases,
    write_dataset,
)
from pilothouse.evals.dataset_checks import Finding, FindingKind, check_cases
from pilothouse.evals.glossary import read_terms, untouched_terms

__all__ = [
    "DatasetSummary",
    "Decidable",
    "add_cases",
    "dataset_evidence",
    "glossary_terms",
    "labelled_cases",
    "read_shown_texts",
    "remove_cases",
    "shown_paths",
    "split_cases",
    "summarize_dataset",
]

FLIP_RATES: Final = (0.03, 0.072, 0.15)
"""Shares of cases that differ between two runs of one model: good, median and bad of public reruns."""

CORRELATION_ASSUMED: Final = 0.3
"""Correlation within a cluster that is assumed until it is measured."""

POWER: Final = 0.8
TEXT_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of all texts that the model is shown: a library of examples is a few hundred kilobytes, and each word of it is compared."""
FIRST_VERSION: Final = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decidable:
    """Whether the cases of one task type can decide a margin.

    Attributes:
        task_type: Task type.
        cases: Cases of the gate split.
        clusters: Clusters they form.
        effective: What the cases are worth as independent ones.
        flip_rate: Share of cases assumed to differ between two runs.
        margin: Margin to decide, as a fraction.
        smallest: Smallest margin they decide with 80 % power.
        needed: Cases that would decide the margin.
    """

    task_type: str
    cases: int
    clusters: int
    effective: float
    flip_rate: float
    margin: float
    smallest: float
    needed: int

    @property
    def is_enough(self) -> bool:
        """Whether there are as many as needed."""
        return self.cases >= self.needed


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """What a dataset holds and what is wrong with it.

    Attributes:
        name: Name.
        version: Version; `0.0.0` for a plain file.
        digest: Hash that evidence binds to.
        cases: All cases.
        by_split: Cases by split.
        by_source: Cases by kind of source.
        labelled: Cases with a trusted label.
        production_share: Share of the labelled cases that came from production, or None without any.
        findings: Duplicates and leaks.
        decidable: For each task type and flip rate, whether it can decide the margin.
    """

    name: str
    version: str
    digest: str
    cases: int
    by_split: Mapping[str, int]
    by_source: Mapping[str, int]
    labelled: int
    production_share: float | None
    findings: tuple[Finding, ...]
    decidable: tuple[Decidable, ...]


def add_cases(
    path: Path,
    files: Sequence[Path],
    *,
    owner: str = "",
    population: str = "",
    task_type: str = BARE_TASK_TYPE,
) -> Dataset:
    """Add cases to a dataset folder, or make one; each change is a new version.

    Args:
        path: Folder.
        files: JSON-lines files; without any, edits made by hand are published as the next version.
        owner: Who answers for it, for a new dataset.
        population: What the cases stand for, for a new dataset.
        task_type: What a case is of that names no type.

    Returns:
        The dataset with its new version; unchanged when nothing is new.

    Raises:
        UsageError: There is nothing to add to and nothing to add.
        MalformedRecord: Bad lines.
    """
    manifest = _manifest_of(path)
    kept = read_cases(sorted(path.glob("*.jsonl")), is_bare=False) if path.is_dir() else ()
    if not files and not kept:
        raise UsageError(
            "no case was given.", remedy=f"Give a file: `pilothouse dataset add {path} CASES.jsonl`."
        )
    known = {case.id: case for case in kept}
    splits = {case.cluster_id: case.split for case in kept} | {case.id: case.split for case in kept}
    for case in read_cases(files, is_bare=True, task_type=task_type):
        known[case.id] = _in_its_split(case, splits.get(case.id, splits.get(case.cluster_id)))
    cases = tuple(known.values())
    if manifest is None:
        first = Manifest(
            name=path.name, version=FIRST_VERSION, sha256="0" * 64, owner=owner, population=population
        )
        return write_dataset(path, first, cases)
    fresh = write_dataset(path, manifest.model_copy(update={"version": _next(manifest.version)}), cases)
    if fresh.digest == manifest.sha256:
        return write_dataset(path, manifest, cases)
    return fresh


def _in_its_split(case: Case, known: Split | None) -> Case:
    """Return a case in the split that it or its cluster has, unless it names another: a file of cases names none.

    What is sealed stays sealed: it would else be opened where nobody counts.
    """
    if known is None or (known is not Split.SEALED and case.split is not Split.GATE):
        return case
    return case.model_copy(update={"split": known})


def remove_cases(path: Path, ids: Collection[str]) -> Dataset:
    """Publish a dataset folder without some of its cases, as its next version; a plain file is written without them.

    Args:
        path: Folder with a manifest, or a plain file.
        ids: Ids of the cases that go.

    Raises:
        UsageError: Nothing is there.
    """
    dataset = load_dataset(path)
    kept = [case for case in dataset.cases if case.id not in ids]
    if len(kept) == len(dataset.cases):
        return dataset
    if path.is_file():
        write_cases(path, kept)
        return load_dataset(path)
    manifest = dataset.manifest
    return write_dataset(path, manifest.model_copy(update={"version": _next(manifest.version)}), kept)


def split_cases(dataset: Dataset, *, dev_share: float, sealed_share: float, seed: int) -> tuple[Case, ...]:
    """Assign splits by cluster, so that dependent cases never stand on both sides.

    Within each task type and stratum clusters are ordered by a hash of seed and cluster; the first ones become `dev`,
    the next `sealed`, the rest `gate`. The same seed gives the same splits. What is sealed stays sealed: another seed
    would else open it where nobody counts.

    Args:
        dataset: The dataset.
        dev_share: Share of clusters for `dev`, in [0, 1).
        sealed_share: Share of clusters for `sealed`, in [0, 1).
        seed: Any whole number.

    Raises:
        UsageError: The shares leave nothing to gate on.
    """
    if not (dev_share >= 0 and sealed_share >= 0 and dev_share + sealed_share < 1):
        raise UsageError("the shares leave nothing for the gate.", remedy="Give --dev 0.2 --sealed 0.2.")
    strata: dict[tuple[str, str], set[str]] = defaultdict(set)
    home: dict[str, tuple[str, str]] = {}
    kept = {case.cluster_id for case in dataset.cases if case.split is Split.SEALED}
    for case in dataset.cases:
        strata[home.setdefault(case.cluster_id, (case.task_type, case.stratum))].add(case.cluster_id)
    chosen: dict[str, Split] = {}
    for clusters in strata.values():
        ordered = sorted(clusters, key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())
        dev = round(dev_share * len(ordered))
        free = [cluster for cluster in ordered if cluster not in kept]
        sealed = max(0, round(sealed_share * len(ordered)) - (len(ordered) - len(free)))
        chosen |= dict.fromkeys(clusters & kept, Split.SEALED)
        for place, cluster in enumerate(free):
            chosen[cluster] = (
                Split.DEV if place < dev else Split.SEALED if place < dev + sealed else Split.GATE
            )
    return tuple(case.model_copy(update={"split": chosen[case.cluster_id]}) for case in dataset.cases)


def labelled_cases(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases a person vouches for, near-equal inputs counted once.

    A case counts when a person labelled it, or when a person wrote it with its expectation.
    """
    vouched = [
        case
        for case in cases
        if case.family is None
        and (case.label is not None or (case.source == "human" and case.expected is not None))
    ]
    doubled = {
        one.second
        for one in check_cases(vouched)
        if one.kind in {FindingKind.DUPLICATE, FindingKind.SPLIT_LEAK}
    }
    return tuple(case for case in vouched if case.id not in doubled)


def summarize_dataset(
    dataset: Dataset, *, margin_points: float = 5.0, shown: Sequence[tuple[str, str]] = ()
) -> DatasetSummary:
    """Describe a dataset, with an honest answer to "can this set decide your margin?".

    Args:
        dataset: The dataset.
        margin_points: Margin to decide, points.
        shown: Name and text of what the model is shown, for the leak test.
    """
    labelled = labelled_cases(dataset.cases)
    gate = [case for case in dataset.cases if case.split is Split.GATE and case.family is None]
    by_type: dict[str, list[Case]] = defaultdict(list)
    for case in gate:
        by_type[case.task_type].append(case)
    return DatasetSummary(
        name=dataset.manifest.name,
        version=dataset.manifest.version,
        digest=dataset.digest,
        cases=len(dataset.cases),
        by_split=dict(Counter(case.split.value for case in dataset.cases)),
        by_source=dict(Counter(case.source.partition(":")[0] for case in dataset.cases)),
        labelled=len(labelled),
        production_share=(
            sum(case.trace_id is not None for case in labelled) / len(labelled) if labelled else None
        ),
        findings=check_cases(dataset.cases, shown_to_model=shown, canary=dataset.manifest.canary),
        decidable=tuple(
            _decidable(task_type, cases, rate, margin_points / 100)
            for task_type, cases in sorted(by_type.items())
            for rate in FLIP_RATES
        ),
    )


def dataset_evidence(
    dataset: Dataset,
    *,
    agent: str,
    at: datetime,
    shown: Sequence[tuple[str, str]] = (),
    is_shown_complete: bool = False,
    terms: Sequence[str] = (),
    charter: Charter | None = None,
) -> tuple[Evidence, ...]:
    """Measure a dataset for the readiness rules; nothing measured gives no record.

    Args:
        dataset: The dataset.
        agent: Agent it belongs to.
        at: The present moment, aware UTC.
        shown: Prompts and few-shot examples, name and text.
        is_shown_complete: Whether `shown` is all the model sees; only then the leak test is on record.
        terms: Domain terms of the glossary, each of which needs an adversarial case.
        charter: The charter that names the dataset, or None.
    """
    bound = Binding(dataset=dataset.digest)
    ordinary = [case for case in dataset.cases if case.family is None]
    labelled = labelled_cases(dataset.cases)
    records: list[Evidence] = []

    def add(kind: str, *, scope: Scope | None = None, **found: Unpack[Found]) -> None:
        command = f"pilothouse dataset show {dataset.path}"
        records.append(
            bound_record(kind, agent, at, command=command, binds=bound, charter=charter, scope=scope, **found)
        )

    if labelled:
        add("dataset.labelled", n=len(labelled))
        for task_type, count in sorted(Counter(case.task_type for case in labelled).items()):
            add("dataset.labelled", scope=Scope(task_type=task_type), n=count)
        add(
            "dataset.production_share",
            n=len(labelled),
            good=sum(case.trace_id is not None for case in labelled),
        )
    if ordinary and is_shown_complete:
        leaks = [
            one
            for one in check_cases(ordinary, shown_to_model=shown, canary=dataset.manifest.canary)
            if one.kind is not FindingKind.DUPLICATE
        ]
        add(
            "dataset.leak",
            n=len(ordinary),
            passed=not leaks,
            items=tuple(dict.fromkeys(one.first for one in leaks)),
            detail=f"{len(leaks)} leaks between {len(ordinary)} cases, their splits and {len(shown)} texts shown to the model",
        )
    adversarial = {case.cluster_id for case in dataset.cases if case.family is not None}
    if adversarial:
        add("dataset.adversarial", n=len(adversarial))
    if adversarial and terms:
        missing = untouched_terms(terms, [case for case in dataset.cases if case.family is not None])
        add(
            "dataset.glossary",
            n=len(terms),
            passed=not missing,
            items=missing,
            detail=f"{len(missing)} of {len(terms)} domain terms without an adversarial case"
            + (f", first {missing[0]!r}" if missing else ""),
        )
    return tuple(records)


def glossary_terms(charter: Charter, folder: Path) -> tuple[str, ...]:
    """Return the domain terms of the charter's glossary; none when it names none, or the file is not there.

    Args:
        charter: The charter.
        folder: Where it lies.

    Raises:
        UsageError: It is there and cannot be read.
    """
    named = known(charter.glossary)
    return read_terms(folder / named) if named is not None and (folder / named).is_file() else ()


def shown_paths(charter: Charter, folder: Path) -> tuple[tuple[Path, ...], bool]:
    """Return where that lies which a charter says the model is shown, and whether that is known and there as a whole.

    Args:
        charter: The charter.
        folder: Where it lies.
    """
    prompts, examples = known(charter.prompts), known(charter.few_shot.path)
    named = [*(prompts or ()), examples]
    there = tuple(path for one in named if isinstance(one, str) and (path := folder / one).exists())
    return there, prompts is not None and len(there) == len(named)


def read_shown_texts(paths: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """Read prompts and few-shot examples: every file, and of a JSON-lines file every line.

    Raises:
        UsageError: One of them is not there, or they are too large to be looked through: what was not read leaks nothing only
            as far as anybody knows.
    """
    texts: list[tuple[str, str]] = []
    left = TEXT_BYTES_MAX
    for path in paths:
        if not path.exists():
            raise UsageError(f"no file {str(path)!r}.", remedy="Give the path of prompts or examples.")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not file.is_file():
                continue
            left -= file.stat().st_size
            if left < 0:
                raise UsageError(
                    f"with {str(file)!r} the prompts and examples have more than {TEXT_BYTES_MAX} bytes, and are not looked through.",
                    remedy="Name only what the model is shown (`prompts`, `few_shot.path` of the charter, `--shown`).",
                    subject=str(file),
                )
            text = file.read_text(encoding="utf-8", errors="replace")
            if file.suffix == ".jsonl":
                texts += [(f"{file}:{at}", line) for at, line in enumerate(text.split("\n"), 1) if line]
            else:
                texts.append((str(file), text))
    return tuple(texts)


def _decidable(task_type: str, cases: Sequence[Case], flip_rate: float, margin: float) -> Decidable:
    sizes = Counter(case.cluster_id for case in cases)
    mean_size = sum(size * size for size in sizes.values()) / len(cases)
    effect = max(1.0, 1 + CORRELATION_ASSUMED * (mean_size - 1))
    needed = cases_needed(margin, flip_rate, POWER, design_effect=effect)
    if not isinstance(needed, int):
        raise TypeError("the closed form always has an answer")
    return Decidable(
        task_type=task_type,
        cases=len(cases),
        clusters=len(sizes),
        effective=len(cases) / effect,
        flip_rate=flip_rate,
        margin=margin,
        smallest=smallest_detectable(len(cases), flip_rate, POWER, design_effect=effect),
        needed=needed,
    )


def _manifest_of(path: Path) -> Manifest | None:
    """Return the manifest of a folder, whether or not its cases were edited since; None for a new folder."""
    if not (path / MANIFEST).exists():
        return None
    return read_manifest(path / MANIFEST)


def _next(version: str) -> str:
    major, minor, _patch = version.split(".")
    return f"{major}.{int(minor) + 1}.0"
