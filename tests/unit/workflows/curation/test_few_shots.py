# SPDX-License-Identifier: Apache-2.0
"""Examples reach agents by SDK and MCP, never come from what judges, and what they bring reaches the verdict."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import page_site
import page_world as world
import pytest
from mcp.client.client import Client
from review_world import add_labels, curation_desk

from pilothouse import agent, feedback, few_shots
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import InfrastructureError, ProviderError, UsageError
from pilothouse.evals.case import Split
from pilothouse.evals.dataset import load_dataset, write_dataset
from pilothouse.evals.journal import Journal
from pilothouse.interfaces.http.feedback import api_app
from pilothouse.interfaces.mcp.examples import TOOL, example_server
from pilothouse.ledger.few_shot_index import FewShotIndex
from pilothouse.ports.curation import Example
from pilothouse.runtime.sdk.run import current_run
from pilothouse.runtime.sdk.server import TOKEN_VARIABLE
from pilothouse.testing import FixedClock
from pilothouse.workflows.curation import few_shot_library
from pilothouse.workflows.curation.few_shot_lift import LiftRequest, measure_lift
from pilothouse.workflows.curation.few_shots import FewShots
from pilothouse.workflows.review.trusted_labels import trusted_labels
from pilothouse.workflows.traces.feedback import Desk, agent_token
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW, KEY = world.AGENT, world.NOW, "k" * 43
SHADES = ("steel", "paper", "travel", "rent")

TARGET = """
def nearest(task):
    shown = task["examples"]
    assert all(one["input"] != task["input"] for one in shown)
    return shown[0]["output"] if shown else "nobody knows"

def nothing(task):
    return "nobody knows"

def priced(task):
    return {"output": "nobody knows", "cost_usd": 0.01}

def broken(task):
    raise RuntimeError("down")
