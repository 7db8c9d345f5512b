# SPDX-License-Identifier: Apache-2.0
"""Decide one item of a verdict: which records count, what they prove, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import binding_in_force, first_mismatch
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import WARNINGS, Basis, Binding, Evidence, Scope
from pilothouse.core.evidence.kind import Form, Kind
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.writing_order import Hidden, misdated
from pilothouse.core.verdict.bench import Bench
from pilothouse.core.verdict.decisive import settles
from pilothouse.core.verdict.expansion import OpenQuestion, Slot, bound_of, life_of, rule_of
from pilothouse.core.verdict.requirement import (
    Ceiling,
    Derived,
    Fact,
    MeanMax,
    Paired,
    Part,
    Quantile,
    Requirement,
    Rule,
    Zero,
)
from pilothouse.core.verdict.rules import Assessment, Proof
from pilothouse.core.verdict.ruling import Ruling
from pilothouse.core.verdict.sentence import Voice, rule_in_words
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["judge_item"]

_WORST = {Proof.BREACHED: 0, Proof.OPEN: 1, Proof.PROVED: 2}

_DISORDER_MIN = 2
"""One record alone is in order."""

MARGIN_WARNED = 0.5
"""Share of the accepted drop that a comparison may show without a warning: two such releases in a row would lose all of it."""

SHARE_SHOWN_MAX = 1e9
"""A bound of zero that is passed loses all of its margin; JSON has no infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """The context of deciding one item."""

    requirement: Requirement
    part: Part
    slot: Slot
    kind: Kind
    bench: Bench
    bound: float | None
    voice: Voice

    def item(
        self, status: Status, sentence: str, reason: Reason | None = None, **measured: Any
    ) -> ItemVerdict:
        again = self.part.again if reason is Reason.STALE else ""
        other = self.part.cure if status is Status.BREACHED else again
        signer = (self.slot.person,) if self.kind.form is Form.SIGNATURE and self.slot.person else ()
        remedy = "pilothouse check" if self.slot.question else self.command(other)
        return ItemVerdict(
            requirement=self.requirement.id,
            scope=_item_scope(self.part, self.slot),
            status=status,
            reason=reason,
            kind=self.kind.name,
            rule=rule_in_words(self.part.rule, self.bound, self.kind, self.bench.currency),
            sentence=sentence,
            bound=self.bound,
            unit=self.kind.unit,
            remedy=measured.pop("remedy", "") or remedy,
            who=signer or self.bench.people(self.requirement, self.slot.names),
            **measured,
        )

    def command(self, other: str) -> str:
        """Return a command with the names of this item in it; the usual one where there is no other."""
        datasets = self.bench.charter.datasets
        return (other or self.part.remedy or self.requirement.remedy).format(
            agent=self.bench.charter.agent,
            labelled=known(datasets.labelled.path) or "DATASET",
            adversarial=known(datasets.adversarial.path) or "DATASET",
            **self.slot.names,
        )

    def without(self, sentence: str, reason: Reason = Reason.MISSING) -> Ruling:
        return Ruling(
            item=self.item(Status.NO_EVIDENCE, sentence, reason),
            share_lost=1.0,
            higher_is_better=_direction(self.part.rule),
        )

    def measured(
        self, status: Status, sentence: str, found: Assessment, record: Evidence, reason: Reason | None = None
    ) -> Ruling:
        item = self.item(
            status,
            sentence,
            reason,
            value=found.value,
            low=found.low,
            high=found.high,
            n=found.n,
            n_needed=found.n_needed,
            window_from=record.window_from.astimezone(UTC),
            window_to=record.window_to.astimezone(UTC),
            lapses_at=self.lapses_at(record),
            basis=record.basis.value,
            signer=record.signer,
            source=record.source.command,
            evidence=evidence_digest(record),
            method=found.method,
            items=record.items,
            remedy=found.remedy,
        )
        return Ruling(
            item=item,
            share_lost=min(found.share_lost, SHARE_SHOWN_MAX),
            higher_is_better=_direction(self.part.rule),
        )

    def lapses_at(self, record: Evidence) -> datetime | None:
        life = life_of(self.part, self.slot.names, self.bench.charter)
        if life is None:
            return None
        # A day of summer time has 25 hours where clocks are added up and 24 where time is.
        return record.window_to.astimezone(UTC) + (timedelta(0) if isinstance(life, OpenQuestion) else life)


def _direction(rule: Rule) -> bool | None:
    if isinstance(rule, Fact):
        return None
    return not isinstance(rule, (Ceiling, MeanMax, Quantile, Zero))


def _item_scope(part: Part, slot: Slot) -> Scope:
    words = [word for word in (part.name, slot.scope.part) if word]
    return slot.scope.model_copy(update={"part": " · ".join(words) or None})


def judge_item(requirement: Requirement, part: Part, slot: Slot, bench: Bench) -> Ruling:
    """Decide one item from the records on the bench."""
    charter = bench.charter
    kind = kind_named(part.kind)
    said = slot.question or bound_of(part.rule, slot.names, charter)
    if not isinstance(said, OpenQuestion):
        rule = rule_of(part.rule, slot.names, charter)
        if isinstance(rule, OpenQuestion):
            said = rule
        else:
            part = replace(part, rule=rule)
    unbounded = isinstance(part.rule, (Fact, Zero))
    bound = None if isinstance(said, OpenQuestion) or unbounded else said
    case = _Case(
        requirement=requirement,
        part=part,
        slot=replace(slot, question=said) if isinstance(said, OpenQuestion) else slot,
        kind=kind,
        bench=bench,
        bound=bound,
        voice=Voice(
            title=requirement.statement,
            kind=kind,
            rule=part.rule,
            bound=bound,
            scope=slot.scope,
            currency=bench.currency,
            person=slot.person,
            names=bench.names,
        ),
    )
    if isinstance(said, OpenQuestion):
        return case.without(case.voice.unanswered(said.path))
    ruling = _judge_records(case, said)
    life = life_of(part, slot.names, charter)
    if not isinstance(life, OpenQuestion) or ruling.item.status is Status.BREACHED:
        return ruling
    # Until it is answered how long evidence counts, no record does.
    return replace(case, slot=replace(slot, question=life)).without(case.voice.unanswered(life.path))


