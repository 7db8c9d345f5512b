# SPDX-License-Identifier: Apache-2.0
"""One item of a verdict: which records count for it, what they prove, and since when and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.evidence.admission import Admitted
from pilothouse.core.evidence.binding import InForce, binding_in_force, first_mismatch
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import WARNINGS, Basis, Evidence, Scope
from pilothouse.core.evidence.kinds import Form, Kind, kind_named
from pilothouse.core.verdict.decisive import settles
from pilothouse.core.verdict.declared import Objection
from pilothouse.core.verdict.expansion import OpenQuestion, Slot, bound_of, committed, expand, people_in_role
from pilothouse.core.verdict.requirement import (
    Ceiling,
    Fact,
    MeanMax,
    Part,
    Quantile,
    Requirement,
    Rule,
    Zero,
)
from pilothouse.core.verdict.rules import LEVEL, Assessment, Proof, assess
from pilothouse.core.verdict.sentence import Voice, person_names, rule_in_words
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["Bench", "Judged", "judge_objection", "judge_part", "severity_key"]

LAPSE_WARNING = timedelta(days=7)
"""Evidence that ends this soon is a warning, or within a quarter of its life if that is shorter."""

SHARE_SHOWN_MAX = 1e9
"""A bound of zero that is passed loses all of its margin; JSON has no infinity."""

_RANK = {status: rank for rank, status in enumerate(Status)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An item with what its order among others rests on.

    Attributes:
        item: The item.
        share_lost: Share of the committed margin that is used up.
        oldest: End of the window of its record, or None.
        higher_is_better: Which way its value improves; None when it has no direction.
    """

    item: ItemVerdict
    share_lost: float
    oldest: datetime | None
    higher_is_better: bool | None

    def warned(self, said: Sequence[Objection]) -> Judged:
        """Return the item with the charter's warnings: what holds is then at risk."""
        warnings = [one.sentence for one in said if not one.breaches]
        if not warnings or self.item.status not in {Status.HOLDS, Status.AT_RISK}:
            return self
        sentence = " ".join((self.item.sentence, *warnings))
        item = self.item.model_copy(update={"status": Status.AT_RISK, "sentence": sentence})
        return replace(self, item=item)


