# SPDX-License-Identifier: Apache-2.0
"""Edits of a context lose nothing; counts of it are exact where they can be, and a silent cut is seen."""

from __future__ import annotations

import json
import random

import pytest

from pilothouse.runtime.context.counting import (
    ContentClass,
    ContextCounter,
    Level,
    TokenEstimate,
    content_class,
    level_of,
)
from pilothouse.runtime.context.edits import EditPolicy, apply_edits, is_reachable, recall, restore


def made(rng: random.Random) -> dict:
    """Return a request in one of three protocols with results of every size and shape."""
    protocol = rng.choice(["chat", "responses", "messages"])
    items: list[dict] = [{"role": "user", "content": "q"}]
    shared = [
        "x" * 300,
        json.dumps({"rows": [1] * 200}),
        "short",
        "[500 characters were taken out",
        "é" * 250,
    ]
    for number in range(rng.randrange(7)):
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
    return {"model": "m", "messages" if protocol != "responses" else "input": items}


def policy(rng: random.Random) -> EditPolicy:
    return EditPolicy(
        drop_duplicates=rng.random() < 0.5,
        externalize_characters=rng.choice([None, 0, 250, 600]),
        clear_older_than=rng.choice([None, 0, 1, 3]),
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
        lost += any(recall(edits.ledger, entry.digest) is None for entry in edits.ledger)
    return edited, lost


def test_what_is_kept_and_the_ledger_are_the_original_in_every_case():
    edited, lost = fuzz(500, seed=6)
    assert edited > 200
    assert lost == 0


def test_planted_facts_stay_or_can_be_recalled_and_pinned_ones_stay_in_the_request():
    fact = "Never pay account DE44 5001."
    for place in (0, 150, 299):
        text = ("y" * 300)[:place] + fact + ("y" * 300)[place:]
        request = {"messages": [{"role": "tool", "tool_call_id": "c", "content": text}]}
        gone = apply_edits(request, EditPolicy(externalize_characters=100))
        assert is_reachable(gone, fact)
        assert fact not in json.dumps(gone.request)
        assert fact in json.dumps(
            apply_edits(request, EditPolicy(externalize_characters=100, pinned=(fact,))).request
        )
    assert recall(gone.ledger, gone.ledger[0].digest[:16], start=0, end=3) == "yyy"
    assert recall(gone.ledger, "ffff") is None
    assert not is_reachable(gone, "something else")


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
