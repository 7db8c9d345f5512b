# SPDX-License-Identifier: Apache-2.0
"""Calls without a run id find their run by what the run was given, and never another one's."""

from __future__ import annotations

import json
import random

import pytest

from pilothouse.core.evidence.run_log import IdentitySource
from pilothouse.runtime.linkage import (
    HANDED,
    CallLinker,
    Conversation,
    RunLinker,
    consumed_ids,
    message_digests,
)


def handed_in(answer: dict) -> tuple[str, ...]:
    """Return the ids that the gateway finds in an answer."""
    return tuple(found.decode() for found in HANDED.findall(json.dumps(answer).encode()))


class Runs:
    """Gives each request its run as the gateway does, and the answer its ids."""

    def __init__(self) -> None:
        self.linker = RunLinker()
        self.made = 0

    def ask(self, request: dict, answer: dict, agent: str = "triage") -> tuple[str, IdentitySource]:
        messages, beginnings = message_digests(request)
        found = self.linker.find(agent, consumed=consumed_ids(request), prefixes=beginnings)
        if found is None:
            self.made += 1
            found = (f"{self.made:032x}", IdentitySource.NEW)
        self.linker.remember(agent, found[0], handed=handed_in(answer), messages=messages)
        return found


def test_concurrent_runs_with_equal_prompts_are_never_merged_and_shared_ids_never_split():
    runs = Runs()
    rng = random.Random(7)
    steps = [(run, step) for run in range(200) for step in range(4)]
    rng.shuffle(steps)
    steps.sort(key=lambda pair: pair[1] + rng.random())  # each run in order, all at once
    histories = {run: [{"role": "user", "content": "same question"}] for run in range(200)}
    done = dict.fromkeys(range(200), 0)
    seen: dict[str, set[int]] = {}
    given: dict[int, set[str]] = {}
    for run, _ in steps:
        step = done[run]
        done[run] += 1
        call = f"call_{run}_{step}"
        answer = {"choices": [{"message": {"tool_calls": [{"id": call}]}}]}
        found, _source = runs.ask({"messages": list(histories[run])}, answer)
        histories[run] += [
            {"role": "assistant", "tool_calls": [{"id": call}]},
            {"role": "tool", "tool_call_id": call, "content": "same result"},
        ]
        seen.setdefault(found, set()).add(run)
        given.setdefault(run, set()).add(found)
    assert max(map(len, seen.values())) == 1
    assert max(map(len, given.values())) == 1


def test_equal_conversations_without_ids_are_split_and_different_ones_are_followed():
    runs = Runs()
    same = [{"role": "user", "content": "hello"}]
    more = [*same, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and?"}]
    first, _ = runs.ask({"messages": same}, {})
    second, _ = runs.ask({"messages": same}, {})
    third, source = runs.ask({"messages": more}, {})
    assert len({first, second, third}) == 3
    assert source is IdentitySource.NEW

    alone, _ = runs.ask({"instructions": "x", "input": [{"role": "user", "content": "only I ask this"}]}, {})
    again, source = runs.ask(
        {
            "instructions": "x",
            "input": [
                {"role": "user", "content": "only I ask this"},
                {"role": "assistant", "content": "y"},
                {"role": "user", "content": "z"},
            ],
        },
        {},
    )
    assert (again, source) == (alone, IdentitySource.PREFIX)


ANSWERED = {
    "id": "resp_1",
    "object": "response",
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "No."}],
        },
    ],
}
SAID = {"id": "chatcmpl-1", "choices": [{"message": {"role": "assistant", "content": "No tool knows that."}}]}


