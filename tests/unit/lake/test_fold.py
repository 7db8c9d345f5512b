# SPDX-License-Identifier: Apache-2.0
from decimal import Decimal

import pytest
from otlp_bodies import CONVENTIONS, START_NS, run_spans
from otlp_rows import core, fold

from pilothouse.core.evidence.task import TaskState
from pilothouse.lake.prices import Price

PRICE = Price(
    price_id="p",
    input=Decimal(2),
    cache_read=Decimal("0.5"),
    cache_creation=Decimal(3),
    output=Decimal(8),
    reasoning=Decimal(8),
)
KNOWN_COST = 650 * 2_000_000 + 300 * 500_000 + 50 * 3_000_000 + 100 * 8_000_000 + 20 * 8_000_000
KNOWN_COST += 500 * 2_000_000 + 900 * 500_000 + 80 * 8_000_000


def priced(*_):
    return PRICE


def ident(number):
    return number.to_bytes(8, "big")


def span(number, parent=0, *, operation=None, usage=None, **more):
    attributes = dict(more.pop("attributes", {}))
    if operation:
        attributes["gen_ai.operation.name"] = operation
    if usage is not None:
        attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"] = usage
    begin = more.pop("start", START_NS + number)
    return {
        "span_id": ident(number),
        "parent_span_id": ident(parent) if parent else b"",
        "attributes": attributes,
        "start": begin,
        "end": begin + 1_000,
        **more,
    }


def test_a_run_is_one_task_with_every_token_counted_once():
    row = fold(core(run_spans(), prices=priced))
    assert (row.spans, row.model_calls, row.tool_calls, row.agent_runs) == (4, 2, 1, 1)
    assert (row.tokens_input, row.tokens_cache_read, row.tokens_cache_creation) == (1_150, 1_200, 50)
    assert (row.tokens_output, row.tokens_reasoning) == (180, 20)
    assert row.cost_usd == row.cost_known_usd == KNOWN_COST
    assert (row.models, row.tools) == (["gpt-x-2026"], ["lookup"])
    assert (row.task_type, row.result, row.claim) == (
        "po_invoice",
        "completed",
        '{"invoice":17,"decision":"pay"}',
    )
    assert (row.confidence, row.version_digest, row.agent) == (0.9, "d" * 64, "triage")
    assert (row.input_preview, row.output_preview) == ("Is invoice 17 payable?", "Yes, pay 120 EUR.")
    assert row.flags == []


def test_the_same_run_in_every_convention_is_the_same_row():
    rows = {
        convention: fold(core(run_spans(convention=convention), prices=priced)) for convention in CONVENTIONS
    }
    assert rows["otel"] == rows["otel_1_36"] == rows["openinference"]


def test_a_call_without_a_price_makes_the_cost_a_lower_bound_never_zero():
    def only_first(provider, model, at_ns):
        return PRICE if at_ns < START_NS + 50_000_000 else None

    row = fold(core(run_spans(), prices=only_first))
    assert (row.cost_usd, row.cost_state, row.cost_unknown_calls) == (None, "partial", 1)
    assert row.cost_known_usd > 0
    assert fold(core(run_spans())).cost_state == "unknown"


def test_a_trace_without_model_calls_costs_nothing_to_know():
    row = fold(core([span(1, operation="invoke_agent")]))
    assert (row.cost_state, row.cost_usd) == ("none", 0)


def test_a_call_without_usage_is_counted_and_its_cost_unknown():
    row = fold(core([span(1, operation="invoke_agent"), span(2, 1, operation="chat")], prices=priced))
    assert (row.calls_without_usage, row.cost_state) == (1, "unknown")


@pytest.mark.parametrize("outer_usage", [(100, 10), None])
def test_two_stacked_instrumentations_of_one_call_count_once(outer_usage):
    spans = [
        span(1, operation="invoke_agent"),
        span(2, 1, operation="chat", usage=outer_usage),
        span(3, 2, operation="chat", usage=(100, 10)),
    ]
    row = fold(core(spans))
    assert (row.model_calls, row.tokens_input, row.calls_without_usage) == (1, 100, 0)


