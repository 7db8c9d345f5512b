# SPDX-License-Identifier: Apache-2.0
"""Six worlds in which one thing is true of every record, and what the verdict says about each requirement in them.

A requirement that is decided by a fact, a count or a signature cannot reach every status; what it cannot reach is said.
"""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta

from evidence_made import V1, asked_records, life_of, load_charter, make_record

from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.expansion import bound_of, expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.requirement import (
    AtLeast,
    Ceiling,
    Census,
    Count,
    Fact,
    Floor,
    MeanMax,
    Paired,
    Quantile,
)

__all__ = ["NOW", "WORLDS", "domain_text", "verdicts"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WIDTH = 108
CASES = 5_000


def _rated(rule):
    return not isinstance(rule, (Fact, Count, AtLeast, MeanMax, Quantile, Paired))


def _bad(rule, form, slot, charter):
    """Return the fields that breach a rule; None where it cannot be breached."""
    if form is Form.SIGNATURE or isinstance(rule, Count):
        return None
    if isinstance(rule, Fact):
        return {"passed": False}
    if _rated(rule):
        return {"n": CASES, "good": 0} if not (isinstance(rule, Census) and not rule.harm) else None
    bound = bound_of(rule, slot.names, charter)
    if isinstance(rule, AtLeast):
        return {"value": 0.0, "low": -0.1, "high": bound / 2 - 0.01} if rule.harm else None
    if isinstance(rule, Paired):
        return {"value": -3 * bound - 1, "low": -4 * bound - 1, "high": -2 * bound - 1}
    return {"value": bound * 3, "low": bound * 2, "high": bound * 4}


def _little(rule, form):
    """Return the fields of a record that decides nothing; None for what is there or is not."""
    if form is Form.SIGNATURE:
        return None
    if isinstance(rule, (Fact, Paired)):
        return {"basis": Basis.IMPORTED}
    if isinstance(rule, Count):
        return {"n": 1}
    if isinstance(rule, (Floor, Ceiling)):
        return {"n": 3, "good": 3}
    if _rated(rule):
        return {"n": 1, "good": 1, "basis": Basis.IMPORTED}
    return {"n": 1, "low": None, "high": None, "basis": Basis.IMPORTED}


def _world(charter, change):
    done, records = set(), []
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            for slot in expand(part, charter, "2"):
                key = (part.kind, slot.scope)
                if slot.question is not None or key in done:
                    continue
                done.add(key)
                fields = change(part, slot, kind_named(part.kind).form, charter)
                if fields is not None:
                    records.append(make_record(charter, requirement, part, slot, NOW, version=V1, **fields))
    return records


def _ages(share):
    def change(part, slot, _form, charter):
        life = life_of(part, slot, charter)
        return {"age": life - min(timedelta(days=7), life / 4) / 2 if share is None else life * share}

    return change


WORLDS = {
    "holds": lambda charter: [record for _, record in asked_records(charter, NOW, version=V1)],
    "at risk": lambda charter: _world(charter, _ages(None)),
    "breached": lambda charter: _world(charter, lambda part, slot, form, c: _bad(part.rule, form, slot, c)),
    "insufficient": lambda charter: _world(charter, lambda part, _slot, form, _c: _little(part.rule, form)),
    "stale": lambda charter: _world(charter, _ages(1.2)),
    "missing": lambda _charter: [],
}
"""What is true of every record."""


def verdicts():
    """Return the verdict of each world, by its name."""
    charter = load_charter()
    return {name: decide(charter, make(charter), NOW, phase="2", version=V1) for name, make in WORLDS.items()}


def domain_text(domain, found):
    """Return what each requirement of a domain says in each world, as text to be read."""
    lines = []
    for requirement in FRAMEWORK:
        if requirement.domain != domain:
            continue
        lines.append(f"{requirement.id}  {requirement.statement}")
        for name, verdict in found.items():
            one = next(each for each in verdict.requirements if each.requirement == requirement.id)
            status = one.status.value + (f" ({one.reason.value})" if one.reason else "")
            lines.append(f"  where all is {name}: {status}")
            lines += textwrap.wrap(
                one.deciding.sentence, WIDTH, initial_indent="    ", subsequent_indent="    "
            )
            if one.status.value != "holds":
                lines.append(f"    $ {one.deciding.remedy}")
        lines.append("")
    return "\n".join(lines)
