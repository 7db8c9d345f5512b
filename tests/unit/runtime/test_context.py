# SPDX-License-Identifier: Apache-2.0
"""Edits of a context lose nothing; counts of it are exact where they can be, and a silent cut is seen."""

from __future__ import annotations

import copy
import json
import random

import pytest

from pilothouse.runtime.context.conversation import tool_results, tool_uses
from pilothouse.runtime.context.counting import (
    ContentClass,
    ContextCounter,
    Level,
    TokenEstimate,
    content_class,
    level_of,
)
from pilothouse.runtime.context.edits import EditPolicy, apply_edits, recall, restore

SAID = {"role": "assistant", "content": "Seen."}


def made(rng: random.Random) -> dict:
    """Return a request in one of three protocols with results of every size and shape."""
    protocol = rng.choice(["chat", "responses", "messages"])
    items: list[dict] = [{"role": "user", "content": "q"}]
    more = {"tools": [{"name": "recall"}]} if rng.random() < 0.5 else {}
    shared = [
        "x" * 300,
        json.dumps({"rows": [1] * 200}),
        "short",
        "[500 characters were taken out",
        "é" * 250,
    ]
    for number in range(rng.randrange(9)):
        if rng.random() < 0.7:
            items.append({"role": "assistant", "content": "I look."})
        text = (
            rng.choice(shared)
            if rng.random() < 0.6
            else "".join(rng.choices('ab \n"\\é', k=rng.randrange(900)))
        )
        ident = f"c{rng.randrange(4) if rng.random() < 0.1 else number}"
        if protocol == "chat":
            items.append({"role": "tool", "tool_call_id": ident, "content": text})
        elif protocol == "responses":
            output = text if rng.random() < 0.7 else [{"type": "output_text", "text": text}]
            items.append({"type": "function_call_output", "call_id": ident, "output": output})
        else:
            part = {"type": "tool_result", "tool_use_id": ident, "content": [{"type": "text", "text": text}]}
            items.append({"role": "user", "content": [part, {"type": "text", "text": "and"}]})
    return {"model": "m", **more, "messages" if protocol != "responses" else "input": items}


def policy(rng: random.Random) -> EditPolicy:
    return EditPolicy(
        drop_duplicates=rng.random() < 0.5,
        externalize_characters=rng.choice([None, 0, 250, 600]),
        keep_last=rng.choice([None, 1, 2, 3]),
        pinned=("xx",) if rng.random() < 0.2 else (),
    )


def fuzz(cases: int, seed: int) -> tuple[int, int]:
    """Return edited cases and cases whose parts are not the original."""
    rng = random.Random(seed)
    edited = lost = 0
    for _ in range(cases):
        request = made(rng)
        before = json.dumps(request)
        edits = apply_edits(request, policy(rng))
        edited += bool(edits.ledger)
        lost += json.dumps(request) != before or json.dumps(restore(edits)) != before
        removed = {entry.digest: entry.content for entry in edits.ledger}
        lost += any(recall(removed, entry.digest) is None for entry in edits.ledger)
        lost += bool(edits.ledger) and _others(edits.request) != _others(request)
    return edited, lost


def _others(request: dict) -> str:
    """Everything but results of tools: instructions, the user's words, what the model said."""
    rest = copy.deepcopy(request)
    for result in tool_results(rest):
        result.replace(None)
    return json.dumps(rest)


def test_what_is_kept_and_the_ledger_are_the_original_in_every_case():
    edited, lost = fuzz(500, seed=6)
    assert edited > 200
    assert lost == 0


def test_planted_facts_stay_or_can_be_recalled_and_pinned_ones_stay_in_the_request():
    fact = "Never pay account DE44 5001."
    for place in (0, 150, 299):
        text = ("y" * 300)[:place] + fact + ("y" * 300)[place:]
        request = {"messages": [{"role": "tool", "tool_call_id": "c", "content": text}, SAID]}
        gone = apply_edits(request, EditPolicy(externalize_characters=100))
        assert any(fact in entry.content for entry in gone.ledger)
        assert fact not in json.dumps(gone.request)
        assert fact in json.dumps(
            apply_edits(request, EditPolicy(externalize_characters=100, pinned=(fact,))).request
        )
    removed = {entry.digest: entry.content for entry in gone.ledger}
    assert recall(removed, gone.ledger[0].digest[:16], start=0, end=3) == "yyy"
    assert recall(removed, "ffff") is None