def test_a_call_with_usage_above_one_without_counts_once():
    spans = [span(1, operation="chat", usage=(100, 10)), span(2, 1, operation="chat")]
    row = fold(core(spans))
    assert (row.model_calls, row.tokens_input, row.calls_without_usage) == (1, 100, 0)


@pytest.mark.parametrize("between", ["execute_tool", "invoke_agent"])
def test_a_model_call_below_a_tool_or_an_agent_is_separate_work(between):
    spans = [
        span(1, operation="chat", usage=(100, 10)),
        span(2, 1, operation=between),
        span(3, 2, operation="chat", usage=(7, 1)),
    ]
    row = fold(core(spans))
    assert (row.model_calls, row.tokens_input) == (2, 107)


def test_calls_one_after_another_count_each_though_their_server_gives_all_one_id():
    same = {"gen_ai.response.id": "chatcmpl-0", "gen_ai.request.model": "m"}
    calls = [
        span(
            number,
            1,
            operation="chat",
            usage=(100 * number, 10),
            attributes=same,
            start=START_NS + number * 5 * 10**9,
        )
        for number in (2, 3, 4)
    ]
    row = fold(core([span(1, operation="invoke_agent"), *calls], prices=priced))
    assert (row.model_calls, row.tokens_input, row.tokens_output) == (3, 900, 30)


def test_two_spans_of_one_response_count_once_and_the_one_with_usage_wins():
    one = {"gen_ai.response.id": "r"}
    spans = [
        span(1, operation="invoke_agent"),
        span(2, 1, operation="chat", attributes=one),
        span(3, 1, operation="chat", usage=(5, 5), attributes=one),
    ]
    row = fold(core(spans))
    assert (row.model_calls, row.tokens_input, row.calls_without_usage) == (1, 5, 0)


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_of_two_spans_of_one_response_that_of_our_gateway_counts(order):
    """An instrumentation that left the cached part out made the call cheaper than its provider had said."""
    one = {"gen_ai.response.id": "r"}
    client, ours = order
    agent = core([span(1, operation="invoke_agent")])
    told = core([span(client, 1, operation="chat", usage=(5, 5), attributes=one)])
    seen = core(
        [span(ours, 1, operation="chat", usage=(905, 7), attributes=one)], instrument="pilothouse.gateway"
    )
    row = fold([*agent, *told, *seen])
    assert (row.model_calls, row.tokens_input, row.tokens_output) == (1, 905, 7)


def test_the_sum_on_an_agent_span_is_not_added_but_compared():
    def run(total):
        return fold(
            core(
                [
                    span(1, operation="invoke_agent", usage=total),
                    span(2, 1, operation="chat", usage=(100, 10)),
                ]
            )
        )

    assert run((100, 10)).tokens_input == 100
    assert run((100, 10)).flags == []
    assert run((300, 10)).flags == ["usage_mismatch"]


def test_the_sum_on_an_agent_span_stands_in_when_no_call_reports_usage():
    spans = [
        span(1, operation="invoke_agent", usage=(100, 10)),
        span(2, 1, operation="invoke_agent", usage=(60, 5)),
    ]
    row = fold(core(spans, prices=priced))
    assert (row.tokens_input, row.cost_state, row.cost_usd) == (100, "unknown", None)
    assert "agent_usage" in row.flags


def test_the_task_is_the_agent_span_nearest_to_the_root():
    spans = [
        span(1, name="POST /run"),
        span(
            2,
            1,
            operation="invoke_agent",
            attributes={"gen_ai.agent.name": "main", "pilothouse.task.type": "t"},
        ),
        span(3, 2, operation="invoke_agent", attributes={"gen_ai.agent.name": "sub"}),
    ]
    row = fold(core(spans))
    assert (row.agent, row.root_span_id, row.agent_runs, row.task_type) == ("main", ident(1).hex(), 2, "t")
    assert row.start_ns == START_NS + 2
    assert "no_agent_span" in fold(core([span(1)])).flags


