# SPDX-License-Identifier: Apache-2.0
"""Compare two runs case by case: the difference with its interval, in all, for each task type and each stratum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.effective_counts import rate_counts
from pilothouse.core.evidence.evidence import Basis, Binding, Evidence, Scope
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.statistics.comparison import Comparison
from pilothouse.core.statistics.noninferiority import PairedNonInferiority
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.checks import TRAJECTORY, CheckBook, success_of
from pilothouse.evals.dataset import Dataset
from pilothouse.evals.foreign_scores import ForeignRun, ForeignScore, read_foreign_scores
from pilothouse.evals.journal import Journal
from pilothouse.evals.journal_rows import StoredScore
from pilothouse.evals.score import Score
from pilothouse.evals.scorers.registry import ScorerRegistry, parse_scorer_text
from pilothouse.evals.targets.address import open_target
from pilothouse.evals.trial import Result, TrialStatus, asked_of, trial_key

__all__ = ["ComparedPart", "ComparedRuns", "compare_runs", "imported_evidence", "read_side"]

DEFAULT_SCORER = "exact"
"""Stands in for the scorer of a run until its scores say which it was."""

_ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPart:
    """The difference in one part of the cases.

    Attributes:
        part: `all`, a task type (`task type all` for one of that name), or `task type · stratum`.
        pairs: Cases scored on both sides.
        clusters: Independent groups among them.
        before: Rate of good answers of the first side, or None without a pair.
        after: The same of the second.
        difference: Second minus first, points, or None.
        low: Lower end of its 95 % interval.
        high: Upper end.
        note: Why there is no interval, or empty.
    """

    part: str
    pairs: int
    clusters: int
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRuns:
    """Two runs side by side.

    Attributes:
        parts: In all, by task type, by stratum.
        only_before: Cases that only the first side has.
        only_after: Cases that only the second side has.
        unscored: Cases without a score on a side.
        worse: Cases that were good and are not.
        better: Cases that were not and are.
    """

    parts: tuple[ComparedPart, ...]
    only_before: int
    only_after: int
    unscored: int
    worse: tuple[str, ...]
    better: tuple[str, ...]

    def as_record(self) -> dict[str, object]:
        """Return the fields as plain data for JSON."""
        return asdict(self)


def read_side(
    text: str, *, journal: Path, dataset: Dataset | None, metric: str | None, pass_at: float
) -> tuple[ForeignScore, ...]:
    """Return the scores of one side: a file of another harness, or a version in the journal.

    Args:
        text: Path of a file, a version digest, or the address of a target, which stands for its present version.
        journal: Stored trials.
        dataset: Cases of the journal's side.
        metric: Scorer, where a file or the journal has several.
        pass_at: Least value of a success.

    Raises:
        UsageError: A version without a dataset, or whose answers several scorers judged.
        UnknownName: Nothing is stored of that version.
    """
    path = Path(text)
    if path.suffix in {".eval", ".json", ".jsonl"}:
        return read_foreign_scores(path, scorer=metric).scores
    if dataset is None:
        raise UsageError(
            f"{text!r} is a version, so its cases must be named.", remedy="Give --dataset FOLDER-OR-FILE."
        )
    with Journal(journal) as trials:
        version = open_target(text).spec.version if ":" in text else text
        found = tuple(_stored(trials, dataset, version, metric=metric, pass_at=pass_at))
    if not found:
        raise UnknownName(
            f"no score of version {text!r} on these cases is stored in {str(journal)!r}.",
            remedy=f"Run it: `pilothouse eval run {text if ':' in text else 'TARGET'} --dataset {dataset.path}`, or give a file.",
            subject=text,
        )
    return found


def compare_runs(
    before: Sequence[ForeignScore], after: Sequence[ForeignScore], *, pass_at: float = 0.5
) -> ComparedRuns:
    """Compare case by case; repeats of a case are one cluster.

    Args:
        before: Scores of the first side.
        after: Scores of the second side.
        pass_at: Least value of a success.
    """
    sides = [{(one.case_id, one.repeat): one for one in some} for some in (before, after)]
    shared = [key for key in sides[0] if key in sides[1]]
    scored = [(sides[0][key], sides[1][key]) for key in shared]
    pairs = [(a, b) for a, b in scored if a.value is not None and b.value is not None]
    groups: dict[tuple[str, ...], list[tuple[ForeignScore, ForeignScore]]] = defaultdict(list)
    for pair in pairs:
        path = (pair[0].task_type, pair[0].stratum)
        for depth in range(len(path) + 1):
            groups[path[:depth]].append(pair)
    types = sorted(path for path in groups if len(path) == 1)
    strata = sorted(path for path in groups if len(path) == 2)
    shown: list[tuple[str, ...]] = [()]
    shown += types if len(types) > 1 else []
    shown += strata if len(strata) > len(types) else []
    flips = [(a.case_id, _good(a, pass_at), _good(b, pass_at)) for a, b in pairs]
    return ComparedRuns(
        parts=tuple(_part(_name(path), groups[path], pass_at) for path in shown),
        only_before=len(sides[0]) - len(shared),
        only_after=len(sides[1]) - len(shared),
        unscored=len(scored) - len(pairs),
        worse=tuple(dict.fromkeys(name for name, old, new in flips if old and not new)),
        better=tuple(dict.fromkeys(name for name, old, new in flips if new and not old)),
    )


def imported_evidence(
    run: ForeignRun,
    *,
    agent: str,
    version: str,
    dataset: str | None,
    at: datetime,
    pass_at: float,
    charter: Charter | None = None,
) -> tuple[Evidence, ...]:
    """Turn another harness's scores into imported records: they can show harm and never prove.

    Args:
        run: What the file holds.
        agent: Agent it speaks of.
        version: Version it ran.
        dataset: Digest of the dataset, or None when it is not known.
        at: The present moment, aware UTC.
        pass_at: Least value of a success.
        charter: The charter in force, or None.
    """
    by_type: dict[str, list[ForeignScore]] = defaultdict(list)
    for one in run.scores:
        if one.value is not None and one.repeat == 0:
            by_type[one.task_type].append(one)
    return tuple(
        bound_record(
            "eval.baseline",
            agent,
            at,
            command=f"pilothouse eval import {run.path.name} --agent {agent} --version {version}",
            binds=Binding(version=version, dataset=dataset),
            charter=charter,
            scope=Scope(task_type=task_type),
            n=len(some),
            good=sum(_good(one, pass_at) for one in some),
            items=tuple(one.case_id for one in some if not _good(one, pass_at)),
            counts=rate_counts(
                [_good(one, pass_at) for one in some], [one.cluster or one.case_id for one in some]
            ),
            detail=f"{run.harness}: {run.scorer} of {run.path.name}, model {run.model or 'unknown'}",
            basis=Basis.IMPORTED,
        )
        for task_type, some in sorted(by_type.items())
    )


def _name(path: tuple[str, ...]) -> str:
    # A task type may be called "all"; what stands first is all of them.
    return "task type all" if path == (_ALL,) else " · ".join(path) or _ALL


def _part(name: str, pairs: Sequence[tuple[ForeignScore, ForeignScore]], pass_at: float) -> ComparedPart:
    old = [_good(one, pass_at) for one, _ in pairs]
    new = [_good(one, pass_at) for _, one in pairs]
    clusters = [one.cluster or one.case_id for one, _ in pairs]
    # Only the interval is read, so the margin plays no part; 1 - 2 alpha is its confidence.
    found: Comparison | NotEnoughEvidence = PairedNonInferiority(0.05, alpha=0.025).decide_pairs(
        [int(one) for one in old], [int(one) for one in new], clusters=clusters
    )
    ends = found.difference if isinstance(found, Comparison) else None
    n = len(pairs)
    return ComparedPart(
        part=name,
        pairs=n,
        clusters=len(set(clusters)),
        before=sum(old) / n if n else None,
        after=sum(new) / n if n else None,
        difference=100 * (sum(new) - sum(old)) / n if n else None,
        low=100 * ends.low if ends else None,
        high=100 * ends.high if ends else None,
        note="" if isinstance(found, Comparison) else f"{found.reason}; {found.remedy}",
    )


def _stored(
    journal: Journal, dataset: Dataset, version: str, *, metric: str | None, pass_at: float
) -> Iterable[ForeignScore]:
    """Fold the stored scores of a version, each against the expectation that the case has now.

    A run that failed is a failed case, and only the scorers count that judge the case now: what another scorer once
    said, or a check of what must not happen, is another measurement.
    """
    registry = ScorerRegistry()
    stand_in = registry.make(*parse_scorer_text(metric or DEFAULT_SCORER))
    book = CheckBook(registry, default=stand_in)
    for config in journal.configs_of(version)[:1]:
        keys = {
            trial_key(config.digest, asked_of(case, config.address), 0): case
            for case in dataset.cases
            if case.family is None
        }
        known = [one for one in journal.scores(keys) if one.case_hash == keys[one.key].case_hash]
        scores = {(one.key, one.version): one.score for one in known}
        default = stand_in.spec.version if metric is not None else _only_default(known)
        for one in journal.trials(keys):
            case = keys[one.key]
            versions = [
                default if check.scorer is stand_in else check.scorer.spec.version
                for check in book.of(case)
                if not check.must_not
            ]
            yield ForeignScore(
                case_id=case.id,
                task_type=case.task_type,
                stratum=case.stratum,
                cluster=case.cluster_id,
                value=_value(
                    [scores.get((one.key, name)) if name else None for name in versions], one.result, pass_at
                ),
            )


def _only_default(scores: Iterable[StoredScore]) -> str | None:
    """Return the version of the scorer that judged cases without checks of their own; None when there is none."""
    found = {one.version: one.name for one in scores if "#" not in one.name and one.name != TRAJECTORY}
    if len(found) > 1:
        raise UsageError(
            f"these answers were judged by several scorers, or by versions of one: {', '.join(sorted(set(found.values())))}.",
            remedy="""Say which: --metric NAME, or --metric 'NAME={"json": "args"}'.""",
        )
    return next(iter(found), None)


def _value(scores: Sequence[Score | None], result: Result, pass_at: float) -> float | None:
    if result.status is not TrialStatus.DONE:
        return 0.0
    known = [one for one in scores if one is not None]
    return success_of(known, pass_at=pass_at).value if len(known) == len(scores) else None


def _good(one: ForeignScore, pass_at: float) -> bool:
    return one.value is not None and one.value >= pass_at
