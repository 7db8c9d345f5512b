# SPDX-License-Identifier: Apache-2.0
"""Who may answer a call: the exact model that the charter pins, then its stand-ins, each with its breaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.models_known import MODEL_ALIASES
from pilothouse.core.charter.rules.model import is_exact_model
from pilothouse.core.evidence.stand_in import is_same_model
from pilothouse.ports.gateway import Promise, Provider, WireProtocol
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.chain_member import Member
from pilothouse.runtime.gateway.policy import AgentPolicy, Directory, Pin
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.routes import Operation, Route
from pilothouse.runtime.resilience.breaker import Breaker, BreakerPolicy

__all__ = ["ChainBuilder"]

CHAINS_REMEMBERED_MAX = 1_000
"""Chains that were found for a key, a model and a route; more is what an agent invents."""

BREAKERS_MAX = 1_000
"""Models at providers whose health is remembered; the one longest unasked is forgotten. Without a charter an agent may invent them."""

MODELS_REMEMBERED_MAX = 10_000
"""Model ids that were judged exact or not; invented ones must not fill the memory."""


class ChainBuilder:
    """Finds which models may answer, and remembers the health of each.

    Args:
        directory: Returns keys, providers and policies in force.
    """

    def __init__(self, directory: Callable[[], Directory]) -> None:
        self._directory = directory
        self._facts = CharterFacts(today=datetime.now(UTC).date(), model_aliases=MODEL_ALIASES)
        self._exact: dict[str, bool] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._of: Directory | None = None
        self._found: dict[tuple[str, str | None, str, bool], tuple[AgentPolicy, Route, list[Member]]] = {}
        """By key, model, path and whether stand-ins are kept out; only while the directory is the one that they were found in."""

    def members(self, call: Call) -> list[Member]:
        """Return who may answer: what was asked for, then the stand-ins of the same protocol, unless the call needs its model.

        Raises:
            Refused: The model is not exact or not allowed, or nobody may answer.
        """
        directory = self._directory()
        if call.promise is not None:
            return [self._keeper(call, call.promise, directory.providers.get(call.promise.provider))]
        if directory is not self._of or len(self._found) > CHAINS_REMEMBERED_MAX:
            self._of, self._found = directory, {}
        asked = (call.key.prefix, call.model, call.route.path, call.needs_its_model)
        known = self._found.get(asked)
        if known is not None and known[0] is call.policy and known[1] is call.route:
            return known[2]
        if call.route.names_model:
            self.check_model(call, call.model)
        found = self._find(call, directory.providers)
        self._found[asked] = (call.policy, call.route, found)
        return found

    def _keeper(self, call: Call, promise: Promise, provider: Provider | None) -> Member:
        """Return who has an answer that came later, be it a stand-in, or one that the charter no longer names.

        Raises:
            Refused: It may not be asked any more.
        """
        named = (
            pin for pin in call.policy.chain if (pin.provider, pin.model) == (promise.provider, promise.model)
        )
        pin = next(named, Pin(provider=promise.provider, model=promise.model))
        problem = _unusable(pin, provider, call, is_first=True)
        if provider is None or problem:
            raise Refused(
                Refusal(
                    RefusalCode.UPSTREAM_UNAVAILABLE,
                    f"the answer is where it was asked for, and {problem}",
                    "Look at the providers: `pilothouse provider list`.",
                )
            )
        return Member(pin, provider, self._breaker(pin), is_asked=True)

    def check_model(self, call: Call, model: str | None) -> None:
        """Check that a model that a call asks for is exact, and allowed by key and charter.

        Args:
            call: The call.
            model: Its own, or one that the provider would ask in its turn.

        Raises:
            Refused: It is not.
        """
        key, chain = call.key, call.policy.chain
        if model is None:
            raise Refused(
                Refusal(
                    RefusalCode.PIN_UNKNOWN,
                    "the body names no model that can be read (JSON with a text `model`)",
                    "Send an exact model id.",
                )
            )
        if key.models and model not in key.models:
            raise Refused(
                Refusal(
                    RefusalCode.MODEL_NOT_ALLOWED,
                    f"key {key.prefix} may not ask for {model[:120]!r}, only for {', '.join(key.models)}",
                    f"Make a key that may: `pilothouse key add {key.agent} --model {model[:120]}`.",
                )
            )
        if not self._is_exact(model) and model not in key.models:
            exact = MODEL_ALIASES.get(model)
            named = f"Write `{exact[0]}`" if exact else "Write the dated id that the provider lists"
            raise Refused(
                Refusal(
                    RefusalCode.PIN_FLOATING,
                    f"{model[:120]!r} is an alias: what answers can change without a word",
                    f"{named} in the agent and in `model.pin` of its charter.",
                )
            )
        if chain and model not in key.models and all(model != pin.model for pin in chain):
            raise Refused(
                Refusal(
                    RefusalCode.PIN_UNKNOWN,
                    f"the charter of {key.agent} pins {chain[0].model}, and {model[:120]!r} is neither it nor a fallback",
                    f"Ask for `{chain[0].model}`, or change the pin after `pilothouse gate`.",
                )
            )

    def _is_exact(self, model: str) -> bool:
        known = self._exact.get(model)
        if known is None:
            if len(self._exact) > MODELS_REMEMBERED_MAX:
                self._exact.clear()
            known = self._exact[model] = is_exact_model(model, self._facts)
        return known

    def _find(self, call: Call, providers: Mapping[str, Provider]) -> list[Member]:
        """Look for who may answer.

        Raises:
            Refused: Nobody may.
        """
        pins = list(call.policy.chain)
        if call.model is not None:
            asked = next((pin for pin in pins if pin.model == call.model), None)
            if asked is None:
                only = self._only_provider(call.protocol)
                pins = [Pin(provider=only.name, model=call.model, region=only.region)]
            elif call.route.operation is not Operation.COUNT_TOKENS:
                pins = pins[pins.index(asked) :]
            else:
                pins = [asked]
        elif not pins:
            pins = [Pin(provider=self._only_provider(call.protocol).name, model="")]
        else:
            pins = pins[:1]
        if call.needs_its_model:
            pins = [pin for pin in pins if is_same_model(pins[0], pin.model)]
        members, problems = [], []
        for place, pin in enumerate(pins):
            provider = providers.get(pin.provider)
            problem = _unusable(pin, provider, call, is_first=place == 0)
            if provider is None or problem:
                problems.append(problem)
                continue
            is_asked = call.model is None or pin.model == call.model
            members.append(Member(pin, provider, self._breaker(pin), is_asked=is_asked))
        if not members:
            raise Refused(
                Refusal(
                    RefusalCode.UPSTREAM_UNAVAILABLE,
                    "; ".join(problems),
                    f"Say where it is: `pilothouse provider add {pins[0].provider} URL --credential-env VARIABLE`.",
                )
            )
        return members

    def _breaker(self, pin: Pin) -> Breaker:
        key = (pin.provider, pin.model)
        breaker = self._breakers.pop(key) if key in self._breakers else Breaker(BreakerPolicy())
        self._breakers[key] = breaker  # last, as it was just asked for
        if len(self._breakers) > BREAKERS_MAX:
            del self._breakers[next(iter(self._breakers))]
        return breaker

    def _only_provider(self, protocol: WireProtocol) -> Provider:
        found = [one for one in self._directory().providers.values() if one.protocol is protocol]
        if len(found) == 1:
            return found[0]
        what = "no provider speaks" if not found else f"{len(found)} providers speak"
        raise Refused(
            Refusal(
                RefusalCode.UPSTREAM_UNAVAILABLE,
                f"{what} the {protocol.value} protocol, and no charter pins which",
                "Pin it: `model.pin.provider` in the charter."
                if found
                else "Add one: `pilothouse provider add NAME URL --credential-env VARIABLE`.",
            )
        )


def _unusable(pin: Pin, provider: Provider | None, call: Call, *, is_first: bool) -> str:
    """Return why a member of the chain cannot be asked, or empty."""
    if provider is None:
        return f"no provider {pin.provider!r} is known here"
    if provider.protocol is not call.protocol:
        return f"provider {pin.provider!r} does not speak the {call.protocol.value} protocol"
    region = pin.region or provider.region
    if call.policy.regions is not None and region is not None and region not in call.policy.regions:
        return f"provider {pin.provider!r} answers in {region}, which `residency` does not allow"
    if not is_first and not pin.proven:
        return f"{pin.model} never passed the release gate, and `model.require_evidence` asks for it"
    return ""