def test_of_several_claims_the_agents_own_counts_and_the_others_are_not_passed_over_in_silence():
    """One of fifty orders in a trace was held against the system of record, and the truth line was that one's."""

    def claims(number, parent, text):
        return span(number, parent, operation="invoke_agent", attributes={"pilothouse.task.claim": text})

    row = fold(core([claims(1, None, '"a"'), claims(2, 1, '"b"')]))
    assert (row.claim, "other_claims" in row.flags) == ('"a"', True)
    row = fold(core([claims(1, None, '"a"'), claims(2, 1, '"a"'), span(3, 1)]))
    assert (row.claim, row.flags) == ('"a"', [])


def test_an_agent_that_another_one_called_speaks_for_itself_alone():
    """A task that had failed was completed, of the type and with the claim of an agent that it had called."""

    def said(agent, version, **more):
        attributes = {"pilothouse.agent": agent, "pilothouse.version": version, **more}
        return {
            "operation": "invoke_agent",
            "attributes": {key: value for key, value in attributes.items() if value},
        }

    told = {
        "pilothouse.task.type": "refund",
        "pilothouse.task.result": "completed",
        "pilothouse.task.claim": '"paid"',
    }
    for version in ("a", ""):
        row = fold(
            core([span(1, status=2, **said("front", version)), span(2, 1, **said("refunder", "b", **told))])
        )
        assert (row.agent, row.version_digest, row.task_type) == ("front", version or None, "undeclared")
        assert (row.result, row.claim, row.flags) == ("failed", None, ["other_agents"])


def test_the_root_speaks_for_a_task_whose_agent_span_has_another_name():
    root = span(1, attributes={"pilothouse.version": "v", "pilothouse.task.type": "t"})
    row = fold(core([root, span(2, 1, operation="invoke_agent", attributes={"gen_ai.agent.name": "triage"})]))
    assert (row.agent, row.version_digest, row.task_type, row.flags) == ("triage", "v", "t", [])


def test_what_the_task_says_may_stand_on_any_span():
    spans = [
        span(1, operation="invoke_agent"),
        span(
            2,
            1,
            attributes={
                "pilothouse.task.type": "t",
                "pilothouse.task.result": "escalated",
                "pilothouse.version": "v",
            },
        ),
    ]
    row = fold(core(spans))
    assert (row.task_type, row.result, row.version_digest) == ("t", "escalated", "v")


@pytest.mark.parametrize(
    ("root", "result"),
    [
        ({}, "completed"),
        ({"status": 2}, "failed"),
        ({"attributes": {"pilothouse.task.result": "refused"}}, "refused"),
    ],
)
def test_the_result_is_what_the_task_says_else_the_status_of_the_root(root, result):
    assert fold(core([span(1, **root)])).result == result


def test_an_unknown_result_word_is_unknown_and_flagged():
    row = fold(core([span(1, attributes={"pilothouse.task.result": "great"})]))
    assert (row.result, row.flags) == ("unknown", ["no_agent_span", "unknown_result"])


def test_a_task_of_a_clock_that_is_ahead_says_so():
    """A year ahead it was in no window of a year, and nothing said why."""
    ahead = span(1, operation="invoke_agent", start=START_NS + 366 * 86_400 * 10**9)
    assert fold(core([ahead])).flags == ["clock_ahead"]


def test_without_a_root_the_earliest_orphan_leads_and_the_result_is_unknown():
    row = fold(core([span(3, 9, status=2), span(2, 8)]), TaskState.INCOMPLETE)
    assert (row.result, row.root_span_id, row.orphan_spans) == ("unknown", ident(2).hex(), 2)


@pytest.mark.parametrize("ring", [[(1, 1)], [(1, 2), (2, 1)], [(1, 3), (2, 1), (3, 2), (4, 3)]])
def test_a_ring_of_parents_is_cut_and_flagged(ring):
    row = fold(core([span(number, parent) for number, parent in ring]))
    assert "cycle" in row.flags
    assert row.spans == len(ring)
    assert row.root_span_id == ident(1).hex()


def test_a_chain_of_ten_thousand_spans_is_walked_without_recursion():
    row = fold(core([span(number, number - 1) for number in range(1, 10_001)]))
    assert row.max_depth == 10_000


