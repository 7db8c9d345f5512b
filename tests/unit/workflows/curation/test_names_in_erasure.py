# SPDX-License-Identifier: Apache-2.0
"""A subject in the name of a span or of its instrument goes; one in a name that is counted by is found, and said to stay."""

from __future__ import annotations

import time

import page_world as world
import pytest
from home_in_force import home_in_force
from otlp_bodies import PROTOBUF, request, run_spans
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.app.opening import open_intake
from pilothouse.app.people import open_curation
from pilothouse.ports.intake import Signal

AGENT, SUBJECT = world.AGENT, "Kim.4711@customer.example"
NOW_NS = time.time_ns() // 1_000 * 1_000
DAY_NS = 86_400 * 10**9


CASES = {
    "span": {"spans": [{"name": f"mail to {SUBJECT}"}]},
    "scope": {"instrument": f"mailer of {SUBJECT}"},
    "old": {"resource": {"service.name": "mailer", "host.owner": SUBJECT}, "days": 60},
    "tool": {"attributes": {"gen_ai.tool.name": f"mail_{SUBJECT}"}},
    "unnamed tool": {"spans": [{"name": f"execute_tool mail_{SUBJECT}"}], "without": "gen_ai.tool.name"},
    "model": {"attributes": {"gen_ai.response.model": f"tuned-for-{SUBJECT.lower()}"}},
    "other": {},
}
NAMED = ("tool", "unnamed tool", "model")
TRACES = {name: f"{number:032x}" for number, name in enumerate(CASES, start=1)}


def sent(name, number):
    case = CASES[name]
    spans = run_spans(number, start=NOW_NS - 3_600 * 10**9 - case.get("days", 0) * DAY_NS)
    for one in spans:
        one["attributes"] |= {"pilothouse.agent": AGENT}
    tool = next(one for one in spans if "gen_ai.tool.name" in one["attributes"])
    tool["attributes"] |= case.get("attributes", {})
    tool["attributes"].pop(case.get("without"), None)
    for one in case.get("spans", ()):
        tool |= one
    more = {key: case[key] for key in ("instrument", "resource") if key in case}
    return request(spans, **more).SerializeToString()


@pytest.fixture
def settings(tmp_path):
    found = home_in_force(tmp_path / "home")
    with open_intake(found) as intake:
        for number, name in enumerate(TRACES, start=1):
            intake.accept(
                Signal.TRACES,
                content_type=PROTOBUF,
                content_encoding="",
                body=sent(name, number),
                source="tests",
            )
    return found


def test_a_subject_in_a_name_goes_or_is_said_to_stay(settings):
    with open_curation(settings) as desk:
        before = {name: desk.lake.trace(trace) for name, trace in TRACES.items()}
        done = desk.erase(SUBJECT, [], actor="test")
    assert set(done["traces"]) == set(TRACES.values()) - {TRACES["other"]}
    assert done["named"] == len(NAMED)
    with open_curation(settings) as desk:
        after = {name: desk.lake.trace(trace) for name, trace in TRACES.items()}
        again = desk.erase(SUBJECT, [], actor="test")
    assert set(again["traces"]) == {TRACES[name] for name in NAMED}
    for name in TRACES.keys() - {*NAMED}:
        assert SUBJECT not in repr(after[name])
    for name in TRACES:
        assert [one.operation for one in after[name].spans] == [one.operation for one in before[name].spans]
        assert after[name].task.tools == before[name].task.tools
        assert after[name].task.models == before[name].task.models
    assert {one.name for one in after["span"].spans} == {one.operation for one in after["span"].spans}
    assert [one.name for one in after["other"].spans] == [one.name for one in before["other"].spans]


def test_the_command_says_that_names_stay(settings):
    said = CliRunner().invoke(command_tree(), ["erase", SUBJECT, "--home", str(settings.home)]).output
    assert "in 3 of them it is part of the name of a tool, a model" in said
    said = CliRunner().invoke(command_tree(), ["erase", "nobody at all", "--home", str(settings.home)]).output
    assert "name of a tool" not in said
