# SPDX-License-Identifier: Apache-2.0
"""A decision that is remembered for a call's shape is the one that the engine would make for the call itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from permissions_stub import PAY, tool

from pilothouse.core.charter.policy import ArgumentFacts, CallFacts
from pilothouse.runtime.permissions.engine import CompiledTool

FREE = {name: value for name, value in PAY["args"]["amount"].items() if name not in ("max", "sum_per_day")}
TOOLS = [
    CompiledTool("bank.pay@3", tool(PAY)),
    CompiledTool("bank.pay@3", tool({**PAY, "budget": None})),
    CompiledTool("bank.pay@3", tool({**PAY, "args": {**PAY["args"], "amount": FREE}})),
]
LIMITS = (20_000, 100_000, 250_000, 300_000)
AMOUNTS = st.one_of(
    st.sampled_from([one + by for one in LIMITS for by in (-1, 0, 1)]),
    st.sampled_from([-(2**63) - 1, -1, 0, 2**63 - 1, 2**63, 2**70]),
    st.integers(0, 400_000),
)
ORIGINS = st.frozensets(st.sampled_from(["request", "registry", "field", "model", "absent"]), min_size=1)
FACTS = st.builds(
    ArgumentFacts,
    origins=ORIGINS,
    fits=st.booleans(),
    amount=AMOUNTS,
    sum_task=AMOUNTS,
    sum_day=AMOUNTS,
    refs=st.booleans(),
)
COUNTS = st.sampled_from([0, 1, 2, 3, 39, 40, 41, 2**62])
CALLS = st.builds(
    CallFacts,
    entitled=st.booleans(),
    used_task=COUNTS,
    used_day=COUNTS,
    tainted=st.booleans(),
    args=st.fixed_dictionaries(dict.fromkeys(("recipient", "amount", "note"), FACTS)),
    unknown=st.sampled_from([(), ("memo",)]),
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(TOOLS), CALLS, st.booleans())
def test_what_is_remembered_is_what_would_be_decided(compiled, facts, killed):
    remembered = compiled.decide(facts, agent="a", killed=killed)
    assert remembered == compiled._decide(facts, "a", killed=killed)


def test_amounts_within_the_same_limits_share_a_decision():
    compiled = CompiledTool("bank.pay@3", tool(PAY))
    for amount in range(1, 200):
        one = ArgumentFacts(origins=frozenset({"request"}), amount=amount, sum_task=amount, sum_day=amount)
        args = dict.fromkeys(("recipient", "amount", "note"), one)
        assert compiled.decide(CallFacts(entitled=True, args=args), agent="a").decision == "allow"
    assert len(compiled._decided) == 1
