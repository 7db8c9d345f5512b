# SPDX-License-Identifier: Apache-2.0
"""What a mask covers, and that it never covers what means something."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from recorded_runs import ROUTE, conversation, record

from pilothouse.runtime.replay.divergence import differences
from pilothouse.runtime.replay.exchange import exchanges
from pilothouse.runtime.replay.masks import MaskSet, tokens_apart
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.session import Diverge, ReplaySession, Serve
from pilothouse.runtime.runlog.recorder import Recorder

ALL = MaskSet(learns=True)
RESULT = {"role": "tool", "tool_call_id": "call_1"}
CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "call_1", "function": {"name": "clock", "arguments": "{}"}}],
}


def said(content):
    """Return a request whose tool gave this result."""
    return {
        "model": "m",
        "messages": [{"role": "user", "content": "When?"}, CALL, {**RESULT, "content": content}],
    }


def masks_of(recorded, found):
    covered = ALL.cover(1, recorded, found)
    return None if covered is None else [each.mask.sentence() for each in covered]


@pytest.mark.parametrize(
    ("recorded", "found", "kind"),
    [
        ("at 2026-11-30T09:00:00Z", "at 2026-12-01T10:30:00.250+01:00", "iso_time"),
        ("at 1764528000", "at 1764528001.25", "epoch"),
        ("id 0d9e8b1c-3f52-4f6e-9b57-0c1f2f0a9d11", "id 7a1c8b1c-3f52-4f6e-9b57-0c1f2f0a9d22", "uuid"),
        ("id 9f3a77c0de", "id 00aa77c0de", "hex_id"),
        ("took 12 ms", "took 9.5 ms", "number"),
    ],
)
def test_each_kind_of_token_is_known_by_its_form(recorded, found, kind):
    assert masks_of(said(recorded), said(found)) == [f"{kind} in tool_result(clock) at $.messages[*].content"]


def test_a_value_within_a_result_that_is_json_has_a_mask_of_its_own():
    """A mask over the time of an answer must not cover the amount beside it."""
    one, other = '{"at": 1764528000, "paid": 12.50}', '{"at": 1764528009, "paid": 12.50}'
    (learnt,) = ALL.cover(1, said(one), said(other))
    assert learnt.mask.path == "$.messages[*].content > $.at"
    in_force = MaskSet(masks=(learnt.mask,), version=1)
    assert in_force.cover(1, said(one), said(other)) is not None
    assert in_force.cover(1, said(one), said(other.replace("12.50", "13.50"))) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model",), "m-2"),
        (("temperature",), 1),
        (("max_tokens",), 7),
        (("messages", 0, "role"), "user2"),
        (("messages", 2, "tool_calls", 0, "function", "name"), "look_up_2"),
        (("messages", 2, "tool_calls", 0, "function", "arguments"), '{"order": "8"}'),
        (("messages", 2, "tool_calls", 0, "id"), "call_8_0"),
        (("messages", 3, "tool_call_id"), "call_8_0"),
        (("tools", 0, "function", "description"), "Find 2 orders."),
        (("previous_response_id",), "resp_2"),
    ],
)
def test_what_decides_or_was_said_by_a_model_is_never_covered(path, value):
    recorded = {**conversation(2)[1][0], "max_tokens": 5, "previous_response_id": "resp_1"}
    found = copy.deepcopy(recorded)
    place = found
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert ALL.cover(1, recorded, found) is None


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ("2026-11-30T09:00:00Z", "2026-11-30T09:00:01Z"),  # nothing would be left of the message
        ("[7]", "[8]"),
        ('{"a": 1, "a": 2, "t": 1764528000}', '{"a": 5, "a": 2, "t": 1764528001}'),  # a key twice
        ('{"n": 1}', '{"n": "1"}'),
        ('{"n": 1}', '{"n": true}'),
        ("paid 7", "owed 7"),
        ("\0 7 a", "7 \0 a"),
        ("v1.2.3 is out", "v1.2.4 is out"),
        (
            "of 0d9e8b1c-3f52-4f6e-9b57-0c1f2f0a9d11 and 0d9e8b1c-3f52-4f6e-9b57-0c1f2f0a9d11",
            "of 11111111-3f52-4f6e-9b57-0c1f2f0a9d11 and 22222222-3f52-4f6e-9b57-0c1f2f0a9d11",
        ),  # one thing became two
        ("[" * 3_000 + '"a7"' + "]" * 3_000, "[" * 3_000 + '"a8"' + "]" * 3_000),
    ],
)
def test_what_is_no_token_of_its_kind_in_the_same_place_is_a_difference(recorded, found):
    assert ALL.cover(1, said(recorded), said(found)) is None


TEXTS = st.lists(
    st.sampled_from(["paid ", "owed ", "7", "8", "12.50", " ", "\0", "a", "é", "2026-11-30", "2026-12-01T09:00Z", '{"n": ', "}", "1764528000", "deadbeef01", "-", "."]),
    max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS)
def test_a_mask_covers_a_difference_only_by_tokens_of_its_kind(one, other):
    """Whatever is covered is the recorded text again once the covered tokens are put back."""
    assume(one != other)
    covered = ALL.cover(1, said(one), said(other))
    if covered is None:
        return
    assert covered, "two texts that differ, and nothing is said to"
    apart = tokens_apart(one, other)
    assert [(each.recorded, each.found) for each in covered] == [
        (mine, theirs) for _, mine, theirs in apart
    ] or "{" in one
    for kept in range(len(covered)):
        fewer = MaskSet(masks=tuple({each.mask for each in covered} - {covered[kept].mask}), version=1)
        assert fewer.cover(1, said(one), said(other)) is None, "covered without a mask"


def test_a_replay_is_served_but_for_masks_and_says_what_they_covered(tmp_path):
    with Recorder(tmp_path) as log:
        pairs = conversation(2)
        pairs[1][0]["messages"][3]["content"] = "order 7 is in Lyon since 2026-11-30"
        record(log, pairs)
        calls = exchanges(log.read("5e"))
    changed = copy.deepcopy(pairs[1][0])
    changed["messages"][3]["content"] = "order 7 is in Lyon since 2026-12-01"
    asked = json.dumps(changed).encode()

    def replay(masks, mode=ReplayMode.STRICT, body=asked):
        session = ReplaySession(calls, mode, log.redaction, masks=masks)
        session.take(ROUTE, json.dumps(pairs[0][0]).encode())
        return session, session.take(ROUTE, body)

    learning, _ = replay(ALL)
    masks = MaskSet(masks=(learning.covered[0].mask,), version=1)
    for mode in ReplayMode:
        session, decision = replay(masks, mode)
        assert (isinstance(decision, Serve), session.first_divergence()) == (True, None)
        if mode is not ReplayMode.FORK:  # which puts the recorded result back
            assert [(each.call, each.found) for each in session.covered] == [(2, "2026-12-01")]
    assert isinstance(replay(MaskSet())[1], Diverge)
    moved = asked.replace(b"Lyon since", b"Nice since")
    assert isinstance(replay(masks, body=moved)[1], Diverge)
    both = moved.replace(b"Where is 7?", b"Where is 8?")
    assert replay(masks, body=both)[1].divergence.path == "$.messages[1].content"


def test_a_report_names_the_first_difference_that_no_mask_covers():
    recorded = said("it is 9 h")
    recorded["messages"][0]["content"] = "When? It is 12:00 of 2026-11-30."
    found = copy.deepcopy(recorded)
    found["messages"][0]["content"] = "When? It is 12:00 of 2026-12-01."
    (learnt,) = ALL.cover(1, recorded, found)
    found["messages"][2]["content"] = "it is 10 h"
    masks = MaskSet(masks=(learnt.mask,), version=1)
    left = [
        path
        for path, *values in differences(recorded, found)
        if not masks.hides(path, *values, recorded, found)
    ]
    assert left == ["$.messages[2].content"]


@pytest.mark.parametrize("deep", [False, True])
def test_a_request_with_more_or_with_deep_text_is_named_and_not_stumbled_over(deep, tmp_path):
    pairs = conversation(2)
    nested = "[" * 3_000 + '"a7"' + "]" * 3_000
    if deep:
        pairs[1][0]["messages"][3]["content"] = nested
    with Recorder(tmp_path) as log:
        record(log, pairs)
        calls = exchanges(log.read("5e"))
    found = copy.deepcopy(pairs[1][0])
    if deep:
        found["messages"][3]["content"] = nested.replace("a7", "a8")
    else:
        found["messages"].append({"role": "user", "content": "And 2026-11-30?"})
    session = ReplaySession(calls, ReplayMode.STRICT, log.redaction, masks=ALL)
    session.take(ROUTE, json.dumps(pairs[0][0]).encode())
    decision = session.take(ROUTE, json.dumps(found).encode())
    assert decision.divergence.path == ("$.messages[3].content" if deep else "$.messages[4]")