"""


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def target(tmp_path, monkeypatch):
    (tmp_path / "lifted_agent.py").write_text(TARGET, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)


def library(count):
    return [
        Example(
            example_id=f"e{n}", agent=AGENT, task_type="po_invoice", item_id=f"i{n}",
            input=f"{SHADES[n % 4]} order of supplier {n} over {n} EUR", output=f"team {SHADES[n % 4]}",
        )
        for n in range(count)
    ]  # fmt: skip


def lift_of(function, count=80, **more):
    examples = library(count)
    request = LiftRequest(target=f"python:lifted_agent:{function}", **more)
    with Journal(request.journal) as journal:
        return asyncio.run(measure_lift(request, "v" * 64, examples, FewShotIndex(examples), journal=journal))


def test_an_erased_example_is_not_served_on_while_the_clock_is_set_back():
    clock = FixedClock(NOW)
    kept = ["v1", library(4)]

    class Store:
        def examples(self, _agent):
            return kept[0], tuple(kept[1])

    few = FewShots(Store(), FewShotIndex, clock)
    assert len(few.find(AGENT, "order of supplier", task_type=None, k=9)[1]) == 4
    kept[1] = kept[1][:1]
    clock.advance(timedelta(hours=-1))
    assert len(few.find(AGENT, "order of supplier", task_type=None, k=9)[1]) == 1


def test_a_task_type_of_half_a_character_has_no_examples():
    assert FewShotIndex(library(4)).find("order of supplier", task_type="\ud800") == ()


def test_what_examples_bring_is_measured_with_each_one_left_out(target):
    helped = lift_of("nearest")
    assert (helped.n, helped.good_with, helped.good_without) == (80, 80, 0)
    assert helped.difference.low > 0.9
    useless = lift_of("nothing")
    assert isinstance(useless.difference, NotEnoughEvidence) or useless.difference.high < 0.06
    assert lift_of("nearest", 10).n == 10
    assert isinstance(lift_of("nearest", 10).difference, NotEnoughEvidence)
    assert lift_of("broken").good_with == 0, "an agent that fails is wrong, with or without examples"


def test_a_lift_of_nothing_or_from_nowhere_is_refused(target):
    with pytest.raises(UsageError, match="no library"):
        lift_of("nearest", 0)
    request = LiftRequest(target="http://127.0.0.1:9", deadline_s=1.0)
    examples = library(1)
    with Journal(request.journal) as journal, pytest.raises(ProviderError, match="cannot be reached"):
        asyncio.run(measure_lift(request, "v", examples, FewShotIndex(examples), journal=journal))


def test_a_budget_needs_a_target_that_says_what_it_costs_and_is_not_overspent_at_the_start(target):
    with pytest.raises(UsageError, match="what a trial costs is not known"):
        lift_of("nearest", budget_usd=1.0)
    lifted = lift_of("priced", budget_usd=0.05)
    assert lifted.n + lifted.unscored == 80
    with Journal(LiftRequest(target="x").journal) as journal:
        assert 1 + 1 < journal.count() <= 1 + 5, (
            "of the first target one, of the second what the budget covers"
        )


def lift_status(site):
    verdict = assess(site.installation, AGENT, site.clock.now(), freeze=False).verdict
    items = next(one for one in verdict.requirements if one.requirement == "DATA-2").items
    return {one.kind: one.status for one in items}


def test_the_lift_reaches_the_verdict_for_the_library_it_was_measured_with(site, target, tmp_path):
    add_labels(site, 140, text="{shade} order of supplier {n} over {n} EUR", output="team {shade}")
    desk = curation_desk(site)
    desk.cases(AGENT, tmp_path / "labelled")
    assert lift_status(site)["few_shot.lift"] is Status.NO_EVIDENCE
    library = desk.few_shot(AGENT, [])
    assert library.beside == ((tmp_path / "labelled").resolve(),)
    request = LiftRequest(target="python:lifted_agent:nearest", version=world.VERSION)
    assert desk.lift(AGENT, request).n >= 60
    site.clock.move(minutes=1)
    assert desk.few_shot(AGENT, []).version == library.version
    assert lift_status(site) == {"few_shot.examples": Status.HOLDS, "few_shot.lift": Status.HOLDS}

    site.clock.move(minutes=1)
    add_labels(site, 8, name="n", text="{shade} bill of newcomer {n} in May", output="team {shade}")
    assert desk.few_shot(AGENT, []).version != library.version
    assert lift_status(site)["few_shot.lift"] is Status.NO_EVIDENCE
    verdict = assess(site.installation, AGENT, site.clock.now(), freeze=False).verdict
    (data2,) = [one for one in verdict.requirements if one.requirement == "DATA-2"]
    assert any(f"known for library {library.version[:7]} only" in item.sentence for item in data2.items)
    desk.lift(AGENT, request)
    assert lift_status(site)["few_shot.lift"] is Status.HOLDS
    site.clock.move(minutes=5)
    desk.lift(AGENT, LiftRequest(target="python:lifted_agent:nothing", version=world.VERSION))
    assert lift_status(site)["few_shot.lift"] is not Status.HOLDS


def test_a_library_is_no_larger_than_the_charter_says_and_leaves_no_task_type_out(site, monkeypatch):
    """`few_shot.max` was counted for each task type, while `few_shot.min` is of the whole library."""
    add_labels(site, 60)
    charter = site.sign_in.directory.charter(AGENT)
    desk = curation_desk(site)

    def of_two_types(*_):
        for number, one in enumerate(trusted_labels(site.queue, charter, NOW)):
            kind = "credit_note" if number > 30 else "po_invoice"
            yield replace(one, record=replace(one.record, item=replace(one.record.item, task_type=kind)))

    monkeypatch.setattr(few_shot_library, "trusted_labels", of_two_types)

    def built(most):
        few = charter.few_shot.model_copy(update={"max": most})
        changed = charter.model_copy(update={"few_shot": few})
        _, made, _ = few_shot_library.build_few_shots(site.queue, desk.store, changed, [], NOW)
        return made

    assert Counter(one.task_type for one in built(6)) == {"po_invoice": 3, "credit_note": 3}
    assert len(built(7)) == 7
    assert 7 < len(built(500)) <= few_shot_library.EXAMPLES_MAX


def test_an_example_is_held_against_every_dataset_whatever_the_order_of_keys(site, tmp_path):
    add_labels(
        site, 40, text='{{"supplier": "{n} of the north", "about": "invoice number {n} of May in EUR"}}'
    )
    desk = curation_desk(site)
    with pytest.raises(UsageError, match="no dataset says"):
        desk.few_shot(AGENT, [])
    desk.cases(AGENT, tmp_path / "one")
    first = desk.few_shot(AGENT, [])
    shown = desk.store.examples(AGENT)[1]
    cases = load_dataset(tmp_path / "one").cases
    dev = next(case for case in cases if case.split is Split.DEV)
    turned = dict(reversed(dev.input.items()))
    sealed = dev.model_copy(update={"id": "sealed", "input": turned, "split": Split.SEALED})
    manifest = load_dataset(tmp_path / "one").manifest
    write_dataset(tmp_path / "two", manifest.model_copy(update={"name": "two"}), [sealed])
    second = desk.few_shot(AGENT, [tmp_path / "two"])
    assert len(second.beside) == 2
    assert (first.leaking, second.leaking) == (0, 1)
    gone = {one.item_id for one in shown} - {one.item_id for one in desk.store.examples(AGENT)[1]}
    assert gone == {dev.id.removeprefix("review:")}


def test_a_new_case_that_agents_are_shown_already_judges_nobody(site, tmp_path):
    add_labels(site, 30)
    desk = curation_desk(site)
    made = desk.cases(AGENT, tmp_path / "one")
    desk.few_shot(AGENT, [])
    shown = desk.store.examples(AGENT)[1]
    gate = next(case for case in made.dataset.cases if case.split is Split.GATE)
    leaking = [
        Example(**{**{name: getattr(shown[0], name) for name in Example.__slots__}, "input": gate.input})
    ]
    site.clock.move(minutes=1)
    desk.store.save_examples(AGENT, "later", leaking, site.clock.now())
    assert gate.id in desk.cases(AGENT, tmp_path / "other").leaks


@pytest.fixture
def served(site, tmp_path, monkeypatch):
    add_labels(site, 40)
    desk = curation_desk(site)
    desk.cases(AGENT, tmp_path / "labelled")
    desk.few_shot(AGENT, [])
    taker = Desk(KEY, desk.said, site.queue, site.installation.lake, site.sign_in.directory, clock=site.clock)
    app = api_app(taker, FewShots(desk.store, FewShotIndex, site.clock))
    with page_site.running(app) as address:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"pilothouse.agent={AGENT}")
        monkeypatch.setenv(TOKEN_VARIABLE, agent_token(KEY, AGENT))
        yield desk


def test_the_sdk_gets_examples_notes_their_version_and_says_feedback(served, site, monkeypatch):
    version, examples = served.store.examples(AGENT)

    @agent(task_type="po_invoice")
    def work():
        return few_shots(examples[0].input, k=2), dict(current_run().get().marks)

    found, marks = work()
    assert found[0]["input"] == examples[0].input
    assert len(found) == 2
    assert marks == {"pilothouse.few_shot.version": version}
    task = world.make_tasks()[-1].trace_id
    assert feedback("override", task_id=task, text="did it by hand") == "kept"
    assert feedback("override", task_id=task, text="did it by hand") == "known"
    assert [one.via for one in served.feedback(AGENT)] == ["sdk"]
    with pytest.raises(UsageError, match="none of ours"):
        feedback("praise", task_id=task)
    with pytest.raises(UsageError, match="no task"):
        feedback("complaint")
    with pytest.raises(UsageError, match="no finished task"):
        feedback("complaint", task_id="f" * 32)
    monkeypatch.setenv(TOKEN_VARIABLE, agent_token(KEY, "another"))
    with pytest.raises(UsageError, match="neither the feedback key"):
        few_shots(examples[0].input)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert few_shots("x") == ()
    with pytest.raises(InfrastructureError, match="does not answer"):
        feedback("complaint", task_id=task)


def test_an_mcp_client_gets_examples_of_this_agent_only(site, tmp_path):
    add_labels(site, 40)
    desk = curation_desk(site)
    desk.cases(AGENT, tmp_path / "labelled")
    desk.few_shot(AGENT, [])
    version, examples = desk.store.examples(AGENT)
    served = example_server(FewShots(desk.store, FewShotIndex, site.clock), AGENT)

    async def ask():
        async with Client(served.server) as client:
            tools = await client.list_tools()
            found = await client.call_tool(TOOL, {"input": examples[0].input, "k": 2})
            refused = await client.call_tool(TOOL, {"input": 7})
            return tools.tools, found, refused

    (tool,), found, refused = asyncio.run(ask())
    assert tool.annotations.read_only_hint
    assert found.structured_content["version"] == version
    assert found.structured_content["examples"][0]["input"] == examples[0].input
    assert json.loads(found.content[0].text) == found.structured_content
    assert refused.is_error
