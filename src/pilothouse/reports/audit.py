# SPDX-License-Identifier: Apache-2.0
"""The Audit page: what is on record, how far it was verified, and how an auditor checks it without us."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from pilothouse.core.dates import calendar_day, minute
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.audit import AuditRecord
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import Cell, Row, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Link,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import plural

__all__ = ["RECORDS_SHOWN", "AuditFacts", "RecordsWanted", "build_audit"]

RECORDS_SHOWN = 50
"""Records on one page, newest first; a link leads to those before them."""

KEYS_SHOWN = 4
"""Fields shown of a record that has none of those below."""

_SHOWN_KEYS = ("decision", "tool", "rule", "reason", "number", "path", "section", "size", "person")
"""Fields of a record that say the most, in this order."""

_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_LOGGED = re.compile(r"[0-9A-Za-z+/]{42,}={1,2}")
"""Digests as entries about rows have them, one behind the other in base64."""

LOGGED_CHARS = 10
"""Characters of it that are shown: 60 bits tell two apart, and `pilothouse audit prove` has all of it."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsWanted:
    """Which records were asked for.

    Attributes:
        kind: Only of this kind; empty for all.
        agent: Only of this agent; empty for all.
        before: Only those before this position, or None for the newest.
    """

    kind: str = ""
    agent: str = ""
    before: int | None = None

    def href(self, **changed: str | int) -> str:
        """Return the address that asks for these records, with something else asked for.

        Args:
            **changed: What is asked for instead.
        """
        said = {"kind": self.kind, "agent": self.agent, **changed}
        query = urlencode({name: value for name, value in said.items() if value != ""})
        return f"/audit?{query}" if query else "/audit"

    @property
    def words(self) -> str:
        """What was asked for, in words; empty for the newest of all."""
        parts = [f"only {self.kind}"] if self.kind else []
        parts += [f"of {self.agent}" if parts else f"only of {self.agent}"] if self.agent else []
        parts += [f"before record {self.before:,}"] if self.before is not None else []
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFacts:
    """What is known of the log.

    Attributes:
        size: Records.
        checkpoints: Size and moment of each signed checkpoint, oldest first.
        anchors: Size, place and whether it lies under other rights, newest first.
        verified: The newest record of a verification, or None.
        key: The log's public key.
        records: Those that are shown, newest first.
        wanted: Which were asked for.
        has_older: Whether there are more of them before these.
    """

    size: int
    checkpoints: Sequence[tuple[int, datetime]]
    anchors: Sequence[tuple[int, str, bool]]
    verified: Evidence | None
    key: str
    records: Sequence[AuditRecord]
    wanted: RecordsWanted = field(default_factory=RecordsWanted)
    has_older: bool = False


def build_audit(facts: AuditFacts, now: datetime) -> SectionsPage:
    """Build the page."""
    mark, plain = _state(facts, now)
    return SectionsPage(
        name="audit",
        title=f"{mark.word} · audit",
        heading="Audit",
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=plain),
        action=_action(facts),
        sections=(_records(facts, now), _checkpoints(facts, now), _offline(facts)),
    )


def _state(facts: AuditFacts, now: datetime) -> tuple[StatusMark, str]:
    if not facts.size:
        return mark_of(Status.NO_EVIDENCE), "Nothing is on record yet."
    found = facts.verified
    if found is None:
        return mark_of(Status.NO_EVIDENCE, word="Not verified"), (
            f"{plural(facts.size, 'record')} are kept and nobody has verified them."
        )
    when = moment(found.window_to, now)
    if not found.passed:
        return mark_of(Status.BREACHED, word="Tampered"), shown_text(
            f"The log does not prove itself, verified {when.shown}: {found.detail}"
        )
    since = facts.size - found.n
    anchored = max((size for size, _place, outside in facts.anchors if outside), default=None)
    anchor = (
        f"anchored outside to record {anchored:,}"
        if anchored is not None
        else "anchored nowhere outside: whoever may write the ledger may rewrite it whole"
    )
    plain = f"Verified to record {found.n:,}, {when.shown}; {anchor}; {since:,} came since."
    return mark_of(Status.HOLDS if anchored is not None else Status.AT_RISK, word="Verified"), plain


def _action(facts: AuditFacts) -> ActionOffer | None:
    if not facts.size:
        return ActionOffer(
            label="Put a charter into force", command="pilothouse verdict --charter charter.yaml"
        )
    if facts.verified is None or facts.verified.n < facts.size or not facts.verified.passed:
        return ActionOffer(label="Verify the log", command="pilothouse audit verify")
    if not any(outside for _size, _place, outside in facts.anchors):
        return ActionOffer(
            label="Anchor it where the operator of this machine cannot write",
            command="pilothouse audit anchor FOLDER --outside",
        )
    return None


