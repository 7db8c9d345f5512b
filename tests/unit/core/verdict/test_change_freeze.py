# SPDX-License-Identifier: Apache-2.0
"""Agent and integration never change together: every distance, both orders, the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import load_charter

from pilothouse.core.charter.answers import OPEN
from pilothouse.core.charter.diff import Change, Effect, compare_charters
from pilothouse.core.verdict.change_freeze import (
    FREEZE,
    ChangedPaths,
    ChangeStep,
    Freeze,
    find_overlaps,
    freeze_after,
    sides_of,
)

DAY = datetime(2026, 11, 20, tzinfo=UTC)
MODEL, CONTRACT = ("model.pin.model",), ("tools.crm.find@1.contract",)


def step(days, *, agent=(), integrations=(), undoes=False):
    return ChangeStep(at=DAY + timedelta(days=days), agent=agent, integrations=integrations, undoes=undoes)


def change(path, old="a", new="b"):
    return Change(path=path, old=old, new=new, effect=Effect.CHANGED)


@pytest.mark.parametrize(
    ("path", "old", "new", "side"),
    [
        ("model.pin.model", "a", "b", "agent"),
        ("prompts", "a", "b", "agent"),
        ("model.pin.retires_on", "a", "b", None),
        ("task_types.po.quality.min", "1", "2", None),
        ("tools.crm.find@1.contract", "a", "b", "integration"),
        ("tools.crm.find@1.manifest_hash", "a", "b", "integration"),
        ("tools.crm.find@1.approvers", "a", "b", None),
        ("tools.crm.find@1", None, "{}", "integration"),
        ("tools.crm.find@1.approvers", None, "[]", None),
        ("integrations.erp.hosts", "a", "b", "integration"),
        ("integrations.erp", "{}", None, "integration"),
        ("integrations.erp.fallback", "a", "b", None),
        ("integrations.erp.rate_limit.per_s", "1", "2", "integration"),
        ("integrations.erp.freshness.max_age", "1d", "2d", None),
        ("integrations.erp.eu", None, "{}", "integration"),
        ("integrations.auth.fallback", "a", "b", None),
        ("integrations.auth", "{}", None, "integration"),
        ("tools.auth.login@1.approvers", "a", "b", None),
        ("tools.auth.login@1.auth", "a", "b", "integration"),
        ("tools.crm.find@1.args.region.origins", "a", "b", None),
        ("tools.crm.find@1.args.kind", None, "{}", None),
        ("tools.crm.find@1.regions", None, '["eu"]', None),
        ("integrations", "?", "{}", None),
        ("integrations", "{}", "?", "integration"),
        ("tools.crm.find@1.contract", "?", "a", None),
        ("model.pin.model", "?", "b", None),
        ("model.pin.model", "a", "?", "agent"),
    ],
)
def test_each_path_belongs_to_one_side_or_none(path, old, new, side):
    assert sides_of([change(path, old, new)]) == ChangedPaths(
        agent=(path,) if side == "agent" else (),
        integrations=(path,) if side == "integration" else (),
    )


@pytest.mark.parametrize("days", [0, 1, 6])
@pytest.mark.parametrize("first", ["agent", "integrations"])
def test_the_other_side_stands_still_for_a_week(days, first):
    one, other = {"agent": MODEL}, {"integrations": CONTRACT}
    if first == "integrations":
        one, other = other, one
    steps = [step(0, **one), step(days, **other)]
    assert [(two.first, two.second) for two in find_overlaps(steps, since=DAY)] == [(steps[0], steps[1])]
    assert find_overlaps([step(0, **one), step(7, **other)], since=DAY) == ()
    assert find_overlaps([step(0, **one), step(days, **one)], since=DAY) == ()


def test_a_way_back_is_free_and_a_change_of_both_at_once_is_not():
    back = step(1, agent=MODEL, undoes=True)
    assert find_overlaps([step(0, integrations=CONTRACT), back], since=DAY) == ()
    both = step(0, agent=MODEL, integrations=CONTRACT)
    assert len(find_overlaps([both], since=DAY)) == 1
    assert find_overlaps([step(0, agent=MODEL, integrations=CONTRACT, undoes=True)], since=DAY) == ()
    assert find_overlaps([both], since=DAY + timedelta(days=1)) == (), "what is long past counts no more"


def test_the_freeze_runs_from_the_last_change_of_the_other_side():
    assert freeze_after([]) == Freeze(agent_until=None, integrations_until=None)
    steps = [step(0, integrations=CONTRACT), step(1, agent=MODEL), step(2, integrations=CONTRACT)]
    assert freeze_after(steps) == Freeze(
        agent_until=steps[2].at + FREEZE, integrations_until=steps[1].at + FREEZE
    )


def test_a_draft_that_is_filled_in_changes_nothing_and_one_that_is_emptied_does():
    full = load_charter()
    pin = full.model.pin.model_copy(update={"provider": OPEN})
    model = full.model.model_copy(update={"pin": pin})
    draft = full.model_copy(update={"integrations": OPEN, "model": model})
    assert sides_of(compare_charters(draft, full).changes) == ChangedPaths(agent=(), integrations=())
    emptied = sides_of(compare_charters(full, draft).changes)
    assert (bool(emptied.agent), emptied.integrations) == (True, ("integrations",))
