# SPDX-License-Identifier: Apache-2.0
"""Evidence for tests: every record a charter asks for, at its best, so that a test can spoil one."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Basis, Evidence, Source
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict import expansion
from pilothouse.core.verdict.expansion import bound_of, expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.requirement import Ceiling, Count, Floor, Paired, Zero

CHARTER = Path(__file__).parents[1] / "golden" / "charters" / "ap-invoice-triage.yaml"
LABELLED, ADVERSARIAL = "1a" * 32, "ad" * 32
V1, V2 = "11" * 32, "22" * 32
CASES = 5_000


def load_charter(path=CHARTER):
    return Charter.model_validate(read_charter_file(Path(path)).value)


def edited_charter(*edits, path=CHARTER):
    """Return the example charter with some texts replaced; each text must stand in it."""
    text = path.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def life_of(part, slot, charter):
    return expansion.life_of(part, slot.names, charter) or timedelta(days=90)


def measured(rule, form, slot, charter):
    """Return the fields of a record that proves the rule."""
    if form in {Form.FACT, Form.SIGNATURE}:
        return {"n": 1, **({"passed": True} if form is Form.FACT else {})}
    if isinstance(rule, Count):
        return {"n": math.ceil(bound_of(rule, slot.names, charter)) + 20}
    if isinstance(rule, Floor):
        room = (1 - bound_of(rule, slot.names, charter)) / 2
        return {"n": CASES, "good": CASES - int(CASES * room)}
    if isinstance(rule, Ceiling):
        return {"n": CASES, "good": CASES - int(CASES * bound_of(rule, slot.names, charter) / 2)}
    if isinstance(rule, Zero):
        return {"n": CASES, "good": CASES}
    if form is Form.RATE:
        return {"n": CASES, "good": CASES}
    if isinstance(rule, Paired):
        found = {"n": 400, "value": 0.2, "low": -1.0, "high": 1.4, "method": "paired difference"}
        return found if rule.least is None else {**found, "counts": {"times": int(rule.least)}}
    bound = bound_of(rule, slot.names, charter)
    if form is Form.AMOUNT and rule.__class__.__name__ == "AtLeast":
        return {
            "n": 400,
            "value": bound + 0.1,
            "low": bound + 0.05,
            "high": bound + 0.2,
            "method": "interval",
        }
    return {"n": 1_000, "value": bound * 0.6, "low": bound * 0.5, "high": bound * 0.7, "method": "bounds"}


def make_record(charter, requirement, part, slot, now, *, version, age=None, **fields):
    """Return the record that a part of a requirement asks for, by default one that proves it."""
    kind = kind_named(part.kind)
    to = now - (age if age is not None else life_of(part, slot, charter) / 5)
    signed = kind.form is Form.SIGNATURE
    in_force = InForce(version=version, labelled=LABELLED, adversarial=ADVERSARIAL)
    values = {
        "kind": kind.name,
        "agent": charter.agent,
        "binds": binding_in_force(
            kind, charter, slot.scope, in_force, section=slot.section, person=slot.person
        ),
        "scope": slot.scope,
        "window_from": to if kind.form is not Form.RATE else to - timedelta(days=7),
        "window_to": to,
        "source": Source(command=f"pilothouse for {requirement.id}"),
        "basis": Basis.ATTESTED if signed else Basis.MEASURED,
        "signer": slot.person if signed else None,
        "recorded_at": to,
        **measured(expansion.rule_of(part.rule, slot.names, charter), kind.form, slot, charter),
    }
    return Evidence(**{**values, **fields})


def asked_records(charter, now, *, version=V1, phase="2"):
    """Yield (requirement id, record) for everything that the framework asks of this charter."""
    done = set()
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            phases = NUMBERED_PHASES if part.each_phase else (phase,)
            for slot in (slot for each in phases for slot in expand(part, charter, each)):
                key = (part.kind, slot.scope)
                if slot.question is None and key not in done:
                    done.add(key)
                    yield requirement.id, make_record(charter, requirement, part, slot, now, version=version)


def everything_holds(charter, now, *, version=V1, phase="2"):
    return [record for _, record in asked_records(charter, now, version=version, phase=phase)]


def replaced(records, kind, *, task_type=None, part=None, integration=None, **fields):
    """Return records with the fields of one replaced; it must be there."""
    changed = []
    hits = 0
    for record in records:
        scope = record.scope
        if record.kind == kind and (scope.task_type, scope.part, scope.integration) == (
            task_type,
            part,
            integration,
        ):
            hits += 1
            document = record.model_dump()
            document.update(fields)
            changed.append(Evidence.model_validate(document))
        else:
            changed.append(record)
    assert hits == 1, (kind, task_type, part, integration, hits)
    return changed


def without(records, *kinds):
    left = [record for record in records if not record.kind.startswith(kinds)]
    assert len(left) < len(records), kinds
    return left