def _records(facts: AuditFacts, now: datetime) -> Section:
    wanted, shown = facts.wanted, len(facts.records)
    newest = f"newest {shown}" if facts.has_older else f"{shown}"
    note = f"{wanted.words}: {newest}; the log has {facts.size:,}"
    return Section(
        anchor="records",
        title="Records",
        note=shown_text(note) if wanted.words else f"newest {shown} of {facts.size:,}",
        columns=columns("#Record", "When", "Agent", "What", "Who", "Says"),
        rows=tuple(_record(one, wanted, now) for one in facts.records),
        more=tuple(_ways(facts)),
        empty=Empty(
            missing="No such record."
            if wanted.words
            else "No record yet: the first charter, call or verdict makes one.",
            command="pilothouse audit list",
        ),
    )


def _ways(facts: AuditFacts) -> Iterator[Link]:
    """Lead to the records before these, and back to all of them."""
    if facts.has_older and facts.records:
        yield Link(text="Older", href=facts.wanted.href(before=facts.records[-1].position))
    if facts.wanted.words:
        yield Link(text="Newest of all", href="/audit")


def _record(one: AuditRecord, wanted: RecordsWanted, now: datetime) -> Row:
    try:
        whole = json.loads(one.text)
    except ValueError:
        whole = {}
    when = moment(one.at, now)
    document = whole.get("document") if isinstance(whole, dict) else None
    actor = str(whole.get("actor", "")) if isinstance(whole, dict) else ""
    return row(
        f"{one.position:,}",
        when.model_copy(update={"shown": when.absolute}),  # an auditor asks when, and not how long ago
        Cell(text=shown_text(one.agent), href=wanted.href(agent=one.agent) if one.agent else ""),
        Cell(text=shown_text(one.kind), is_code=True, href=wanted.href(kind=one.kind)),
        foreign_line(actor, chars_max=80),
        _says(document),
        anchor=f"record-{one.position}",
    )


def _says(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    keys = [key for key in _SHOWN_KEYS if key in document] or list(document)[:KEYS_SHOWN]
    parts = [
        f"{key.replace('_', ' ')} {_plain(document[key])}"
        for key in keys
        if isinstance(document[key], str | int) and document[key] != ""
    ]
    if isinstance(digests := document.get("digests"), list):
        parts.append(plural(len(digests), "record"))
    return foreign_line("; ".join(parts), chars_max=160)


def _plain(value: str | int) -> str:
    """Write a field for a reader: moments as everywhere else, digests as short as everywhere else."""
    if not isinstance(value, str):
        return str(value)
    if _DIGEST.fullmatch(value):
        return short_digest(value)
    if _LOGGED.fullmatch(value):
        return f"{value[:LOGGED_CHARS]}…"
    try:
        if _MOMENT.fullmatch(value):
            at = datetime.fromisoformat(value)
            return minute(at)
        return calendar_day(date.fromisoformat(value)) if _DAY.fullmatch(value) else value
    except ValueError:  # looks like one, and stands in no calendar
        return value


def _checkpoints(facts: AuditFacts, now: datetime) -> Section:
    rows = [
        row("checkpoint", f"{size:,}", moment(at, now), "signed here")
        for size, at in reversed(facts.checkpoints[-10:])
    ]
    rows += [
        row(
            "anchor",
            f"{size:,}",
            "",
            Cell(
                text=foreign_line(place),
                small="under other rights" if outside else "same rights as the ledger",
            ),
        )
        for size, place, outside in facts.anchors[:10]
    ]
    return Section(
        anchor="checkpoints",
        title="Checkpoints and anchors",
        columns=columns("What", "#Up to record", "When", "Where"),
        rows=tuple(rows),
        empty=Empty(missing="The present state was never signed.", command="pilothouse audit checkpoint"),
    )


def _offline(facts: AuditFacts) -> Section:
    steps = (
        ("Give the auditor the public key by another way than the log", "pilothouse audit key", facts.key),
        ("Prove one record", f"pilothouse audit prove {max(facts.size - 1, 0)}", ""),
        ("Write one file", "pilothouse audit export audit.zip", ""),
        (
            "Check it on a machine without Pilothouse and without a network",
            "pilothouse-verify audit.zip --key KEY --checkpoint ANCHOR",
            "",
        ),
    )
    return Section(
        anchor="offline",
        title="Verify it without us",
        columns=columns("Step", "What", "Type"),
        rows=tuple(
            row(str(number), Cell(text=text, small=shown_text(small)), Cell(command=command))
            for number, (text, command, small) in enumerate(steps, 1)
        ),
    )
