# SPDX-License-Identifier: Apache-2.0
"""The signatures that requirements ask for, and which of them are valid: the same slots that the verdict reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import SECTIONS, canonical_json, charter_document
from pilothouse.core.charter.files import named_files
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Basis, Binding, Evidence, Scope, Source
from pilothouse.core.evidence.kind import Form, Kind
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.bench import dataset_in_force
from pilothouse.core.verdict.expansion import Slot, expand, life_of
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.requirement import Part, Requirement

__all__ = ["SIGNED_ITEMS", "Asked", "SignatureState", "asked_signatures", "section_text", "signature_record"]

_CASES = "dataset.labelled"

SIGNED_ITEMS: tuple[str, ...] = tuple(
    requirement.id
    for requirement in FRAMEWORK
    if any(kind_named(part.kind).form is Form.SIGNATURE for part in requirement.parts)
)
"""Requirements that ask for a signature, alone or beside a measurement."""


class SignatureState(StrEnum):
    """The state of a requested signature."""

    SIGNED = "signed"
    MISSING = "missing"
    CHANGED = "changed"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One requested signature.

    Attributes:
        requirement: Requirement id.
        statement: What must hold, in the framework's words.
        asks: What the requirement asks for.
        kind: Kind of evidence a signature becomes.
        scope: Scope of that record.
        section: Section of the charter that is signed, or None.
        person: Who must sign; the substitute may.
        binds: What the signature is bound to now.
        state: Whether one stands.
        signer: Who signed last, or None.
        signed_at: When, or None.
        lapses_at: When it ends, or None when it does not end by itself or there is none.
    """

    requirement: str
    statement: str
    asks: str
    kind: str
    scope: Scope
    section: str | None
    person: str
    binds: Binding
    state: SignatureState = SignatureState.MISSING
    signer: str | None = None
    signed_at: datetime | None = None
    lapses_at: datetime | None = None

    @property
    def key(self) -> str:
        """Digest of what is signed: another text, person or requirement has another one."""
        text = canonical_json(
            [
                self.requirement,
                self.kind,
                self.scope.label,
                self.person,
                self.binds.section_digest,
                self.binds.contract,
                self.binds.dataset,
            ]
        )
        return hashlib.sha256(text.encode()).hexdigest()


def asked_signatures(
    charter: Charter,
    records: Iterable[Evidence],
    now: datetime,
    item: str | None = None,
    *,
    phase: str = "pilot",
) -> tuple[Asked, ...]:
    """Return every signature that the framework asks of a charter, in the framework's order.

    What each phase asks for anew is asked up to the next phase: what comes into the scope later begins at the first.

    Args:
        charter: The charter in force.
        records: Evidence of the agent, of `SIGNING_KINDS` at least, in any order.
        now: The moment, aware UTC.
        item: One requirement, or None for all.
        phase: Phase the agent is in.
    """
    last = {"pilot": "1", "1": "2"}.get(phase, "3")
    records = [record for record in records if record.recorded_at <= now]
    cases = [record for record in records if record.kind == _CASES]
    cases.sort(key=lambda record: (record.window_to, record.recorded_at), reverse=True)
    in_force = InForce(labelled=dataset_in_force(_CASES, charter, cases))
    signed = [record for record in records if record.basis is Basis.ATTESTED]
    signed.sort(key=lambda record: record.recorded_at)
    found: dict[tuple[str, Scope], Asked] = {}
    for requirement in FRAMEWORK:
        if item is not None and requirement.id != item:
            continue
        for part in requirement.parts:
            kind = kind_named(part.kind)
            if kind.form is not Form.SIGNATURE:
                continue
            for each in NUMBERED_PHASES:
                if part.each_phase and each > last:
                    continue
                for slot in expand(part, charter, each):
                    if slot.person is not None and slot.question is None:
                        asked = _asked(requirement, kind, slot, charter, in_force)
                        found.setdefault(
                            (kind.name, slot.scope), _with_state(asked, part, slot, charter, signed, now=now)
                        )
    return tuple(found.values())


def _asked(requirement: Requirement, kind: Kind, slot: Slot, charter: Charter, in_force: InForce) -> Asked:
    return Asked(
        requirement=requirement.id,
        statement=requirement.statement,
        asks=requirement.asks,
        kind=kind.name,
        scope=slot.scope,
        section=kind.section or slot.section,
        person=slot.person or "",
        binds=binding_in_force(kind, charter, slot.scope, in_force, section=slot.section, person=slot.person),
    )


def _with_state(
    asked: Asked, part: Part, slot: Slot, charter: Charter, signed: list[Evidence], *, now: datetime
) -> Asked:
    signers = {asked.person, charter.substitute_of(asked.person)}
    mine = [
        record
        for record in signed
        if (record.kind, record.scope) == (asked.kind, asked.scope) and record.signer in signers
    ]
    if not mine:
        return asked
    fitting = [record for record in mine if record.binds == asked.binds]
    last = (fitting or mine)[-1]
    life = life_of(part, slot.names, charter)
    lapses_at = last.window_to + life if isinstance(life, timedelta) else None
    state = SignatureState.SIGNED
    if not fitting:
        state = SignatureState.CHANGED
    elif lapses_at is not None and lapses_at <= now:
        state = SignatureState.LAPSED
    return replace(asked, state=state, signer=last.signer, signed_at=last.recorded_at, lapses_at=lapses_at)


def section_text(charter: Charter, section: str | None, cases: str | None = None) -> str:
    """Return the text of a section as it is signed: one key after another, values as canonical JSON, and the files by digest.

    Args:
        charter: The charter.
        section: Name in `digest.SECTIONS`, or None for a signature that is bound to none.
        cases: Digest of the labelled cases whose results are signed with it, or None.
    """
    if section is None:
        return ""
    document = charter_document(charter)
    lines = []
    for key in SECTIONS[section]:
        value = document[key]
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {canonical_json(one)}" for name, one in value.items())]
        elif isinstance(value, list):
            lines += [f"{key}:", *(f"  - {canonical_json(one)}" for one in value)]
        else:
            lines.append(f"{key}: {canonical_json(value)}")
    named = named_files({key: document[key] for key in SECTIONS[section]})
    lines += [
        f"content of {file}: sha256 {(charter.files or {})[file]}"
        for file in named
        if file in (charter.files or {})
    ]
    if cases is not None:
        lines.append(f"labelled cases: sha256 {cases}")
    return "\n".join(lines)


def signature_record(asked: Asked, agent: str, signer: str, now: datetime, source: Source) -> Evidence:
    """Return the record of a signature.

    Args:
        asked: What is signed.
        agent: Agent id.
        signer: Person id of who signs.
        now: The moment.
        source: Page or command that took it.
    """
    what = f"the section {asked.section}" if asked.section else "the text of the requirement"
    return Evidence(
        kind=asked.kind,
        agent=agent,
        binds=asked.binds,
        scope=asked.scope,
        window_from=now,
        window_to=now,
        n=1,
        passed=True,
        detail=f"signed {what} for {asked.requirement}",
        source=source,
        basis=Basis.ATTESTED,
        signer=signer,
        recorded_at=now,
    )
