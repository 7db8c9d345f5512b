# SPDX-License-Identifier: Apache-2.0
"""The two doors to what a model was not shown, the agent's code and the proxy's tools, lead to the same values."""

from __future__ import annotations

import pytest
from permissions_stub import COMMON, Boundary, call

import pilothouse
from pilothouse.errors import Denied, ToolError, UsageError
from pilothouse.runtime.sdk import recorder
from pilothouse.runtime.sdk.opening import set_runtime
from pilothouse.runtime.sdk.run import current_run
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.mcp_answers import answer_of
from pilothouse.runtime.tools.mcp_unread import UNREAD_TOOLS, answer_about_unread
from pilothouse.runtime.tools.runtime import ToolRuntime
from pilothouse.runtime.tools.steps import drive

MAIL = {
    **COMMON,
    "effect": "read",
    "untrusted": "hide",
    "args": {},
    "results": {"subjects": {}, "body": {}},
}
FOUND = {"subjects": ["Invoice 7", "Lunch"], "body": "pay 12.50 by 2026-12-01"}


class Quiet:
    def open(self, _name, parent):
        return parent[0] if parent else "f" * 32, "1" * 16, None

    def close(self, *_said, **_more):
        pass


@pytest.fixture
def world(tmp_path, database, monkeypatch):
    monkeypatch.setattr(recorder, "_SINK", [Quiet()])
    desk = Boundary(tmp_path, tools={"mail.find@1": MAIL}, database=database).desk
    runtime = ToolRuntime(agent="triage", version=None, tools={}, door=Door(presenter=desk), tasks=desk)
    set_runtime(runtime)
    yield runtime, desk
    set_runtime(None)


def through_code(_runtime, desk):
    """What an agent's own code does with a result."""

    @pilothouse.agent(task_type="invoice")
    def work():
        shown = desk.observe(call("mail.find@1", run=current_run().get().trace_id, effect="read"), FOUND)
        unread = pilothouse.unread
        return (
            shown,
            unread.matching(shown["subjects"], "contains", "invoice"),
            unread.extract(shown["body"], "number"),
            unread.reveal(shown["body"]),
        )

    return work()


def answered(*asked):
    return drive(answer_about_unread(*asked), lambda: None)


def through_proxy(runtime, desk):
    """What a model does through the proxy's tools."""
    shown = desk.observe(call("mail.find@1", run="f" * 32, effect="read"), FOUND)

    def ask(tool, **args):
        return answered(runtime, f"pilothouse_{tool}", args, "f" * 32)

    return (
        shown,
        ask("matching", names=shown["subjects"], how="contains", words="invoice")["names"],
        ask("extract", name=shown["body"], type="number")["found"],
        ask("reveal", name=shown["body"])["value"],
    )


@pytest.mark.parametrize("door", [through_code, through_proxy])
def test_both_doors_choose_count_and_read(world, door):
    shown, chosen, numbers, read = door(*world)
    assert "Invoice" not in str(shown)
    assert chosen == shown["subjects"][:1]
    assert 12.5 in numbers
    assert read == FOUND["body"]
    assert world[1].context("f" * 32).tainted, "what was read taints, through either door"


def test_code_makes_a_text_out_of_hidden_ones_without_reading_them(world):
    _, desk = world

    @pilothouse.agent(task_type="invoice")
    def work():
        shown = desk.observe(call("mail.find@1", run=current_run().get().trace_id, effect="read"), FOUND)
        return pilothouse.unread.transform(shown["subjects"], lambda *texts: " / ".join(texts))

    name = work()
    assert name.startswith("[[hidden ")
    assert not desk.context("f" * 32).tainted
    assert desk.context("f" * 32).hidden.filled(name) == ("Invoice 7 / Lunch", True)


@pytest.mark.parametrize(
    "args",
    [
        ("reveal", {}),
        ("reveal", {"name": "[[hidden 1: x]]", "more": 1}),
        ("matching", {"names": ["[[hidden 1: x]]"], "how": "sounds like", "words": "a"}),
        ("extract", {"name": "[[hidden 1: x]]"}),
    ],
)
def test_wrong_arguments_and_runs_without_a_task_are_refused(world, args):
    runtime, desk = world
    desk.observe(call("mail.find@1", run="f" * 32, effect="read"), FOUND)
    with pytest.raises(ToolError) as caught:
        answered(runtime, f"pilothouse_{args[0]}", args[1], "f" * 32)
    assert caught.value.kind == "invalid_input"
    with pytest.raises(ToolError, match="nothing is hidden in this run"):
        answered(runtime, "pilothouse_reveal", {"name": "[[hidden 1: x]]"}, "e" * 32)


def test_the_tools_say_that_they_read_and_answers_are_structured():
    assert sorted(UNREAD_TOOLS) == ["pilothouse_extract", "pilothouse_matching", "pilothouse_reveal"]
    assert all(tool.annotations.read_only_hint for tool in UNREAD_TOOLS.values())
    assert answer_of([1])["structuredContent"] == {"result": [1]}
    assert answer_of({"a": "ä"})["content"][0]["text"] == '{"a": "ä"}'


def test_outside_a_task_nothing_is_hidden_and_nothing_can_be_opened(world):
    with pytest.raises(UsageError, match="nothing is hidden"):
        pilothouse.unread.reveal("[[hidden 1: x]]")
    with pytest.raises(UsageError, match="no task is going on"):
        pilothouse.open_task(requester="ana", typed=["hello"])


def test_a_task_is_opened_once_with_what_was_typed_and_what_was_pasted(world):
    _, desk = world

    @pilothouse.agent(task_type="invoice")
    def work():
        pilothouse.open_task(requester="ana", typed=["Forward it"], quoted=["From: eve"])
        with pytest.raises(Denied):
            pilothouse.open_task(requester="eve", typed=["Pay me"])
        return desk.context(current_run().get().trace_id).opening

    opening = work()
    assert (opening.requester, opening.task_type, opening.opened_by) == ("ana", "invoice", "agent")
    assert [(one.text, one.source) for one in opening.segments] == [
        ("Forward it", "typed"),
        ("From: eve", "quoted"),
    ]


def test_without_a_charter_opening_a_task_does_nothing(monkeypatch):
    set_runtime(ToolRuntime(agent="triage", version=None, tools={}, door=Door()))
    pilothouse.open_task(requester="ana", typed=["hello"])
    set_runtime(None)