@pytest.mark.parametrize(
    ("name", "answer", "made"),
    [
        ("input", ANSWERED, ANSWERED["output"]),
        ("input", ANSWERED, ANSWERED["output"][1:]),
        ("messages", SAID, [SAID["choices"][0]["message"]]),
    ],
)
def test_a_conversation_without_tools_is_one_run_whatever_else_its_answers_say(name, answer, made):
    """Answers of `responses` name `tools` always, those of a chat may speak of them, and a model's reasoning has no role."""
    linker, asked = CallLinker(), [{"role": "user", "content": "Who is it?"}]
    first = Conversation(json.dumps({name: asked}).encode())
    linker.learn("triage", "a" * 32, first, json.dumps(answer).encode())
    more = [*asked, *made, {"role": "user", "content": "And now?"}]
    further = Conversation(json.dumps({name: more}).encode())
    assert linker.find("triage", further) == ("a" * 32, IdentitySource.PREFIX)


def test_an_id_given_to_two_runs_or_to_none_links_nothing():
    runs = Runs()
    answer = {"content": [{"type": "tool_use", "id": "toolu_1"}]}
    runs.ask({"messages": [{"role": "user", "content": "a"}]}, answer)
    runs.ask({"messages": [{"role": "user", "content": "b"}]}, answer)
    back = {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}]}
    assert runs.ask(back, {})[1] is IdentitySource.NEW
    foreign = {"input": [{"type": "function_call_output", "call_id": "never", "output": "1"}]}
    assert runs.ask(foreign, {})[1] is IdentitySource.NEW
    assert runs.linker.unlinked == 2


def test_agents_share_nothing_and_links_are_bounded_and_expire():
    clock = [0.0]
    linker = RunLinker(lambda: clock[0], links_max=3)
    linker.remember("a", "r1", handed=("x",))
    assert linker.find("b", consumed=("x",)) is None
    assert linker.find("a", consumed=("x",)) is not None
    clock[0] = 90_000.0
    assert linker.find("a", consumed=("x",)) is None
    linker.remember("a", "r1", handed=("1", "2", "3", "4"))
    assert linker.find("a", consumed=("1",)) is None
    assert linker.find("a", consumed=("4",)) is not None


def test_ids_are_found_in_every_protocol_and_in_streams():
    for answer, handed in (
        ({"type": "response.output_item.added", "item": {"type": "function_call", "call_id": "c"}}, ("c",)),
        ({"type": "response.created", "response": {"object": "response", "id": "resp_1"}}, ("resp_1",)),
        ({"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t"}}, ("t",)),
        ({"content": 'said "id": "x"'}, ()),
    ):
        assert handed_in(answer) == handed
    request = {
        "previous_response_id": "resp_1",
        "input": [
            {"type": "function_call", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c"},
        ],
    }
    assert consumed_ids(request) == ("resp_1", "c")
    assert consumed_ids({"input": "text"}) == ()
    assert message_digests({"input": "text"}) == (None, ())
    assistant = {"role": "assistant", "content": [{"type": "tool_use", "id": "t"}]}
    assert consumed_ids({"messages": [assistant]}) == ("t",)


def test_a_link_lasts_half_its_life_for_sure_and_never_longer_than_its_life():
    clock = [0.0]
    linker = RunLinker(lambda: clock[0])
    for at in (0.0, 30_000.0):
        clock[0] = at
        linker.remember("a", "r1", handed=(f"at {at}",))
    for now, found in ((43_000.0, (True, True)), (73_000.0, (True, True)), (87_000.0, (False, False))):
        clock[0] = now
        assert tuple(linker.find("a", consumed=(f"at {at}",)) is not None for at in (0.0, 30_000.0)) == found
    clock[0] = 300_000.0
    linker.remember("a", "r2", handed=("at 0.0",))
    assert linker.find("a", consumed=("at 0.0",)) == ("r2", IdentitySource.LINKED_ID)


def test_an_id_of_two_runs_stays_ambiguous_whichever_half_it_is_in():
    linker = RunLinker(links_max=8)
    linker.remember("a", "r1", handed=("x",))
    linker.remember("a", "r1", handed=("1", "2", "3"))  # now `x` is in the old half
    linker.remember("a", "r2", handed=("x",))
    assert linker.find("a", consumed=("x",)) is None
    linker.remember("a", "r2", handed=("4", "5", "6"))
    linker.remember("a", "r1", handed=("x",))
    assert linker.find("a", consumed=("x",)) is None
