# SPDX-License-Identifier: Apache-2.0
import pytest

from pilothouse.core.charter.draft import INTEGRATIONS_MAX, TOOLS_MAX, draft_text
from pilothouse.core.charter.draft_name import agent_id, agent_of
from pilothouse.core.charter.findings import FindingKind
from pilothouse.core.charter.sighting import RepositoryReport, Sighting, SightingKind
from stubs.charter_trees import FACTS, check


def seen(kind, value, file="app.py", line=1, **fields):
    return Sighting(kind=SightingKind(kind), value=value, file=file, line=line, **fields)


def report(*sightings, name="ticket-router"):
    return RepositoryReport(name=name, sightings=sightings, files_read=3, notes=())


def draft(*sightings, name="ticket-router", inside=lambda file: file):
    return draft_text(report(*sightings, name=name), inside=inside)


def questions_only(text):
    result = check(text, facts=FACTS)
    assert [finding.text for finding in result.of_kind(FindingKind.ERROR)] == []
    assert result.of_kind(FindingKind.QUESTION)
    return result


def test_an_empty_repository_gives_a_draft_of_open_questions():
    result = questions_only(draft(name="x"))
    assert result.charter.agent == "x-agent"
    assert len(result.of_kind(FindingKind.QUESTION)) > 50


def test_everything_found_names_its_place():
    text = draft(
        seen("framework", "pydantic-ai"),
        seen("model", "acme:acme-large-2026-04-12", line=7),
        seen("tool", "find_ticket", line=9, names=("ticket", "with odd: name")),
        seen("host", "tickets.corp.test:443", line=11),
        seen("mcp_server", "files", file=".mcp.json", line=2),
        seen("schema_file", "schemas/out.json", file="schemas/out.json"),
        seen("secret", "model provider key", file=".env", line=3),
        seen("prompt_text", "SYSTEM_PROMPT", line=20, detail="400 characters"),
    )
    result = questions_only(text)
    charter = result.charter
    assert charter.function.verb == "route"
    assert charter.function.output_schema == "schemas/out.json"
    assert charter.model.pin.model == "acme-large-2026-04-12"
    assert charter.integrations["tickets-corp"].hosts == ("tickets.corp.test:443",)
    assert set(charter.integrations) == {"tickets-corp", "files"}
    assert set(charter.tools["find_ticket@1"].args) == {"ticket", "with odd: name"}
    assert charter.prompts == ()
    for place in ("app.py:7", "app.py:9", "app.py:11", ".mcp.json:2", ".env:3", "app.py:20", "pydantic-ai"):
        assert place in text


def test_an_alias_stays_an_open_question_with_the_exact_ids():
    text = draft(seen("model", "gpt-4o", line=4), seen("model", "openai:gpt-4o", file="b.py", line=5))
    charter = questions_only(text).charter
    assert charter.model.pin.model == "?"
    assert charter.model.pin.provider == "openai"
    assert "gpt-4o is an alias, app.py:4, b.py:5; exact ids: gpt-4o-2024-11-20" in text


def test_an_alias_nobody_knows_says_whom_to_ask():
    assert "exact ids: ask the provider" in draft(seen("model", "mistral-large"))


def test_an_embedding_is_not_the_agents_model():
    assert questions_only(draft(seen("model", "text-embedding-3-small"))).charter.model.pin.model == "?"


def test_prompt_files_outside_the_charters_folder_are_left_open():
    sighting = seen("prompt_file", "prompts/a.md", file="prompts/a.md")
    assert '"prompts/a.md"' in draft(sighting)
    assert questions_only(draft(sighting, inside=lambda _: None)).charter.prompts == "?"


def test_hosts_of_model_providers_are_no_integrations():
    charter = questions_only(draft(seen("host", "api.openai.com:443"))).charter
    assert charter.integrations == "?"


def test_two_hosts_of_one_name_get_two_names():
    charter = questions_only(
        draft(seen("host", "api.corp.com:443"), seen("host", "api.corp.com:8443"))
    ).charter
    assert set(charter.integrations) == {"corp", "corp-2"}


