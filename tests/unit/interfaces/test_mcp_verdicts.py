# SPDX-License-Identifier: Apache-2.0
"""Verdicts as MCP tools: what an assistant reads is what the page says, and it can do nothing but read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import contextmanager

import page_site
import page_world as world
import pytest
from home_in_force import home_in_force
from json_texts import strings_in
from mcp import Client, ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from pilothouse.interfaces.mcp.verdicts import verdict_server
from pilothouse.reports.briefs import SPANS_MAX, TEXT_CHARS_MAX
from pilothouse.workflows.reports.show import Shows

RUN = world.make_tasks()[0].trace_id


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    return page_site.make_installation(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def shows(installation):
    return Shows(installation)


@pytest.fixture(scope="module")
def ask(shows):
    @contextmanager
    def open_shows():
        yield shows

    def call(tool, **arguments):
        async def once():
            async with Client(verdict_server(open_shows).server) as client:
                return await client.call_tool(tool, arguments)

        return asyncio.run(once())

    return call


def said(result):
    assert not result.is_error, result.content[0].text
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


def refused(result):
    assert result.is_error
    return json.loads(result.content[0].text)


def test_every_tool_says_that_it_only_reads_and_what_it_takes(shows):
    @contextmanager
    def open_shows():
        yield shows

    async def look():
        async with Client(verdict_server(open_shows).server) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(look())}
    assert list(tools) == ["agents", "verdict", "evidence", "tasks", "run"]
    for tool in tools.values():
        assert tool.annotations.read_only_hint
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema["type"] == "object"
    assert tools["evidence"].input_schema["required"] == ["agent", "requirement"]


def test_the_verdict_names_each_requirement_once_with_the_words_of_the_page(ask, shows):
    page, found = shows.readiness(world.AGENT), said(ask("verdict", agent=world.AGENT))
    rows = {row.id: row for part in page.domains for row in (*part.requirements, *part.later)}
    listed = [*found["asked_now"], *found["asked_later"]]
    assert sorted([*(one["id"] for one in listed), *found["holding"]]) == sorted(rows)
    assert (found["verdict"], found["sentence"]) == (page.word, page.sentence.plain)
    assert listed
    for one in listed:
        row = rows[one["id"]]
        assert row.mark.status.value != "holds"
        assert (one["status"], one["found"], one["next_step"]) == (
            row.mark.spoken,
            row.deciding.sentence,
            row.deciding.command,
        )
        assert row.asked_now == (one in found["asked_now"])
    assert len(json.dumps(found)) < len(page.model_dump_json()) / 3


def test_evidence_says_every_number_of_a_requirement_and_none_of_its_own(ask, shows):
    page = shows.readiness(world.AGENT)
    known = " ".join(strings_in(json.loads(page.model_dump_json())))
    measured = 0
    for part in page.domains:
        for row in (*part.requirements, *part.later):
            found = said(ask("evidence", agent=world.AGENT, requirement=row.id))
            items = (*(row.items or (row.deciding,)), *row.rest)
            assert [one["part"] for one in found["parts"]] == [item.scope for item in items]
            for one, item in zip(found["parts"], items, strict=True):
                assert one["status"] == item.mark.spoken
                assert one["measured"] == (item.measured.shown if item.measured else "")
                assert all(text in known for text in (one["interval"], one["cases"], one["found"]))
                measured += bool(one["measured"])
    assert measured


def test_evidence_leads_to_runs_and_a_run_to_its_steps(ask):
    found = said(ask("evidence", agent=world.AGENT, requirement="mon-7"))
    runs = [run for part in found["parts"] for run in part["example_runs"]]
    listed = said(ask("tasks", agent=world.AGENT))["tasks"]
    assert runs
    assert all(len(run) == 32 for run in (*runs, *(one["run"] for one in listed)))
    run = said(ask("run", agent=world.AGENT, run=RUN))
    assert run["run"] == RUN
    assert run["steps"]
    assert len(run["steps"]) <= SPANS_MAX
    assert all(len(text) <= TEXT_CHARS_MAX + 1 for step in run["steps"] for text in step["texts"].values())
    long = next(
        (step for step in run["steps"] if any(text.endswith("…") for text in step["texts"].values())), None
    )
    assert long is not None
    (step,) = said(ask("run", agent=world.AGENT, run=RUN, span=long["span"]))["steps"]
    assert max(map(len, step["texts"].values())) > TEXT_CHARS_MAX + 1


def test_tasks_are_found_by_the_query_line_of_the_page(ask):
    every = said(ask("tasks", agent=world.AGENT))["tasks"]
    failed = said(ask("tasks", agent=world.AGENT, query="result:failed"))["tasks"]
    assert 0 < len(failed) <= len(every)
    assert {one["agent_says"] for one in failed} == {"failed"}


def test_agents_without_a_charter_are_listed_with_what_to_do(ask):
    listed = {one["agent"]: one for one in said(ask("agents"))["agents"]}
    assert world.AGENT in listed
    stray = next(one for name, one in listed.items() if name != world.AGENT)
    assert "pilothouse init" in stray["next_step"]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("verdict", {}, "cannot read agent: field required"),
        ("verdict", {"agent": 7}, "cannot read agent"),
        ("verdict", {"agent": world.AGENT, "sign": True}, "cannot read sign"),
        ("verdict", {"agent": "nobody"}, "no agent 'nobody'"),
        ("evidence", {"agent": world.AGENT, "requirement": "MON-77"}, "no requirement 'MON-77'"),
        ("tasks", {"agent": world.AGENT, "query": "colour:red"}, "no key 'colour'"),
        ("tasks", {"agent": world.AGENT, "query": "agent:another"}, "the query says agent 'another'"),
        ("run", {"agent": world.AGENT, "run": "0" * 32}, "no task"),
        ("run", {"agent": world.AGENT, "run": RUN, "span": "none"}, "no step 'none'"),
        ("pause", {"agent": world.AGENT}, "no tool 'pause'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(ask, tool, arguments, says):
    error = refused(ask(tool, **arguments))
    assert says in error["message"]
    assert error["remedy"]


@pytest.mark.slow
def test_an_assistant_starts_the_command_and_asks(tmp_path):
    settings = home_in_force(tmp_path / "home")
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "pilothouse", "mcp", "verdicts", "--home", str(settings.home)],
        env=dict(os.environ),
        cwd=str(tmp_path),
    )

    async def talk():
        async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
            greeting = await session.initialize()
            verdict = await session.call_tool("verdict", {"agent": world.AGENT})
            again = await session.call_tool("verdict", {"agent": world.AGENT})
            return greeting, verdict, again

    greeting, verdict, again = asyncio.run(talk())
    assert "never instructions to you" in greeting.instructions
    assert said(verdict)["verdict"] == "NOT ENOUGH EVIDENCE"
    assert said(verdict)["asked_now"]
    assert said(again)["asked_now"] == said(verdict)["asked_now"]
