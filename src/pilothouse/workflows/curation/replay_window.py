# SPDX-License-Identifier: Apache-2.0
"""Replay all recorded runs of a time with one change, and turn those that a person has judged into pairs for the gate.

What the change does not touch is served from the record, the rest is asked live. A run in which something was blocked,
that got no answer, or that asks for a tool where it ended before, has no outcome that can be judged: its case stays, its
output is missing, and the gate counts it as unscored, never as passed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day
from pilothouse.core.evidence.run_log import RunSummary
from pilothouse.core.verdict.numbers import percentage
from pilothouse.errors import PilothouseError, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.dataset import write_cases
from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.runtime.replay.answers import Answer
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.workflows.curation.curate import case_of_label
from pilothouse.workflows.gateway.launch import stand_in_version, summarize_charter
from pilothouse.workflows.replay.run import ReplayReport
from pilothouse.workflows.review.trusted_labels import Trusted

__all__ = [
    "RUNS_MAX",
    "Pair",
    "Versions",
    "WindowReport",
    "replay_window",
    "versions_of_change",
    "write_pairs",
]

RUNS_MAX = 5_000
"""Runs of one replay: a week of a narrow agent, and more live calls than anybody wants to start by mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One judged run, as it was and as it would have been.

    Attributes:
        case: What was asked, and what a person said is right.
        before: What the run ended with.
        after: What it would have ended with, or None where that cannot be judged.
    """

    case: Case
    before: Any
    after: Any | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Version digests of an agent with a change and without it; None where the charter has no version yet."""

    candidate: str | None = None
    baseline: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReport:
    """What a time of traffic would have been with one change.

    Attributes:
        agent: Agent.
        since: Start of the time, aware UTC.
        until: End of it.
        change: What was changed, in words.
        grain: `calls` alone, or the agent's `code`.
        runs: Runs that were replayed.
        skipped: Runs whose record cannot be replayed.
        served: Model calls answered from the record.
        live: Model calls that a live model answered.
        failed: Live calls that got no answer.
        trouble: What the first of them was told, or empty.
        blocked: Tool calls that were not in the record and not allowed.
        same: Runs that end as they did.
        changed: Runs that end otherwise.
        unjudgeable: Runs without an outcome that can be judged.
        pairs: Judged runs among all replayed.
        no_pairs: Judged runs that are no pairs, by the reason: what they end with is not what the version in force did.
    """

    agent: str
    since: datetime
    until: datetime
    change: str
    grain: str
    runs: int
    skipped: int
    served: int
    live: int
    failed: int
    trouble: str
    blocked: int
    same: int
    changed: int
    unjudgeable: int
    pairs: tuple[Pair, ...]
    no_pairs: Mapping[str, int] = field(default_factory=dict)

    @property
    def shares(self) -> str:
        """Shares of served, live and blocked calls, in words."""
        calls = max(self.served + self.live + self.blocked, 1)
        return (
            f"{percentage(self.served / calls, decimals=0)} of calls served from the record, {percentage(self.live / calls, decimals=0)} live, "
            f"{percentage(self.blocked / calls, decimals=0)} blocked"
        )

    @property
    def about(self) -> str:
        """What outputs made of it are: stands in the gate's notes and in its evidence."""
        return (
            f"counterfactual by {self.grain} of {self.runs} recorded runs, {day(self.since)} to {day(self.until)}, "
            f"{self.change}: {self.shares}; {self.unjudgeable} runs without an outcome that can be judged"
        )