def test_a_host_without_a_telling_word_is_still_a_system():
    charter = questions_only(draft(seen("host", "api.io:443"), seen("mcp_server", "!!"))).charter
    assert set(charter.integrations) == {"system", "system-2"}


def test_many_things_are_counted_and_not_written_out():
    tools = [seen("tool", f"tool_{n}", line=n) for n in range(TOOLS_MAX + 3)]
    hosts = [seen("host", f"h{n}.corp.test:443", line=n) for n in range(INTEGRATIONS_MAX + 2)]
    text = draft(*tools, *hosts)
    charter = questions_only(text).charter
    assert len(charter.tools) == TOOLS_MAX
    assert len(charter.integrations) == INTEGRATIONS_MAX
    assert "# 3 more were found" in text
    assert "# 2 more were found" in text


def test_many_places_of_one_value_are_counted():
    text = draft(*(seen("host", "erp.corp.test:443", line=n) for n in range(1, 6)))
    assert "app.py:1, app.py:2, app.py:3 and 2 more" in text


def test_the_same_tool_seen_twice_is_one_tool_with_its_arguments():
    charter = questions_only(
        draft(
            seen("tool", "find", detail="schema"),
            seen("tool", "find", line=5, names=("a",)),
            seen("tool", "find", line=6),
        )
    ).charter
    assert list(charter.tools) == ["find@1"]
    assert set(charter.tools["find@1"].args) == {"a"}


@pytest.mark.parametrize(
    ("said", "types", "shares", "comment"),
    [
        ((), ["main"], [1.0], ""),
        (("refund",), ["refund"], [1.0], "as its spans say: app.py:1"),
        (("no", "po_invoice"), ["no", "po_invoice"], None, "as its spans say: app.py:2"),
        (("Refund, partial",), ["main"], [1.0], 'the code says "Refund, partial" too: app.py:1'),
        (("a", "b", "c", "d"), ["main"], [1.0], 'the code says "a" too: app.py:1'),
    ],
)
def test_the_task_types_are_those_that_the_code_gives_its_spans(said, types, shares, comment):
    """A draft knew `main` only, and every task that arrived was outside of the scope."""
    named = [seen("task_type", name, line=line, detail="span") for line, name in enumerate(said, start=1)]
    text = draft(seen("tool", "find"), *named)
    charter = questions_only(text).charter
    assert list(charter.task_types) == list(charter.tools["find@1"].task_types) == types
    if shares:
        assert [terms.share for terms in charter.task_types.values()] == shares
    assert comment in text


@pytest.mark.parametrize("name", ["", "Mail  Sorter!", "x" * 100, "ünïcode", "a:b # c"])
def test_any_name_makes_a_readable_draft(name):
    text = draft(seen("tool", name or "t"), seen("mcp_server", name or "m"), name=name)
    assert questions_only(text).charter.agent == agent_id(name)


@pytest.mark.parametrize(
    ("sightings", "agent", "origin"),
    [
        ((), "ticket-router", ""),
        ((seen("agent", "orders", line=7, detail="framework"),), "orders", "as the code names it: app.py:7"),
        (
            (seen("agent", "orders", line=7, detail="span"), seen("agent", "triage", detail="framework")),
            "orders",
            "as its spans say: app.py:7",
        ),
        (
            (
                seen("agent", "triage", detail="framework"),
                seen("agent", "billing", line=4, detail="framework"),
            ),
            "ticket-router",
            "the folder's name; the code says 'billing' at app.py:4, 'triage' at app.py:1",
        ),
        (
            (seen("agent", "Order Desk", detail="span"),),
            "ticket-router",
            "the folder's name; the code says 'Order Desk' at app.py:1",
        ),
    ],
)
def test_the_agent_has_the_name_that_its_telemetry_carries(sightings, agent, origin):
    assert agent_of(report(*sightings)) == (agent, origin)
    assert questions_only(draft(*sightings)).charter.agent == agent
