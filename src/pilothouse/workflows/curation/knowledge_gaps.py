# SPDX-License-Identifier: Apache-2.0
"""Audit what an agent does not know: failures of a month by term, each with an owner and cases; and its case book."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.dates import day
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.knowledge_gaps import AskedInput, Gap, Gaps, find_gaps
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import PilothouseError, UnknownName, UsageError
from pilothouse.evals.dataset_checks import comparable_text
from pilothouse.ports.curation import CurationStore
from pilothouse.ports.feedback import FeedbackStore
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.reports.foreign import foreign_text
from pilothouse.workflows.curation.few_shot_library import tested_cases
from pilothouse.workflows.gate.datasets import glossary_terms
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import newest_tasks
from pilothouse.workflows.people.directory import people_gone
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.review.trusted_labels import Trusted, trusted_labels

__all__ = ["GapAudit", "GapRoom", "audit_gaps", "case_book", "gap_evidence"]

CASES_MAX = 500
"""Corrections in one book: what people still read."""

TEXT_BYTES_MAX = 4 * 1024
"""Bytes of an input or an answer: the whole of it is one link away."""


WINDOW = timedelta(days=28)
FAILURES_ENOUGH = 200
"""Failures from which an audit need not look at the whole window."""

FREQUENT = 0.01
"""Share of tasks from which a gap must have an owner and cases."""

OWNED = "gap.owned"
OWNERS_READ_MAX = 1_000
_WRONG = (ItemState.CORRECTED, ItemState.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapAudit:
    """What an audit found, and who sees to it.

    Attributes:
        gaps: The gaps.
        owners: Person id by term.
        since: Start of what was looked at.
        is_whole: Whether all tasks of 28 days were looked at.
    """

    gaps: Gaps
    owners: Mapping[str, str]
    since: datetime
    is_whole: bool

    @property
    def open(self) -> tuple[Gap, ...]:
        """Frequent gaps without an owner or without a case."""
        return tuple(
            gap
            for gap in self.gaps.found
            if gap.share > FREQUENT and (gap.term not in self.owners or not gap.cases)
        )

    @property
    def is_enough(self) -> bool:
        """Whether so much was looked at that the audit says something."""
        return bool(self.gaps.tasks) and (self.is_whole or self.gaps.failures >= FAILURES_ENOUGH)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRoom:
    """What the commands about gaps are given.

    Attributes:
        installation: Lake and ledger.
        queue: What people answered, and what was held.
        store: The few-shot library.
        said: What users said.
        directory: The charters.
    """

    installation: Installation
    queue: ReviewQueue
    store: CurationStore
    said: FeedbackStore
    directory: Directory

    def audit(self, agent: str | None) -> GapAudit:
        """Audit an agent, or the only one, and put what was found on record."""
        charter, now = self.directory.one(agent), self.installation.clock.now()
        audit = audit_gaps(self, charter, now)
        record = gap_evidence(charter, audit, now)
        if record is not None:
            self.installation.ledger.add_evidence([record])
        return audit

    def own(self, agent: str | None, term: str, person: str, *, actor: str) -> None:
        """Put on record who sees to a gap.

        Args:
            agent: Agent id, or None for the only one.
            term: The gap's term, as the audit writes it.
            person: Person id of the charter.
            actor: Who says so.

        Raises:
            UnknownName: The charter has no such person.
        """
        charter = self.directory.one(agent)
        if person not in charter.people:
            raise UnknownName.among(
                "person of the charter",
                person,
                charter.people,
                remedy="Add the person under `people`, or name another.",
            )
        self.installation.ledger.record(
            kind=OWNED,
            agent=charter.agent,
            at=self.installation.clock.now(),
            actor=actor,
            document=canonical_json({"person": person, "term": term}),
        )

    def case_book(self, agent: str | None) -> str:
        """Return the case book of an agent as Markdown."""
        return case_book(self.queue, self.directory.one(agent), self.installation.clock.now())


def audit_gaps(room: GapRoom, charter: Charter, now: datetime) -> GapAudit:
    """Look at the inputs of the last 28 days, the newest 100,000.

    A task went wrong when it failed, the system of record contradicts it, a person corrected or rejected it, or a user
    said so; one that was held because the agent was not sure counts too.
    """
    installation, since = room.installation, now - WINDOW
    tasks, is_whole = newest_tasks(installation.lake, charter.agent, since, now)
    records = room.queue.items(charter.agent, since=since)
    outcomes = installation.ledger.outcomes(charter.agent, from_ns=unix_ns(since), to_ns=unix_ns(now))
    wrong = {one.trace_id for one in outcomes if one.status is OutcomeStatus.CONTRADICTED}
    wrong |= {one.trace_id for one in room.said.of(charter.agent, since=since) if one.is_bad}
    wrong |= _reviewed_wrong(records)
    asked = [
        AskedInput(
            trace_id=task.trace_id,
            task_type=task.task_type,
            # As much of each: with whole texts of reviewed tasks, which are mostly wrong ones, their closing words were gaps.
            text=task.input_preview,
            failed=task.result is TaskResult.FAILED or task.trace_id in wrong,
        )
        for task in tasks
    ]
    _, examples = room.store.examples(charter.agent)
    gaps = find_gaps(
        asked,
        glossary=_glossary(installation, charter),
        examples=[comparable_text(one.input) for one in examples],
        cases=_cases(installation, charter),
    )
    return GapAudit(gaps=gaps, owners=_owners(installation, charter), since=since, is_whole=is_whole)


def gap_evidence(charter: Charter, audit: GapAudit, now: datetime) -> Evidence | None:
    """Return the record of an audit, or None when too little was there to look at."""
    if not audit.is_enough:
        return None
    left = audit.open
    frequent = sum(gap.share > FREQUENT for gap in audit.gaps.found)
    named = ", ".join(gap.term for gap in left[:5])
    return recorded(
        "gaps.audited",
        charter,
        now,
        command="pilothouse gaps audit",
        since=audit.since,
        n=audit.gaps.tasks,
        passed=not left,
        detail=f"{audit.gaps.failures:,} failures in {audit.gaps.tasks:,} tasks, {len(audit.gaps.found)} gaps, "
        f"{frequent} of them in more than 1 % of tasks; "
        + (f"without owner or case: {named}" if left else "each has an owner and cases"),
        items=tuple(trace for gap in left for trace in gap.traces),
        counts={
            "failures": audit.gaps.failures,
            "gaps": len(audit.gaps.found),
            "unexplained": audit.gaps.unexplained,
        },
    )


def _reviewed_wrong(records: Sequence[ItemRecord]) -> set[str]:
    """Return the tasks that were held, and those of which a person said that they are wrong, unless a dispute was settled.

    Args:
        records: Items, newest first; a task may have several.
    """
    settled: dict[str, bool] = {}
    for one in records:
        if one.item.source is ReviewSource.DISPUTED and one.state in (*_WRONG, ItemState.ACCEPTED):
            settled.setdefault(one.item.trace_id, one.state in _WRONG)
    return {
        one.item.trace_id
        for one in records
        if one.item.source is ReviewSource.HELD or settled.get(one.item.trace_id, one.state in _WRONG)
    }


def _glossary(installation: Installation, charter: Charter) -> tuple[str, ...]:
    record = installation.ledger.charter(charter.agent)
    try:
        return glossary_terms(charter, Path(record.path).parent if record is not None else Path())
    except UsageError:
        return ()


def _cases(installation: Installation, charter: Charter) -> tuple[str, ...]:
    try:
        cases, _ = tested_cases(installation.ledger, charter, [])
    except PilothouseError:
        return ()
    return tuple(comparable_text(case.input) for case in cases)


def _owners(installation: Installation, charter: Charter) -> dict[str, str]:
    """Return who sees to which term now: a person whom the charter does not name any more, or who is gone, sees to none."""
    owners: dict[str, str] = {}
    for decision in installation.ledger.decisions(charter.agent, kind=OWNED, limit=OWNERS_READ_MAX):
        document = json.loads(decision.document)
        owners.setdefault(document["term"], document["person"])
    here = {*charter.people} - {*people_gone(installation.ledger, charter.agent)}
    return {term: person for term, person in owners.items() if person in here}


def case_book(queue: ReviewQueue, charter: Charter, now: datetime) -> str:
    """Return the case book: by task type, what was asked, what the agent said, what is right, and why."""
    corrected = [one for one in trusted_labels(queue, charter, now) if one.is_correction]
    corrected.sort(key=lambda one: one.label.at, reverse=True)
    chapters: dict[str, list[Trusted]] = defaultdict(list)
    for one in corrected[:CASES_MAX]:
        chapters[one.record.item.task_type].append(one)
    lines = [f"# Case book of {charter.agent}", "", f"{len(corrected):,} corrections, {day(now)}.", ""]
    if len(corrected) > CASES_MAX:
        lines += [f"The newest {CASES_MAX:,} are here.", ""]
    for task_type, cases in sorted(chapters.items()):
        lines += [f"## {task_type}", ""]
        for number, one in enumerate(cases, 1):
            lines += _case(number, one)
    return "\n".join(lines).rstrip() + "\n"


def _case(number: int, one: Trusted) -> list[str]:
    item = one.record.item
    parts = [("Asked", item.input), ("The agent said", item.proposal), ("Right is", one.output)]
    if one.label.note:
        parts.append(("Because", one.label.note))
    lines = [f"### {number}", ""]
    for title, text in parts:
        lines += [f"{title}:", "", *_quoted(text), ""]
    return [*lines, f"{one.label.reviewer}, {day(one.label.at)}, task `{item.trace_id}`", ""]


def _quoted(text: str) -> list[str]:
    """Return foreign text as an indented block: nothing in it can be Markdown, and hostile signs are visible."""
    return [f"    {line}" for line in foreign_text(text, bytes_max=TEXT_BYTES_MAX).text.splitlines()]
