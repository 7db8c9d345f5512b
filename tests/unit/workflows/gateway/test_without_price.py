# SPDX-License-Identifier: Apache-2.0
"""Why a cost is unknown: a price is looked for under the names that spans give, and some calls do not say what they used."""

from types import SimpleNamespace

from pilothouse.core.evidence.task import CostState
from pilothouse.testing import example_task
from pilothouse.workflows.gateway.without_price import unknown_costs


def span(provider, model, tokens, cost=None, attributes="{}", **other):
    return SimpleNamespace(
        operation=other.get("operation", "chat"),
        status=other.get("status", "ok"),
        provider=provider,
        response_model=model,
        request_model=None,
        tokens_total=tokens,
        cost_usd_text=cost,
        attributes=attributes,
    )


class Traffic:
    def __init__(self, *spans, cost_state=CostState.UNKNOWN):
        self.spans = spans
        self.task = example_task(models=("m-1",), cost_state=cost_state, cost_usd=None)

    def tasks(self, _wanted, *, limit):
        assert limit
        return SimpleNamespace(tasks=(self.task,))

    def traces(self, trace_ids):
        return {trace_id: SimpleNamespace(spans=self.spans) for trace_id in trace_ids}


def test_calls_with_tokens_and_without_a_cost_are_named_once():
    calls = (span("openai", "m-1", 90), span("openai", "m-1", 10), span("acme", "m-2", 5, "0.01"))
    others = (span("openai", "m-3", None), span(None, "m-4", 7), span("openai", None, 7))
    found = unknown_costs(Traffic(*calls, *others))
    assert (found.without_price, found.without_usage) == ([("openai", "m-1")], [("openai", "m-3")])


def test_calls_that_used_nothing_or_failed_are_not_asked_to_say_what_they_used():
    calls = (
        span("openai", "m-1", None, status="error"),
        span("openai", "m-2", None, operation="execute_tool"),
        span("openai", "m-3", 0, "0"),
    )
    assert unknown_costs(Traffic(*calls)).without_usage == []


def test_a_tier_is_named_as_it_is_priced_and_fees_have_no_price_of_tokens():
    flex = '{"gen_ai.openai.response.service_tier": "flex"}'
    calls = (
        span("openai", "m-1", 9, attributes=flex),
        span("openai", "m-2", 9, attributes='{"pilothouse.gateway.fees": "true"}'),
        span("openai", "m-3", 9, attributes='{"openai.response.service_tier": "default"}'),
        span("openai", "m-4", 9, attributes="{"),
    )
    expected = [("openai", "m-1 (flex)"), ("openai", "m-3"), ("openai", "m-4")]
    assert unknown_costs(Traffic(*calls)).without_price == expected


def test_where_every_cost_is_known_no_trace_is_read():
    found = unknown_costs(Traffic(span("openai", "m-1", 90), cost_state=CostState.KNOWN))
    assert (found.without_price, found.without_usage) == ([], [])