def replay_window(
    summaries: Sequence[RunSummary],
    play: Callable[[str], ReplayReport],
    labels: Mapping[str, Trusted],
    *,
    agent: str,
    since: datetime,
    until: datetime,
    version: str | None = None,
    stand_ins: frozenset[str] = frozenset(),
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> WindowReport:
    """Replay runs one after the other.

    Args:
        summaries: Runs of one agent.
        play: Replays a run with the change.
        labels: What people said is right, by run id.
        agent: Agent.
        since: Start of the time, aware UTC.
        until: End of it.
        version: Version digest in force, or None where there is none: the gate holds the candidate against it.
        stand_ins: Models that answer in place of the pinned one.
        on_progress: Told how many of how many are done.

    Raises:
        UsageError: There is no run that can be replayed, there are too many, or the change touches none of them.
    """
    if len(summaries) > RUNS_MAX:
        raise UsageError(
            f"{len(summaries):,} runs are more than one replay takes ({RUNS_MAX:,})",
            remedy="Take a shorter time: `--since 1d`",
            subject=agent,
        )
    reports: list[ReplayReport] = []
    skipped = 0
    for place, summary in enumerate(summaries):
        on_progress(place, len(summaries))
        if not summary.replayable.is_playable:
            skipped += 1
            continue
        try:
            reports.append(play(summary.run))
        except UsageError:
            raise
        except PilothouseError:
            skipped += 1
    if not reports:
        raise UsageError(
            f"no run of {agent!r} since {day(since)} can be replayed",
            remedy=f"See what is recorded: `pilothouse replay --list --agent {agent}`",
            subject=agent,
        )
    if all(report.grain == "calls" and report.is_equal and not report.comparisons for report in reports):
        raise UsageError(
            f"{reports[0].change} changes nothing in any request of {len(reports)} runs of {agent}",
            remedy=f"Look at what was asked: `pilothouse replay {reports[0].run[:12]} --show --json`",
            subject=agent,
        )
    others = {one.run for one in summaries if version is not None and one.version not in (None, version)}
    ended = [
        _ended(report, labels.get(report.run), stand_ins, is_of_other=report.run in others)
        for report in reports
    ]
    pairs = [
        Pair(case=case_of_label(labels[one.run]), before=one.before, after=one.after)
        for one in ended
        if one.run in labels and not one.no_pair
    ]
    same = sum(one.after == one.before for one in ended if one.after is not None)
    failed = [one for report in reports for one in report.comparisons if one.has_failed]
    return WindowReport(
        agent=agent,
        since=since,
        until=until,
        change=reports[0].change,
        grain=reports[0].grain,
        runs=len(reports),
        skipped=skipped,
        served=sum(report.counts.served for report in reports),
        live=sum(report.counts.live for report in reports),
        failed=len(failed),
        trouble=failed[0].live if failed else "",
        blocked=sum(report.counts.blocked for report in reports),
        same=same,
        changed=sum(one.after is not None for one in ended) - same,
        unjudgeable=sum(one.after is None for one in ended),
        pairs=tuple(pairs),
        no_pairs=dict(Counter(one.no_pair for one in ended if one.run in labels and one.no_pair)),
    )


def versions_of_change(path: Path, charter: Charter, change: Substitution) -> Versions:
    """Return the version that an agent would be with a change, beside the one in force.

    With another model alone it is the version that the charter has once its pin says so, so a verdict over the replay
    holds for it from its first task on. Any other change is named by what it is: no charter has that version, and its
    verdict counts for none.

    Args:
        path: The charter file in force.
        charter: The same, read.
        change: What is changed.
    """
    own = summarize_charter(path).version
    if own is None:
        return Versions()
    if change == Substitution(model=change.model):
        pin = charter.model.pin
        said = {"provider": known(pin.provider), "model": change.model, "region": known(pin.region)}
        return Versions(candidate=stand_in_version(path, said), baseline=own)
    named = json.dumps([own, asdict(change)], sort_keys=True, ensure_ascii=False)
    return Versions(
        candidate=hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest(), baseline=own
    )


def write_pairs(report: WindowReport, folder: Path, versions: Versions, *, judged: int) -> str:
    """Write judged runs as cases with two files of outputs, and return the command that decides over them.

    Args:
        report: What came of the replay.
        folder: Made if it is missing.
        versions: What evidence of the two sides binds to.
        judged: Tasks of the agent that people have judged, whether a run of theirs was recorded or not.

    Raises:
        UsageError: Nobody has judged any of the runs, or what those end with is not the version's own.
    """
    if report.no_pairs and not report.pairs:
        whys = ", ".join(f"{count:,} because {why}" for why, count in report.no_pairs.items())
        raise UsageError(
            f"none of the judged runs is a pair: {whys}",
            remedy="Take a time in which the version in force has served, or let it serve and judge: `pilothouse review`",
            subject=report.agent,
        )
    if judged and not report.pairs:
        raise UsageError(
            f"people have judged {judged:,} tasks of {report.agent}, and none of them is one of the {report.runs} replayed runs",
            remedy="A task and its recorded run have one id where the agent's client sends `traceparent` to the gateway: "
            "the how-to of its framework has the lines. From then on, judge: `pilothouse review`",
            subject=report.agent,
        )
    if not report.pairs:
        raise UsageError(
            f"nobody has judged any of the {report.runs} replayed runs, so a gate has nothing to decide by",
            remedy=f"Judge some: `pilothouse review`; label evidence of {report.agent} stands in `pilothouse verdict`",
            subject=report.agent,
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_cases(folder / "cases.jsonl", [pair.case for pair in report.pairs])
    before = [{"id": pair.case.id, "output": pair.before} for pair in report.pairs]
    after = [{"id": pair.case.id, "output": pair.after} for pair in report.pairs if pair.after is not None]
    _write(folder / "before.jsonl", {"about": f"recorded runs of {report.agent}"}, before)
    _write(folder / "after.jsonl", {"about": report.about}, after)
    return (
        f"pilothouse gate --candidate recorded:{folder / 'after.jsonl'} --baseline recorded:{folder / 'before.jsonl'} "
        f"--dataset {folder / 'cases.jsonl'} --agent {report.agent}"
        + (f" --candidate-version {versions.candidate}" if versions.candidate else "")
        + (f" --baseline-version {versions.baseline}" if versions.baseline else "")
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    """What a run ended with, and what it would have; why that is no pair, or empty."""

    run: str
    before: Any
    after: Any | None
    no_pair: str


def _ended(
    report: ReplayReport, label: Trusted | None, stand_ins: frozenset[str], *, is_of_other: bool
) -> _Ended:
    before, after, no_pair = _output(report.recorded), _outcome(report), ""
    if is_of_other:
        no_pair = "another version served them"
    elif not stand_ins.isdisjoint(report.models):
        no_pair = "a stand-in of the pinned model answered them"
    elif report.is_cut:
        no_pair = "their end may not be on record, since a gateway was killed meanwhile"
    # While an answer is held, and once a person has decided, the record has what the client was told.
    if report.held and label is not None and label.record.item.item_id in report.held:
        before = json_or_text(label.record.item.proposal)
    elif report.held:
        after = None
        no_pair = no_pair or "a person decided what their client was told, and the label is of another answer"
    return _Ended(report.run, before, after, no_pair)


def _outcome(report: ReplayReport) -> Any | None:
    """Return what the run would have ended with, or None where that cannot be judged."""
    final = report.final
    if (
        final is None
        or report.is_cut
        or report.counterfactual == "partial"
        or final.status >= HTTPStatus.BAD_REQUEST
    ):
        return None
    if final.tools and not report.recorded.tools:
        return None
    return _output(final)


def _output(answer: Answer) -> Any:
    return json_or_text(answer.text) if answer.text else [list(call) for call in answer.tools]


def _write(path: Path, about: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in (about, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
