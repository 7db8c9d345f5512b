# SPDX-License-Identifier: Apache-2.0
"""A price is looked for under the names that spans give, and those are told where it is missing."""

from types import SimpleNamespace

from pilothouse.core.evidence.task import CostState
from pilothouse.testing import example_task
from pilothouse.workflows.gateway.without_price import models_without_price


def span(provider, model, tokens, cost=None, attributes="{}"):
    return SimpleNamespace(
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
    assert models_without_price(Traffic(*calls, *others)) == [("openai", "m-1")]


def test_a_tier_is_named_as_it_is_priced_and_fees_have_no_price_of_tokens():
    flex = '{"gen_ai.openai.response.service_tier": "flex"}'
    calls = (
        span("openai", "m-1", 9, attributes=flex),
        span("openai", "m-2", 9, attributes='{"pilothouse.gateway.fees": "true"}'),
        span("openai", "m-3", 9, attributes='{"openai.response.service_tier": "default"}'),
        span("openai", "m-4", 9, attributes="{"),
    )
    expected = [("openai", "m-1 (flex)"), ("openai", "m-3"), ("openai", "m-4")]
    assert models_without_price(Traffic(*calls)) == expected


def test_where_every_cost_is_known_no_trace_is_read():
    assert models_without_price(Traffic(span("openai", "m-1", 90), cost_state=CostState.KNOWN)) == []
