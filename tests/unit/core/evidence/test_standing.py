# SPDX-License-Identifier: Apache-2.0
"""What is left out of a read changes no verdict, and what could change one is never left out."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, V2, everything_holds, load_charter

from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.evidence.kinds import KINDS, Form
from pilothouse.core.evidence.standing import Headed, standing
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide, verdict_document
from pilothouse.core.verdict.requirement import Fact

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)


def headed(record):
    return Headed(
        kind=record.kind,
        about=(record.scope, record.binds.model_dump_json(), record.basis, record.signer),
        basis=record.basis,
        window_to=record.window_to,
        recorded_at=record.recorded_at,
        record=record,
    )


def drawn(rng):
    """Return a history in which records are older, worse, of another version, imported, or ahead of the moment."""
    for record in HELD:
        yield record
        for _ in range(rng.randrange(4)):
            back = timedelta(hours=rng.choice([-48, -1, 0, 1, 24, 24, 500, 3_000]))
            change = {
                "window_from": record.window_from - back - timedelta(days=3),
                "window_to": record.window_to - back,
                "recorded_at": record.recorded_at - back,
                "detail": str(rng.random()),
            }
            if record.passed is not None:
                change["passed"] = rng.random() < 0.5
            if record.basis is Basis.MEASURED and rng.random() < 0.2:
                change["basis"] = Basis.IMPORTED
            if record.binds.version and rng.random() < 0.3:
                change["binds"] = record.binds.model_copy(update={"version": V2})
            yield record.model_copy(update=change)


@pytest.mark.parametrize("seed", range(8))
def test_a_verdict_on_what_stands_is_the_verdict_on_everything(seed):
    everything = list(drawn(random.Random(seed)))
    left = standing(map(headed, everything), NOW)
    assert len(left) < len(everything)
    whole, short = (decide(CHARTER, found, NOW, phase="1", version=V1) for found in (everything, left))
    assert verdict_document(short) == verdict_document(whole)


def test_a_breach_that_is_the_newest_stands_and_the_pass_before_it_does_not():
    good = next(one for one in HELD if one.kind == "audit.verified")
    bad = good.model_copy(update={"passed": False, "recorded_at": good.recorded_at + timedelta(minutes=1)})
    assert standing(map(headed, [good, bad]), NOW) == [bad]


def test_a_kind_of_facts_is_decided_by_the_rule_of_facts_alone():
    """Else its newest record would not decide alone, and leaving out the others would be wrong."""
    parts = [part for one in FRAMEWORK for part in one.parts]
    facts = [part for part in parts if KINDS[part.kind.format()].form in {Form.FACT, Form.SIGNATURE}]
    assert len(facts) > 30
    assert all(isinstance(part.rule, Fact) for part in facts)
