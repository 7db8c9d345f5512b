# SPDX-License-Identifier: Apache-2.0
"""The compiled policy and the rules as they are written down decide alike, whatever a tool changes and whoever says so.

Where they differ a call is denied, so a mistake in either would only be seen by whoever waits for the call.
"""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from permissions_stub import PAY, tool

from pilothouse.core.charter.contract import Effect
from pilothouse.core.charter.policy import ArgumentFacts, CallFacts, decide_facts
from pilothouse.runtime.permissions.engine import CompiledTool

ARGS = {
    **PAY["args"],
    "amount": {**PAY["args"]["amount"], "sum_per_task": 2700.0},
    "number": {"role": "neutral", "type": "text"},
}
TOOLS = [
    CompiledTool(
        "bank.pay@3", tool({**PAY, "args": ARGS, "effect": effect, "on_fail": on_fail, "budget": budget})
    )
    for effect in get_args(Effect)
    for on_fail, budget in (("ask", PAY["budget"]), ("deny", None))
]
LIMITS = (20_000, 250_000, 270_000, 300_000)
AMOUNTS = st.sampled_from([0, *(one + by for one in LIMITS for by in (-1, 0, 1))])
ORIGINS = st.frozensets(
    st.sampled_from(["request", "registry", "owner", "handle", "field", "model"]), min_size=1, max_size=2
)
FACTS = st.builds(
    ArgumentFacts,
    origins=ORIGINS,
    fits=st.sampled_from([True, True, False]),
    amount=AMOUNTS,
    sum_task=AMOUNTS,
    sum_day=AMOUNTS,
    refs=st.booleans(),
)
ABSENT = ArgumentFacts(origins=frozenset({"absent"}))
PROVEN = ArgumentFacts(origins=frozenset({"request"}))
CALLS = st.builds(
    CallFacts,
    entitled=st.sampled_from([True, True, False]),
    used_task=st.sampled_from([0, 1, 2]),
    used_day=st.sampled_from([0, 39, 40]),
    tainted=st.booleans(),
    args=st.fixed_dictionaries({name: st.sampled_from([PROVEN, ABSENT]) | FACTS for name in ARGS}),
    unknown=st.sampled_from([(), (), ("memo",)]),
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TOOLS), CALLS)
def test_both_decide_alike(compiled, facts):
    decided, reference = compiled.decide(facts, agent="a"), decide_facts(compiled.policy, facts)
    assert (decided.decision, decided.failed) == (reference.decision, reference.failed)


def one_argument_otherwise():
    """Yield every call in which one argument is anything, and all others are proven."""
    for name in ARGS:
        amounts = (0, *(one + by for one in LIMITS for by in (0, 1))) if name == "amount" else (0,)
        for origin, fits, refs, amount, tainted in product(
            ("request", "owner", "handle", "field", "model", "absent"),
            (True, False),
            (True, False),
            amounts,
            (True, False),
        ):
            if origin == "absent" and (amount or refs or not fits):
                continue
            one = ArgumentFacts(
                origins=frozenset({origin}),
                fits=fits,
                refs=refs,
                amount=amount,
                sum_task=amount,
                sum_day=amount,
            )
            yield CallFacts(entitled=True, tainted=tainted, args={**dict.fromkeys(ARGS, PROVEN), name: one})


@pytest.mark.parametrize("compiled", TOOLS, ids=lambda one: f"{one.policy.effect}-{one.policy.on_fail}")
def test_both_decide_alike_whatever_one_argument_is(compiled):
    seen = set()
    for facts in one_argument_otherwise():
        decided, reference = compiled.decide(facts, agent="a"), decide_facts(compiled.policy, facts)
        assert (decided.decision, decided.failed) == (reference.decision, reference.failed), facts
        seen.add(decided.decision)
    assert seen == {"allow", "deny"} | ({"ask"} if compiled.policy.on_fail == "ask" else set())