def _counts_for(kind: Kind, slot: Slot, record: Evidence, charter: Charter) -> bool:
    """Return whether a record is of the right basis: a signature never stands in for a measurement."""
    if kind.form is not Form.SIGNATURE:
        return record.basis is not Basis.ATTESTED
    signers = {slot.person, charter.substitute_of(slot.person or "")}
    return record.basis is Basis.ATTESTED and record.signer in signers


def _judge_records(case: _Case, bound: float) -> Ruling:
    bench, kind, slot = case.bench, case.kind, case.slot
    shelved = bench.by_item.get((kind.name, slot.scope), ())
    records = [record for record in shelved if _counts_for(kind, slot, record, bench.charter)]
    if not records:
        return case.without(case.voice.missing())
    expected = binding_in_force(
        kind, bench.charter, slot.scope, bench.in_force, section=slot.section, person=slot.person
    )
    matching = [record for record in records if first_mismatch(expected, record, kind) is None]
    if not matching:
        newest = records[0]
        mismatch = first_mismatch(expected, newest, kind)
        found = bench.assess(case.part.rule, bound, newest)
        text = case.voice.stale_binding(mismatch) if mismatch else case.voice.missing()
        ruling = case.measured(Status.NO_EVIDENCE, text, found, newest, Reason.STALE)
        return replace(ruling, share_lost=1.0)
    return _judge_matching(case, bound, matching)


def _judge_matching(case: _Case, bound: float, matching: Sequence[Evidence]) -> Ruling:
    """Decide by the newest record; an older breach ends only when a newer record proves the opposite.

    Imported records harm or do nothing: where something was measured, those that harm nothing do not stand before it. The
    same goes for records dated later than one that was written after them. What was written later is not older, so a breach
    among it counts whatever its clock said.
    """
    voice = case.voice
    is_measured = any(record.basis is not Basis.IMPORTED for record in matching)
    wrong, hidden = _misdated(matching), Hidden()
    deciding: list[tuple[Assessment, Evidence]] = []
    for _, alike in groupby(matching, key=lambda record: (record.window_to, record.recorded_at)):
        if hidden.is_all:
            break
        assessed = [
            (found, record)
            for record in alike
            if not hidden.holds(record)
            for found in [case.bench.assess(case.part.rule, bound, record)]
            if found.proof is Proof.BREACHED
            or (id(record) not in wrong and (record.basis is not Basis.IMPORTED or not is_measured))
        ]
        if not assessed:
            continue
        # Of two of one moment neither is newer, so the worse one decides.
        found, record = worst = min(assessed, key=lambda one: _WORST[one[0].proof])
        deciding.append(worst)
        if found.proof is Proof.BREACHED:
            return case.measured(Status.BREACHED, voice.breached(found, record), found, record)
        for one in assessed:
            if isinstance(case.part.rule, Derived) or settles(*one):
                hidden.settle(one[1])
    found, newest = deciding[0]
    lapses_at = case.lapses_at(newest)
    lapsed = "" if lapses_at is None else voice.stale_age(newest, lapses_at)
    again = case.command(case.part.again) if case.part.again else ""
    ruling = _judge_newest(case, found, newest, lapses_at)
    return replace(ruling, lapsed=lapsed, again=again, is_early=case.part.early)


def _misdated(matching: Sequence[Evidence]) -> frozenset[int]:
    """Return what was made against the same as something that was written after it and is dated earlier."""
    if len(matching) < _DISORDER_MIN:
        return frozenset()
    alike: dict[tuple[Binding, Basis, str | None], list[Evidence]] = {}
    for record in matching:
        alike.setdefault((record.binds, record.basis, record.signer), []).append(record)
    return frozenset().union(*map(misdated, alike.values()))


def _judge_newest(case: _Case, found: Assessment, newest: Evidence, lapses_at: datetime | None) -> Ruling:
    """Return the ruling of the newest record while it counts."""
    voice = case.voice
    if found.proof is Proof.OPEN:
        ruling = case.measured(
            Status.NO_EVIDENCE, voice.insufficient(found), found, newest, Reason.INSUFFICIENT
        )
        left = 1 - found.n / found.n_needed if found.n_needed else 1.0
        return replace(ruling, share_lost=max(0.0, min(1.0, left)))
    if newest.basis is Basis.IMPORTED:
        return case.measured(Status.NO_EVIDENCE, voice.imported(), found, newest, Reason.INSUFFICIENT)
    status, holding = Status.HOLDS, voice.holds(found, newest, lapses_at)
    if isinstance(case.part.rule, Fact) and newest.counts.get(WARNINGS):
        status, holding = Status.AT_RISK, voice.warned(holding, newest)
        found = replace(found, remedy=found.remedy or case.part.ease)
    elif isinstance(case.part.rule, Paired) and found.share_lost > MARGIN_WARNED:
        status, holding = Status.AT_RISK, f"{holding} More than half of what may be lost is lost."
    return case.measured(status, holding, found, newest)