def results(count: int, **more) -> dict:
    """Return a conversation of so many calls of a tool; the model has not said anything to the last result."""
    messages: list[dict] = []
    for number in range(count):
        messages.append(
            {"role": "assistant", "tool_calls": [{"id": f"c{number}", "function": {"name": "look"}}]}
        )
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": str(number) * 300})
    return {"messages": messages, **more}


def taken(request: dict, **policy) -> list[str]:
    return [entry.call_id for entry in apply_edits(request, EditPolicy(**policy)).ledger]


def test_old_results_go_in_steps_so_that_a_cached_beginning_lives_for_several_calls():
    went = [len(taken(results(count), keep_last=3)) for count in range(1, 11)]
    assert went == [0, 0, 0, 0, 0, 3, 3, 3, 6, 6]


def test_what_the_model_has_not_read_yet_goes_only_where_it_can_be_asked_back():
    assert taken(results(2), externalize_characters=200) == ["c0"]
    note = apply_edits(results(2), EditPolicy(externalize_characters=200), run="5e" * 16).ledger[0].note
    assert "call the tool again" in note
    can = results(2, tools=[{"type": "function", "function": {"name": "recall"}}])
    assert taken(can, externalize_characters=200) == ["c0", "c1"]
    note = apply_edits(can, EditPolicy(externalize_characters=200), run="5e" * 16).ledger[0].note
    assert f"recall(id='{'5e' * 16}-" in note
    parallel = {
        "messages": [{"role": "assistant"}, *(m for m in results(4)["messages"] if m["role"] == "tool")]
    }
    assert taken(parallel, keep_last=1) == []


def test_a_recalled_result_is_not_taken_out_for_its_length_again():
    request = results(2, tools=[{"name": "recall"}])
    request["messages"][0]["tool_calls"][0]["function"]["name"] = "recall"
    assert taken(request, externalize_characters=200) == ["c1"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Where is my order? It was due on Monday.", ContentClass.PROSE),
        ("def f(x):\n    return x\n\ndef g(y):\n    return y\n", ContentClass.CODE),
        ('{"order": 7, "lines": ["a", "b"]}', ContentClass.JSON),
        ("9f86d081884c7d65 2c26b46b68ffc68f fcde2b2edba56bf4", ContentClass.IDS),
        ("请问我的订单在哪里", ContentClass.CJK),
    ],
)
def test_a_text_is_of_a_class(text, kind):
    assert content_class(text) is kind


def conversation(calls: int, rng: random.Random):
    """Yield growing requests with the tokens that a tokenizer of 3.1 characters a token would count."""
    messages = []
    for _ in range(calls):
        messages.append(
            {"role": "user", "content": " ".join(rng.choices(["order", "late", "where", "is"], k=60))}
        )
        yield {"messages": list(messages)}, round(sum(len(m["content"]) / 3.1 + 4 for m in messages))
        messages.append(
            {"role": "assistant", "content": " ".join(rng.choices(["it", "is", "in", "Lyon"], k=60))}
        )


def test_from_the_second_call_on_the_estimate_is_within_two_percent_for_19_of_20():
    counter, errors = ContextCounter(), []
    for seed in range(60):
        for place, (request, tokens) in enumerate(conversation(6, random.Random(seed))):
            if place and seed >= 20:
                errors.append(abs(counter.estimate("m", request).median - tokens) / tokens)
            assert counter.learn("m", request, tokens) is False
    assert sorted(errors)[int(len(errors) * 0.95)] < 0.02


def test_a_server_that_cuts_in_silence_is_seen_and_teaches_nothing():
    counter = ContextCounter()
    *_, (request, tokens) = conversation(20, random.Random(1))
    assert counter.learn("m", request, tokens // 10) is True
    assert counter.estimate("m", request).exact == 0
    assert counter.learn("m", request, tokens) is False
    assert counter.estimate("m", request).exact == tokens
    assert counter.learn("m", {}, 5) is False


def test_levels_follow_the_share_of_the_window():
    levels = [
        level_of(TokenEstimate(exact=0, low=0, median=0, high=used), 100, 0)[0]
        for used in (10, 70, 85, 95, 101)
    ]
    assert levels == list(Level)


@pytest.mark.parametrize("calls", [5, {"id": "c"}, [5], [{"function": 7}], "x"])
def test_tool_calls_of_another_shape_are_none(calls):
    assert tool_uses({"messages": [{"role": "assistant", "tool_calls": calls}]}) == {}


def test_a_request_with_results_but_no_conversation_is_left_as_it_is():
    odd = {"input": 5, "messages": {"a": 1}, "tools": 7}
    assert apply_edits(odd, EditPolicy(drop_duplicates=True, externalize_characters=400)).request == odd