def test_a_child_outside_its_parent_is_counted_as_skewed():
    late = span(2, 1, start=START_NS + 10 * 10**9)
    assert fold(core([span(1), late])).skewed_spans == 1


def test_hosts_are_those_of_tools_and_of_requests_right_below_them():
    at = {"server.address": "erp", "server.port": 1}
    model = {"server.address": "model"}
    spans = [
        span(1, operation="invoke_agent"),
        span(2, 1, operation="execute_tool", attributes=at),
        span(3, 2, attributes={"server.address": "mail"}),
        span(4, 1, operation="chat", attributes=model),
    ]
    assert fold(core(spans)).hosts == ["erp:1", "mail"]


def test_a_call_that_failed_names_no_model_that_answered():
    attributes = {"llm.model_name": "asked-for", "openinference.span.kind": "LLM"}
    answered, failed = (fold(core([span(1, attributes=attributes, **more)])) for more in ({}, {"status": 2}))
    assert (answered.models, failed.models) == (["asked-for"], [])


@pytest.mark.parametrize(
    "said",
    [
        {"llm.request.type": "chat", "gen_ai.system": "OpenAI"},
        {"llm.request.type": "completion"},
        {"llm.request.type": "unknown"},
        {"traceloop.span.kind": "unknown"},
        {"gen_ai.operation.name": "responses"},
        {"gen_ai.operation.name": "Chat"},
        {},
    ],
)
def test_a_call_under_another_name_costs_what_it_used_and_is_never_free(said):
    call = span(2, 1, usage=(100, 10), attributes={"gen_ai.request.model": "m", **said})
    spans = [span(1, operation="invoke_agent"), call]
    row = fold(core(spans, prices=priced))
    assert (row.model_calls, row.tokens_input, row.tokens_output) == (1, 100, 10)
    assert row.cost_usd == 100 * 2_000_000 + 10 * 8_000_000
    assert (fold(core(spans)).cost_usd, fold(core(spans)).cost_state) == (None, "unknown")


def test_tokens_without_a_model_and_an_operation_have_a_cost_that_nobody_knows():
    row = fold(core([span(1, operation="invoke_agent"), span(2, 1, usage=(100, 10))], prices=priced))
    assert (row.model_calls, row.cost_usd, row.cost_state) == (1, None, "unknown")


def test_a_call_that_was_told_by_a_span_of_another_name_around_it_counts_once():
    outer = span(2, 1, operation="guardrail", usage=(100, 10))
    inner = span(3, 2, operation="chat", usage=(100, 10), attributes={"gen_ai.request.model": "m"})
    row = fold(core([span(1, operation="invoke_agent"), outer, inner], prices=priced))
    assert (row.model_calls, row.tokens_input, row.cost_state) == (1, 100, "known")


def test_an_answer_whose_tokens_nobody_told_makes_the_cost_unknown_never_lower():
    attributes = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 100}
    broken_off = span(2, 1, operation="chat", attributes=attributes)
    row = fold(core([span(1, operation="invoke_agent"), broken_off], prices=priced))
    assert (row.cost_usd, row.cost_state, row.calls_without_usage) == (None, "unknown", 1)
    embedded = span(2, 1, operation="embeddings", attributes=attributes)
    assert fold(core([embedded], prices=priced)).cost_usd == 100 * 2_000_000


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("workflow", "invoke_workflow"), ("agent", "invoke_agent"), ("tool", "execute_tool")],
)
def test_kinds_of_openllmetry_are_read(kind, operation):
    (row,) = core([span(1, attributes={"traceloop.span.kind": kind})])
    assert row.operation == operation


def tool(number, parent, name):
    return span(number, parent, operation="execute_tool", attributes={"gen_ai.tool.name": name})


def test_a_call_that_the_framework_and_our_layer_tell_of_counts_once():
    agent = span(1, operation="invoke_agent")
    twice = [tool(2, 1, "find"), tool(3, 2, "crm.find@1"), tool(4, 1, "pay"), tool(5, 4, "crm.check@1")]
    row = fold(core([agent, *twice]))
    assert (row.tool_calls, row.tools) == (3, ["crm.check@1", "crm.find@1", "pay"])
