# SPDX-License-Identifier: Apache-2.0
"""What came into the scope counts apart: by its own items and phase, and nothing of the old scope moves."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, edited_charter, everything_holds, load_charter, replaced

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import Change, Effect, compare_charters
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.addition import (
    Addition,
    AdditionEvent,
    AdditionKind,
    explained,
    fold_additions,
    in_scope,
)
from pilothouse.core.verdict.apart import conclude_addition, counts_apart, summarise_addition
from pilothouse.core.verdict.docket import judge_all
from pilothouse.core.verdict.phases import Answer, PhaseEvent, PhaseMove, PhaseState, judge_promotion
from pilothouse.core.verdict.readiness import conclude, decide, verdict_document
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.core.verdict.waiver import Waiver

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FILE = load_charter()
ERP_TOOL, TOOL = "erp.find_po@2", "archive.file@1"
FILING = FILE.tools[ERP_TOOL].model_copy(update={"integration": "archive"})
CHARTER = FILE.model_copy(update={"tools": {**FILE.tools, TOOL: FILING}})


def added(what, name, phase="1", days_ago=10, joined_at=None):
    state = PhaseState(phase=phase, since=NOW - days_ago * DAY)
    return Addition(what=AdditionKind(what), name=name, state=state, joined_at=joined_at)


NOTES = added("task type", "credit_note")
ARCHIVE = added("integration", "archive")


def judged(records, apart, charter=CHARTER, phase="3", waivers=()):
    """Return the verdict about the agent, and that about each addition."""
    docket = judge_all(charter, records, version=V1)
    whole = conclude(
        docket, charter, NOW, phase=phase, waivers=waivers, is_elsewhere=counts_apart(apart, charter)
    ).verdict
    own = [conclude_addition(docket, charter, NOW, one, apart=apart, waivers=waivers) for one in apart]
    return whole, own


def scopes(verdict):
    return {item.scope for one in verdict.requirements for item in one.items}


def charter_with(*edits):
    return Charter.model_validate(read_charter_text(edited_charter(*edits), file="charter.yaml").value)


HELD = everything_holds(CHARTER, NOW, phase="3")
BAD = replaced(HELD, "completion", task_type="credit_note", n=400, good=200)


def test_a_breach_of_what_came_in_moves_the_old_scope_nowhere():
    alone = decide(CHARTER, BAD, NOW, phase="3", version=V1)
    assert alone.status is Status.BREACHED
    whole, (own,) = judged(BAD, [NOTES])
    assert whole.status is not Status.BREACHED
    assert not any(scope.task_type == "credit_note" for scope in scopes(whole))
    assert (own.phase, own.status, own.next_gate) == ("1", Status.BREACHED, "2")
    said = summarise_addition(own, NOTES, CHARTER)
    assert (said.label, said.phase, said.since, said.word) == (
        "task type credit_note", "1", NOW - 10 * DAY, "NO-GO",
    )  # fmt: skip
    assert said.breach.scope.task_type == "credit_note"
    assert said.breach.kind == "completion"


def test_a_breach_of_the_old_scope_is_none_of_what_came_in():
    bad = replaced(HELD, "completion", task_type="po_invoice", n=400, good=200)
    whole, (own,) = judged(bad, [NOTES])
    assert whole.status is Status.BREACHED
    assert own.status is not Status.BREACHED
    assert {scope.task_type for scope in scopes(own)} == {None, "credit_note"}
    assert summarise_addition(own, NOTES, CHARTER).breach is None


def test_what_nobody_measured_of_it_keeps_its_own_gate_closed():
    records = [one for one in HELD if one.scope.task_type != "credit_note"]
    whole, (own,) = judged(records, [NOTES])
    assert whole.status is not Status.NO_EVIDENCE
    assert own.status is Status.NO_EVIDENCE
    refused = judge_promotion(CHARTER, own, added("task type", "credit_note", days_ago=30).state, "2", looks=(), of=NOTES.label)  # fmt: skip
    assert refused.answer is Answer.NOT_YET
    early = judge_promotion(CHARTER, own, NOTES.state, "2", looks=())
    assert early.answer is Answer.TOO_EARLY, "the shortest stay of phase 1 is its own"
    wrong = judge_promotion(CHARTER, own, NOTES.state, "3", looks=(), of=NOTES.label)
    assert wrong.sentence.startswith("The task type credit_note is in phase 1")


def test_what_must_stop_the_agent_is_left_to_nobody():
    parts = {
        one.scope.part for one in HELD if one.scope.task_type == "credit_note" and one.kind == "critical"
    }
    bad = replaced(HELD, "critical", task_type="credit_note", part=parts.pop(), n=400, good=300)
    whole, (own,) = judged(bad, [NOTES])
    assert whole.status is own.status is Status.BREACHED


def test_an_integration_brings_its_tools_and_is_asked_for_in_phase_1_already():
    assert "archive" not in CHARTER.integrations_of("1")
    whole, (own,) = judged(HELD, [ARCHIVE])
    assert not {scope for scope in scopes(whole) if scope.integration == "archive" or scope.tool == TOOL}
    assert {scope for scope in scopes(own) if scope.integration == "archive"}
    assert {scope for scope in scopes(own) if scope.tool == TOOL}
    assert {scope for scope in scopes(own) if scope.integration == "erp"}, "what all share is asked as well"


def test_two_that_came_in_leave_each_other_alone():
    _, (notes, archive) = judged(HELD, [NOTES, ARCHIVE])
    assert not {scope for scope in scopes(notes) if scope.integration == "archive" or scope.tool == TOOL}
    assert not {scope for scope in scopes(archive) if scope.task_type == "credit_note"}
    assert {scope for scope in scopes(archive) if scope.task_type == "po_invoice"}


def test_a_waived_breach_takes_nothing_out_of_service():
    waiver = Waiver(
        requirement="MON-1",
        signer="vp",
        reason="until the desk has moved",
        signed_at=NOW - DAY,
        until=NOW + 20 * DAY,
        version=V1,
        thresholds_digest=CHARTER.section_digests["thresholds"],
    )
    _, (own,) = judged(BAD, [NOTES])
    breached = {
        one.requirement for one in own.requirements if one.status is Status.BREACHED and "1" in one.gates
    }
    waivers = tuple(waiver.model_copy(update={"requirement": name}) for name in breached)
    _, (waived,) = judged(BAD, [NOTES], waivers=waivers)
    assert all(one.waiver for one in waived.requirements if one.requirement in breached)
    assert summarise_addition(waived, NOTES, CHARTER).breach is None


def test_what_the_charter_does_not_speak_of_yet_is_not_known():
    new = added("task type", "refunds", phase="pilot")
    whole, (own,) = judged(HELD, [new])
    assert whole == decide(CHARTER, HELD, NOW, phase="3", version=V1)
    said = summarise_addition(own, new, CHARTER)
    assert (said.status, said.word) == (Status.NO_EVIDENCE, "NOT ENOUGH EVIDENCE")
    assert said.sentence.startswith("The charter does not speak of the task type refunds yet")


def test_a_verdict_without_additions_is_written_as_before_and_one_with_them_comes_back_equal():
    whole, (own,) = judged(HELD, [NOTES])
    assert '"additions"' not in verdict_document(whole)
    assert counts_apart([], CHARTER) is None
    told = whole.model_copy(update={"additions": (summarise_addition(own, NOTES, CHARTER),)})
    assert AgentVerdict.model_validate_json(verdict_document(told)) == told
    assert AgentVerdict.model_validate_json(verdict_document(whole)) == whole


@pytest.mark.parametrize(
    ("one", "own", "other"),
    [
        (NOTES, Scope(task_type="credit_note", part="rate"), Scope(task_type="po_invoice")),
        (ARCHIVE, Scope(tool=TOOL), Scope(tool=ERP_TOOL)),
        (ARCHIVE, Scope(integration="archive"), Scope(tool="unheard@1")),
        (added("tool", TOOL), Scope(tool=TOOL), Scope(integration="archive")),
    ],
)
def test_an_item_belongs_to_what_it_alone_speaks_of(one, own, other):
    assert one.owns(own, CHARTER)
    assert not one.owns(other, CHARTER)
    assert not one.owns(Scope(), CHARTER)


def test_users_share_every_item():
    users = added("users", "ap-team-b")
    assert not users.owns(Scope(task_type="po_invoice"), CHARTER)
    whole, (own,) = judged(HELD, [users])
    assert whole == decide(CHARTER, HELD, NOW, phase="3", version=V1)
    assert own == decide(CHARTER, HELD, NOW, phase="1", version=V1)


def event(what, name, phase, day, move=PhaseMove.ENTERED, *, sequence=0):
    at = NOW + day * DAY
    made = PhaseEvent(move=move, phase=phase, at=at, by=("dana",), reason="r", sequence=sequence)
    return AdditionEvent(what=AdditionKind(what), name=name, move=made)


def test_the_phase_of_each_is_a_fold_over_its_own_moves_in_any_order():
    events = [
        event("task type", "refunds", "1", 0),
        event("tool", "crm.find@1", "1", 1),
        event("task type", "refunds", "pilot", 2, PhaseMove.DEMOTED),
        event("task type", "refunds", "1", 3),
        event("task type", "refunds", "2", 40),
    ]
    first = fold_additions(events)
    assert [(one.label, one.state.phase, one.joined_at) for one in first] == [
        ("task type refunds", "2", None),
        ("tool crm.find@1", "1", None),
    ]
    assert all(fold_additions(order) == first for order in itertools.permutations(events))
    told = [
        event("tool", "crm.find@1", "1", 1, sequence=1),
        event("tool", "crm.find@1", "pilot", 1, sequence=2),
    ]
    assert all(fold_additions(order)[0].state.phase == "pilot" for order in (told, told[::-1]))
    joined = fold_additions([*events, event("task type", "refunds", "3", 90)])
    assert joined[0].joined_at == NOW + 90 * DAY


def test_the_scope_is_what_the_charter_says():
    assert in_scope(CHARTER, AdditionKind.TASK_TYPE, "credit_note")
    assert not in_scope(CHARTER, AdditionKind.TASK_TYPE, "refunds")
    assert in_scope(CHARTER, AdditionKind.TOOL, TOOL)
    assert not in_scope(CHARTER, AdditionKind.TOOL, "crm.find@1")
    assert in_scope(CHARTER, AdditionKind.INTEGRATION, "archive")
    assert not in_scope(CHARTER, AdditionKind.INTEGRATION, "crm")
    assert in_scope(CHARTER, AdditionKind.USERS, "anybody"), "phase 3 serves all"
    few = charter_with(("users: [all]", "users: [ap-dept]"))
    assert in_scope(few, AdditionKind.USERS, "ap-dept")
    assert not in_scope(few, AdditionKind.USERS, "ap-team-b")
    unsaid = few.model_copy(update={"phases": "?"})
    assert not in_scope(unsaid, AdditionKind.USERS, "ap-dept")


def wider(before, after):
    return [one for one in compare_charters(before, after).changes if one.effect is Effect.WIDER]


def test_a_change_that_only_writes_down_what_was_accepted_is_explained_by_it():
    before = charter_with(("  credit_note:    {share: 0.05, quality: {min: 0.90}, cost_of_error: 900, sampling: {rate: 1.0}}   # rare: every one is judged\n", ""))  # fmt: skip
    (change,) = [one for one in wider(before, FILE) if one.path == "task_types.credit_note"]
    assert explained(change, [NOTES], CHARTER)
    assert not explained(change, [added("task type", "refunds")], CHARTER)
    assert not explained(change, [], CHARTER)
    few = charter_with(("users: [all]", "users: [ap-dept]"))
    more = charter_with(("users: [all]", "users: [ap-dept, ap-team-b]"))
    (users,) = wider(few, more)
    assert explained(users, [added("users", "ap-team-b")], more)
    assert not explained(users, [NOTES], more)
    (everybody,) = wider(few, FILE)
    assert not explained(everybody, [added("users", "ap-team-b")], CHARTER)


@pytest.mark.parametrize(
    ("path", "old", "new", "one", "is_explained"),
    [
        (f"tools.{TOOL}", None, "{}", ARCHIVE, True),
        (f"tools.{TOOL}", "{}", "{}", ARCHIVE, False),
        (f"tools.{ERP_TOOL}", None, "{}", ARCHIVE, False),
        ("tools.unheard@1", None, "{}", ARCHIVE, False),
        (f"tools.{TOOL}", None, "{}", added("tool", TOOL), True),
        ("integrations.archive", None, "{}", ARCHIVE, True),
        ("integrations.archive.hosts", '["a:1"]', '["a:1","b:1"]', ARCHIVE, False),
        (f"tools.{ERP_TOOL}.task_types", '["po_invoice"]', '["credit_note","po_invoice"]', NOTES, True),
        (f"tools.{ERP_TOOL}.task_types", None, '["credit_note"]', NOTES, True),
        (f"tools.{ERP_TOOL}.task_types", '["po_invoice"]', "all", NOTES, False),
        ("phases.3.integrations", '["erp"]', '["erp","archive"]', ARCHIVE, True),
        ("phases.3.share", "0.5", "1.0", ARCHIVE, False),
        ("residency.regions", '["eu"]', '["eu","us"]', added("tool", TOOL), False),
    ],
)  # fmt: skip
def test_nothing_else_is_explained(path, old, new, one, is_explained):
    change = Change(path=path, old=old, new=new, effect=Effect.WIDER)
    assert explained(change, [one], CHARTER) is is_explained