def severity_key(judged: Judged) -> tuple[int, float, float]:
    """Return the order of items: worst status, then most margin lost, then oldest evidence."""
    age = judged.oldest.timestamp() if judged.oldest else float("inf")
    return (_RANK[judged.item.status], -judged.share_lost, age)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that one judgement looks at.

    Attributes:
        charter: The charter in force.
        shelf: Records by kind and scope, newest first.
        now: The moment.
        in_force: Version and datasets in force.
        phase: Phase whose integrations count.
        objections: What the charter says against itself.
        names: Person id → name.
        assessed: Assessments already made, by record, rule and bound.
        judged: Items already judged; the scope of a phase chooses items and changes none.
        level: Confidence at which a rate counts as proved.
    """

    charter: Charter
    shelf: Mapping[tuple[str, Scope], tuple[Evidence, ...]]
    now: datetime
    in_force: InForce
    phase: PhaseName = "1"
    objections: tuple[Objection, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    assessed: dict[tuple[int, Rule, float], Assessment] = field(default_factory=dict)
    judged: dict[tuple[str, int, Scope, str | None], Judged] = field(default_factory=dict)
    level: float = LEVEL

    @classmethod
    def of(
        cls,
        charter: Charter,
        admitted: Admitted,
        now: datetime,
        *,
        version: str | None,
        level: float = LEVEL,
    ) -> Bench:
        """Sort records onto the shelf.

        Args:
            charter: The charter in force.
            admitted: Records that count, newest first.
            now: The moment.
            version: Version that is judged.
            level: Confidence at which a rate counts as proved, in (0, 1).
        """
        shelf: dict[tuple[str, Scope], list[Evidence]] = {}
        datasets: dict[str, str | None] = {}
        for record in admitted.records:
            shelf.setdefault((record.kind, record.scope), []).append(record)
            datasets.setdefault(record.kind, record.binds.dataset)
        return cls(
            charter=charter,
            shelf={key: tuple(found) for key, found in shelf.items()},
            now=now,
            level=level,
            names=person_names(charter),
            in_force=InForce(
                version=version,
                labelled=datasets.get("dataset.labelled"),
                adversarial=datasets.get("dataset.adversarial"),
                examples=datasets.get("few_shot.examples"),
            ),
        )

    def in_phase(self, phase: PhaseName, said: tuple[Objection, ...]) -> Bench:
        """Return the same bench with the scope of another phase."""
        return replace(self, phase=phase, objections=said)

    @property
    def currency(self) -> str:
        """The charter's currency; USD, in which model prices are known, while it is open."""
        return known(self.charter.currency) or "USD"

    def people(self, requirement: Requirement, names: Mapping[str, str]) -> tuple[str, ...]:
        """Return who must act on an item."""
        found = [person for role in requirement.who for person in people_in_role(self.charter, role, names)]
        return tuple(dict.fromkeys(found))

    def assess(self, rule: Rule, bound: float, record: Evidence) -> Assessment:
        """Hold a record against a rule, once for all phases."""
        key = (id(record), rule, bound)
        if key not in self.assessed:
            self.assessed[key] = assess(rule, bound, record, level=self.level)
        return self.assessed[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One item on its way to a status."""

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
        datasets = self.bench.charter.datasets
        filled = {
            "agent": self.bench.charter.agent,
            "version": self.bench.in_force.version or "VERSION",
            "labelled": known(datasets.labelled.path) or "DATASET",
            "adversarial": known(datasets.adversarial.path) or "DATASET",
            **self.slot.names,
        }
        cure = self.part.cure if status is Status.BREACHED else ""
        command = cure or self.part.remedy or self.requirement.remedy
        signer = (self.slot.person,) if self.kind.form is Form.SIGNATURE and self.slot.person else ()
        remedy = "pilothouse check" if self.slot.question else command.format(**filled)
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

    def without(self, sentence: str, reason: Reason = Reason.MISSING) -> Judged:
        return Judged(
            item=self.item(Status.NO_EVIDENCE, sentence, reason),
            share_lost=1.0,
            oldest=None,
            higher_is_better=_direction(self.part.rule),
        )

    def measured(
        self, status: Status, sentence: str, found: Assessment, record: Evidence, reason: Reason | None = None
    ) -> Judged:
        item = self.item(
            status,
            sentence,
            reason,
            value=found.value,
            low=found.low,
            high=found.high,
            n=found.n,
            n_needed=found.n_needed,
            window_from=record.window_from,
            window_to=record.window_to,
            age_days=record.age_days(self.bench.now),
            lapses_at=self.lapses_at(record),
            basis=record.basis.value,
            signer=record.signer,
            source=record.source.command,
            evidence=evidence_digest(record),
            method=found.method,
            items=record.items,
            remedy=found.remedy,
        )
        return Judged(
            item=item,
            share_lost=min(found.share_lost, SHARE_SHOWN_MAX),
            oldest=record.window_to,
            higher_is_better=_direction(self.part.rule),
        )

    def lapses_at(self, record: Evidence) -> datetime | None:
        life = self.life()
        return record.window_to + life if life is not None else None

    def life(self) -> timedelta | None:
        fresh = self.part.fresh
        if isinstance(fresh, str):
            said = committed(self.bench.charter, fresh, self.slot.names)
            return said if isinstance(said, timedelta) else timedelta(0)
        return fresh


def _direction(rule: Rule) -> bool | None:
    if isinstance(rule, Fact):
        return None
    return not isinstance(rule, (Ceiling, MeanMax, Quantile, Zero))


def _item_scope(part: Part, slot: Slot) -> Scope:
    words = [word for word in (part.name, slot.scope.part) if word]
    return slot.scope.model_copy(update={"part": " · ".join(words) or None})


def judge_part(requirement: Requirement, part: Part, bench: Bench) -> list[Judged]:
    """Return the items of one part, each with its status.

    Args:
        requirement: The requirement it belongs to.
        part: The part.
        bench: What the judgement looks at.
    """
    return [_judge_slot(requirement, part, slot, bench) for slot in expand(part, bench.charter, bench.phase)]


def judge_objection(objection: Objection, requirement: Requirement, bench: Bench) -> Judged:
    """Return the item for a breach that the charter itself declares."""
    item = ItemVerdict(
        requirement=requirement.id,
        scope=Scope(part="declared"),
        status=Status.BREACHED,
        rule=objection.rule,
        sentence=objection.sentence,
        basis=None,
        source="charter",
        remedy=objection.remedy,
        who=bench.people(requirement, {}),
    )
    return Judged(item=item, share_lost=1.0, oldest=None, higher_is_better=None)


def _judge_slot(requirement: Requirement, part: Part, slot: Slot, bench: Bench) -> Judged:
    question = slot.question.path if slot.question else None
    key = (requirement.id, requirement.parts.index(part), slot.scope, question)
    if key not in bench.judged:
        bench.judged[key] = _judge_anew(requirement, part, slot, bench)
    return bench.judged[key]


def _judge_anew(requirement: Requirement, part: Part, slot: Slot, bench: Bench) -> Judged:
    charter = bench.charter
    kind = kind_named(part.kind)
    said = slot.question or bound_of(part.rule, slot.names, charter)
    unbounded = isinstance(part.rule, (Fact, Zero))
    bound = None if isinstance(said, OpenQuestion) or unbounded else said
    case = _Case(
        requirement=requirement,
        part=part,
        slot=slot,
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
    return _judge_records(case, said)


def _counts_for(kind: Kind, slot: Slot, record: Evidence, charter: Charter) -> bool:
    """Return whether a record is of the right basis: a signature never stands in for a measurement."""
    if kind.form is not Form.SIGNATURE:
        return record.basis is not Basis.ATTESTED
    person = charter.people.get(slot.person or "")
    substitute = person.substitute if person else None
    return record.basis is Basis.ATTESTED and record.signer in {slot.person, substitute}


def _judge_records(case: _Case, bound: float) -> Judged:
    bench, kind, slot = case.bench, case.kind, case.slot
    shelved = bench.shelf.get((kind.name, slot.scope), ())
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
        judged = case.measured(Status.NO_EVIDENCE, text, found, newest, Reason.STALE)
        return replace(judged, share_lost=1.0)
    return _judge_matching(case, bound, matching)


def _judge_matching(case: _Case, bound: float, matching: Sequence[Evidence]) -> Judged:
    """Decide by the newest record; an older breach ends only when a newer record proves the opposite."""
    bench, voice = case.bench, case.voice
    newest = matching[0]
    for record in matching:
        found = bench.assess(case.part.rule, bound, record)
        if found.proof is Proof.BREACHED:
            return case.measured(Status.BREACHED, voice.breached(found, record), found, record)
        if settles(found, record):
            break
    found = bench.assess(case.part.rule, bound, newest)
    lapses_at = case.lapses_at(newest)
    if lapses_at is not None and lapses_at <= bench.now:
        judged = case.measured(Status.NO_EVIDENCE, voice.stale_age(lapses_at), found, newest, Reason.STALE)
        return replace(judged, share_lost=1.0)
    if found.proof is Proof.OPEN:
        judged = case.measured(
            Status.NO_EVIDENCE, voice.insufficient(found), found, newest, Reason.INSUFFICIENT
        )
        left = 1 - found.n / found.n_needed if found.n_needed else 1.0
        return replace(judged, share_lost=max(0.0, min(1.0, left)))
    if newest.basis is Basis.IMPORTED:
        return case.measured(Status.NO_EVIDENCE, voice.imported(), found, newest, Reason.INSUFFICIENT)
    holding = voice.holds(found, newest, lapses_at)
    status = Status.HOLDS
    if isinstance(case.part.rule, Fact) and newest.counts.get(WARNINGS):
        status, holding = Status.AT_RISK, voice.warned(holding, newest)
    life = case.life()
    if lapses_at is not None and life is not None and lapses_at - bench.now <= min(LAPSE_WARNING, life / 4):
        return case.measured(Status.AT_RISK, voice.at_risk(holding, lapses_at, bench.now), found, newest)
    return case.measured(status, holding, found, newest)
