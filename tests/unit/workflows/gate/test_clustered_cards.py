# SPDX-License-Identifier: Apache-2.0
"""Labels of answers that hang together prove less of a judge, on the card, on record and at the gate."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pilothouse.core.evidence.evidence import WORTH
from pilothouse.evals.answers import Answer
from pilothouse.workflows.gate.judge_cards import card_evidence, card_of, is_fit, trust_judges, worth_words

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CLUSTERS = {f"c{n}": f"conversation {n // 5}" for n in range(300)}


def answers(cases=300, missed=5):
    """Labelled answers, half of them bad, of which the judge misses one in `2 * missed`."""
    return [
        Answer(
            id=f"{n:016x}", case_id=f"c{n % cases}", task_type="t", input=n, output=n, good=n % 2 == 0, by="sam", at=NOW,
            verdicts={"j1": n % 2 == 0 or n % (2 * missed) == 1},
        )
        for n in range(300)
    ]  # fmt: skip


def trusted(card, some):
    record = card_evidence(card, agent="a", judge="mine", command="c", at=NOW, answers=some)
    return record, trust_judges(["j1"], [record], None, NOW)["j1"]


def test_labels_of_conversations_prove_less_and_the_gate_makes_the_same_card_of_the_record():
    some = answers(missed=9)
    alone, together = (card_of(some, "j1", now=NOW, clusters=one) for one in (None, CLUSTERS))
    assert (alone.design_effect, worth_words(alone)) == (1.0, "")
    assert together.design_effect == pytest.approx(1 + 0.7 * 4, rel=0.02)
    assert together.sp.value == alone.sp.value
    assert together.sp_lower < alone.sp_lower
    assert is_fit(alone)
    assert not is_fit(together)
    record, trust = trusted(together, some)
    assert record.counts[WORTH] == 78
    assert not record.passed
    assert trust.card is None
    assert "300 labels, worth 78 because answers hang together" in trust.sentence
    _, trust = trusted(alone, some)
    assert trust.card == alone


def test_answers_of_several_versions_to_one_case_hang_together():
    assert card_of(answers(cases=100), "j1", now=NOW).design_effect == pytest.approx(1 + 0.7 * 2, rel=0.02)


def test_a_fit_card_of_conversations_comes_back_from_its_record_as_it_was():
    some = answers(missed=1000)
    card = card_of(some, "j1", now=NOW, clusters=CLUSTERS)
    record, trust = trusted(card, some)
    assert trust.card == card
    assert record.passed
