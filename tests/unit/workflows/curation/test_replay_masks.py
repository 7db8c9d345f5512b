# SPDX-License-Identifier: Apache-2.0
"""What two replays show is offered as a mask only where they differ from each other, and a person decides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from pilothouse.errors import UsageError
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.replay.masks import MASKS_MAX, Covered, Mask, TokenKind
from pilothouse.workflows.curation.replay_masks import (
    Candidate,
    Learnt,
    approve_masks,
    learn_masks,
    masks_in_force,
    withdraw_masks,
)
from pilothouse.workflows.replay.run import ReplayRequest
from pilothouse.workflows.verdict.accept import accept_file

DEMO = Path(__file__).parents[4] / "src/pilothouse/demo/charter/charter.yaml"
AGENT = "ap-invoice-triage"
NOW = datetime(2026, 11, 30, tzinfo=UTC)
MASK = Mask("user", "$.messages[*].content", TokenKind.NUMBER)


def learnt_of(*replays):
    """Learn from replays in which the tokens of one text were these."""
    reports = iter(
        SimpleNamespace(
            agent=AGENT,
            run="5e",
            divergence=None,
            covered=tuple(
                Covered(call=1, at="$.messages[0].content", mask=MASK, recorded="0", found=found)
                for found in tokens
            ),
        )
        for tokens in replays
    )
    pauses = []
    learnt = learn_masks(
        lambda asked: [next(reports)] if asked.masks.learns else [], ReplayRequest(command="a"), pauses.append
    )
    assert pauses[0] > 1, "two times in one second are the same time"
    return learnt


def test_what_is_the_same_in_both_replays_is_a_change_and_no_mask():
    learnt = learnt_of(("5",), ("5",))
    assert (learnt.candidates, [each.found for each in learnt.settled]) == ((), ["5"])


def test_of_two_tokens_in_one_text_each_is_compared_with_its_own():
    learnt = learnt_of(("5", "7"), ("5", "8"))
    assert [each.found for each in learnt.candidates] == [("7", "8")]
    assert [each.found for each in learnt.settled] == ["5"], "a change is said although a mask would cover it"


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        accept_file(opened, DEMO, NOW, actor="test")
        yield opened


def offered(*masks):
    candidates = tuple(Candidate(mask=mask, recorded="0", found=("1", "2")) for mask in masks)
    return Learnt(agent=AGENT, run="5e", candidates=candidates, settled=(), divergence=None)


def test_masks_have_versions_a_person_and_an_end(ledger):
    assert masks_in_force(ledger, AGENT).version == 0
    with pytest.raises(UsageError, match="did not show a mask"):
        approve_masks(ledger, offered(), [MASK.ident], by="dana", now=NOW)
    with pytest.raises(UsageError, match="no person of the charter"):
        approve_masks(ledger, offered(MASK), [MASK.ident], by="somebody", now=NOW)
    approve_masks(ledger, offered(MASK), [MASK.ident], by="dana", now=NOW)
    assert (masks_in_force(ledger, AGENT).masks, masks_in_force(ledger, AGENT).version) == ((MASK,), 1)
    (decision,) = ledger.decisions(AGENT, kind="replay.masks")
    assert decision.actor == "dana"
    with pytest.raises(UsageError, match="is in force"):
        withdraw_masks(ledger, AGENT, ["00000000"], by="dana", now=NOW)
    left = withdraw_masks(ledger, AGENT, [MASK.ident], by="dana", now=NOW)
    assert (left.masks, left.version) == ((), 2)


def test_an_agent_has_no_more_masks_than_a_person_can_look_through(ledger):
    many = [
        Mask("user", f"$.messages[*].content > $.a{number}", TokenKind.UUID)
        for number in range(MASKS_MAX + 1)
    ]
    with pytest.raises(UsageError, match="are the most"):
        approve_masks(ledger, offered(*many), [mask.ident for mask in many], by="dana", now=NOW)
    longest = [
        Mask("tool_result(look_up)", f"$.{number:0138}", TokenKind.ISO_TIME) for number in range(MASKS_MAX)
    ]
    approve_masks(ledger, offered(*longest), [mask.ident for mask in longest], by="dana", now=NOW)
    assert len(masks_in_force(ledger, AGENT).masks) == MASKS_MAX
