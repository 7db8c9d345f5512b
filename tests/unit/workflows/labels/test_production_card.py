# SPDX-License-Identifier: Apache-2.0
"""The labels that say how good production is also say how good its judge is, and the gate does not mistake the two."""

from __future__ import annotations

from datetime import timedelta

import evidence_made
import page_world as world

from pilothouse.core.statistics.quality import Stratum
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Reason, Status
from pilothouse.workflows.gate.judge_cards import IN_PRODUCTION, trust_judges
from pilothouse.workflows.labels.label_evidence import production_card

NOW, METRIC = world.NOW, "rubric-v3"
DRAFT = evidence_made.load_charter()
CHARTER = DRAFT.model_copy(
    update={
        "task_types": {
            name: terms.model_copy(update={"metric": METRIC}) for name, terms in DRAFT.task_types.items()
        }
    }
)


def strata(failed_good=4, labels=100):
    return [
        Stratum(name="pass", judged=1_888, labelled=labels, good=labels),
        Stratum(name="fail", judged=212, labelled=labels, good=failed_good),
    ]


def eval_of_judges(record):
    verdict = decide(CHARTER, [record], NOW, phase="pilot", version=world.VERSION)
    return next(one.status for one in verdict.requirements if one.requirement == "EVAL-11")


def test_a_judge_of_production_gets_its_card_from_the_labels_of_the_week():
    card = production_card(CHARTER, METRIC, strata(), NOW)
    assert (card.kind, card.scope.part, card.passed, card.n) == ("judge.card", METRIC, True, 200)
    assert eval_of_judges(card) is Status.HOLDS
    weak = production_card(CHARTER, METRIC, strata(failed_good=95), NOW)
    assert eval_of_judges(weak) is Status.BREACHED


def test_labels_of_turns_of_the_same_conversations_show_less_of_a_judge():
    weaker = strata(failed_good=20)
    assert production_card(CHARTER, METRIC, weaker, NOW).passed
    assert production_card(CHARTER, METRIC, weaker, NOW, 3.8).passed is False


def test_too_few_labels_or_a_judge_nobody_named_make_no_card():
    assert production_card(CHARTER, METRIC, strata(labels=20), NOW) is None
    assert production_card(CHARTER, "another metric", strata(), NOW) is None


def test_the_gate_never_trusts_a_judge_that_only_its_scores_show():
    card = production_card(CHARTER, METRIC, strata(), NOW)
    (trust,) = trust_judges([f"{IN_PRODUCTION}{METRIC}"], [card], CHARTER, NOW + timedelta(hours=1)).values()
    assert (trust.card, trust.reason) == (None, Reason.MISSING)
