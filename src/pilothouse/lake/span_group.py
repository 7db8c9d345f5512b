# SPDX-License-Identifier: Apache-2.0
"""Flatten spans that are alike, column by column: this is the inner loop of the intake.

Spans of one request that name the same attributes in the same order and repeat the same values differ in little.
What they share is worked out once; what differs is gathered as one list for each column, and what no span of the
group says costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from operator import add, le, sub
from typing import Any, NamedTuple

import msgspec

from pilothouse.core.evidence.price import priced_as, tier_of
from pilothouse.core.evidence.task import TokenCount
from pilothouse.lake import limits
from pilothouse.lake.attributes import Attribute
from pilothouse.lake.columns import COST_NONE, COST_OTHERWISE, COST_PRICED, COST_UNPRICED
from pilothouse.lake.layout import Layout, shared_values
from pilothouse.lake.otlp_dialect import Dialect
from pilothouse.lake.otlp_events import NO_EVENTS, Events, read_events, read_links
from pilothouse.lake.otlp_fields import (
    DAY_NS,
    claim_text,
    confidence_of,
    dropped_count,
    first_chunk_ns,
    number_of,
    optional_text,
    server_text,
    times_of,
)
from pilothouse.lake.otlp_request import SpanHead
from pilothouse.lake.otlp_sender import Sender
from pilothouse.lake.payload import json_text, preview
from pilothouse.lake.prices import PriceSource, cost_pico
from pilothouse.lake.rows import Arrival, bounded
from pilothouse.lake.semconv import (
    DEFINITION_KEYS,
    INPUT_ONLY_OPERATIONS,
    PAYLOAD_INPUTS,
    PAYLOAD_OUTPUTS,
    PROVIDERS,
    RETRIEVAL_OPERATIONS,
    SPAN_KINDS,
    SYSTEM_KEYS,
    TOOL_OPERATIONS,
    is_model_call,
)
from pilothouse.lake.span_block import Column, SpanBlock
from pilothouse.lake.usage import (
    EXCLUSIVE_SCOPES,
    GATEWAY_SCOPE,
    MEASURED,
    NO_USAGE,
    REASONING_BESIDE_SCOPES,
    split_usage,
)

__all__ = ["Shared", "SpanGroup", "share"]

FAMILIES = {
    **dict.fromkeys(TOOL_OPERATIONS, "tool"),
    **dict.fromkeys(RETRIEVAL_OPERATIONS, "retrieval"),
}
"""Operation → family of payload names; all others speak like a model."""

TOKENS = "tokens_input_total"
ABSENT: Column = repeat(None)
ZERO: Column = repeat(0)
NO_LINKS = ("[]", 0)


class Shared(NamedTuple):
    """The column values that similar spans share, and the positions of their own payloads."""

    operation: str
    is_call: bool
    inputs: int | str | None
    outputs: int | str | None
    system: int | str | None
    definitions: int | str | None
    text: str
    agent: str
    agent_id: str | None
    agent_version: str | None
    digest: str | None
    task_type: str | None
    result: str | None
    error_type: str | None
    provider: str | None
    request_model: str | None
    response_model: str | None
    finish_reasons: str | None
    tool_name: str | None
    tool_type: str | None
    data_source_id: str | None
    server: str | None
    event_name: str | None
    tier: str
    has_fees: bool


def share(layout: Layout, shared: tuple[Attribute, ...], sender: Sender) -> Shared:
    """Compute the column values that all spans with these attributes share.

    Args:
        layout: How they name their attributes.
        shared: Those that repeat.
        sender: What their resource says.
    """
    (
        operation, kind, provider, request_model, response_model, finish_reasons, agent, agent_id, agent_version,
        digest, task_type, result, tool_name, tool_type, data_source_id, error_type, service_tier, fees, server_address,
        server_port, event_name,
    ) = shared_values(shared)  # fmt: skip
    if operation is None:
        operation = SPAN_KINDS.get(kind.upper(), kind.lower()) if kind else "other"
        if operation == "other" and (request_model or response_model):
            operation = "chat"  # who names a model and no operation called it: the AI SDK of Vercel, for one
    family = FAMILIES.get(operation, "model")
    if sender.agent is not None and all(one.name.key != "pilothouse.agent" for one in shared):
        agent = sender.agent
    return Shared(
        operation=operation or "other",
        is_call=is_model_call(operation, has_usage=TOKENS in layout.own),
        inputs=layout.find(PAYLOAD_INPUTS[family]),
        outputs=layout.find(PAYLOAD_OUTPUTS[family]),
        system=layout.find(SYSTEM_KEYS),
        definitions=layout.find(DEFINITION_KEYS),
        text=",".join([one.json for one in shared]),
        agent=agent or sender.service,
        agent_id=agent_id,
        agent_version=agent_version or sender.version,
        digest=digest or sender.digest,
        task_type=task_type,
        result=result or sender.result,
        error_type=error_type[: limits.ERROR_TYPE_CHARS_MAX] if error_type else error_type,
        provider=None if provider is None else PROVIDERS.get(provider, provider),
        request_model=request_model,
        response_model=response_model,
        finish_reasons=finish_reasons,
        tool_name=tool_name,
        tool_type=tool_type,
        data_source_id=data_source_id,
        server=None if server_address is None else server_text(server_address, server_port),
        event_name=event_name,
        tier=tier_of(service_tier) or "",
        has_fees=fees is not None,
    )


@dataclass(slots=True)
class SpanGroup:
    """Spans of one request and scope that are alike.

    Attributes:
        layout: How they name their attributes.
        shared: What they have in common.
        sender: What their resource says.
        scope: Their scope as JSON.
        instrument: Name of their scope: who counted the tokens.
        lost: Attributes of each that were left out.
        places: Where each stands among the good spans of the request.
        spans: As sent.
        attributes: What each says of itself.
    """

    layout: Layout
    shared: Shared
    sender: Sender
    scope: str
    instrument: str
    lost: int
    places: list[int] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    attributes: list[Sequence[Attribute]] = field(default_factory=list)

    def block(
        self,
        heads: Sequence[SpanHead],
        dialect: Dialect,
        arrival: Arrival,
        prices: PriceSource,
        *,
        may_be_long: bool,
    ) -> SpanBlock:
        """Flatten the spans, in order.

        Args:
            heads: Ids, times and status of all good spans of the request.
            dialect: How it was written.
            arrival: How it came in.
            prices: Where the price of a call is asked.
            may_be_long: Whether a value may be longer than is kept.
        """
        shared, sender, spans, layout = self.shared, self.sender, self.spans, self.layout
        trace_ids, span_ids, parents, sent_starts, sent_ends, statuses = zip(
            *[heads[place] for place in self.places], strict=True
        )
        starts, ends, durations, flags, days = _times(sent_starts, sent_ends, arrival.received_ns)
        codes, messages = zip(*statuses, strict=True)
        events = [read_events(span.events, dialect) if span.events else NO_EVENTS for span in spans]
        links = [read_links(span.links, dialect) if span.links else NO_LINKS for span in spans]
        usage = self._usage()
        costs, cost_states, price_ids = self._costs(usage, ends, starts, prices)
        inputs, inputs_shown = self._said(shared.inputs, [one.inputs for one in events], of_user=True)
        outputs, outputs_shown = self._said(shared.outputs, [one.outputs for one in events], of_user=False)
        system, definitions = self._texts(shared.system), self._texts(shared.definitions)
        cut: Column = ZERO
        if may_be_long:
            (inputs, outputs, system, definitions), cut = self._cut(inputs, outputs, system, definitions)
        columns = (
            trace_ids, span_ids, parents, repeat("span"), repeat(""),
            starts, ends, durations, repeat(arrival.received_ns), flags,
            repeat(arrival.shown_agent(shared.agent)), repeat(shared.agent_id), repeat(shared.agent_version), repeat(shared.digest),
            self._task_types(), self._own("conversation_id"), self._own("user_id"), repeat(sender.environment),
            repeat(shared.operation), self._names(), codes,
            self._error_types(events, codes),
            repeat(shared.provider), repeat(shared.request_model), repeat(shared.response_model),
            self._own("response_id"), repeat(shared.tool_name), repeat(shared.server),
            repeat(shared.event_name), *_by_class(usage), costs, cost_states,
            repeat(shared.result), self._own("task_claim", claim_text, sender.claim),
            self._own("task_confidence", confidence_of, confidence_of(sender.confidence)),
            inputs_shown, outputs_shown,
            repeat(arrival.source), repeat(arrival.seq),
            [kind if 0 <= kind <= 5 else 0 for kind in [span.kind for span in spans]], messages,
            repeat(sender.service), repeat(shared.tool_type), self._own("tool_call_id"),
            repeat(shared.data_source_id), repeat(layout.convention), price_ids,
            self._own("source_cost_usd", number_of), self._own("first_chunk_s", first_chunk_ns),
            repeat(shared.finish_reasons), _lengths(inputs), _lengths(outputs),
            inputs, outputs, system, definitions,
            self._attribute_texts(), repeat(sender.text), repeat(self.scope),
            [one.text for one in events], [text for text, _ in links], repeat(arrival.node),
            _sums([span.dropped_attributes_count for span in spans], repeat(self.lost)),
            _sums([span.dropped_events_count for span in spans], [one.lost for one in events]),
            _sums([span.dropped_links_count for span in spans], [lost for _, lost in links]),
            cut, days,
        )  # fmt: skip
        return SpanBlock(columns, self.places)

    def _own(self, column: str, read: Any = None, otherwise: Any = None) -> Column:
        """Return a column of mostly distinct values."""
        place = self.layout.own.get(column)
        if place is None:
            return repeat(otherwise)
        values = [one[place].value for one in self.attributes]
        return values if read is None else list(map(read, values))

    def _names(self) -> Column:
        """Return the names of the spans; equal names become one shared string, to save memory."""
        names = [span.name[: limits.NAME_CHARS_MAX] for span in self.spans]
        return repeat(names[0]) if names.count(names[0]) == len(names) else names

    def _task_types(self) -> Column:
        said = self.shared.task_type or self.sender.task_type
        if self.shared.task_type is not None or "metadata" not in self.layout.own:
            return repeat(said)
        return [_metadata_task_type(value) or said for value in self._own("metadata")]

    def _usage(self) -> list[Any]:
        """Return the token usage of each span, or empty when none can have any."""
        kind = "tokens" if TOKENS in self.layout.own else "aggregated"
        if f"{kind}_input_total" not in self.layout.own:
            return []
        needs_output = self.shared.is_call and self.shared.operation not in INPUT_ONLY_OPERATIONS
        if needs_output and f"{kind}_output_total" not in self.layout.own:
            return []
        split: Callable[..., Any] = split_usage
        if self.instrument in EXCLUSIVE_SCOPES or self.instrument in REASONING_BESIDE_SCOPES:
            split = partial(
                split_usage,
                exclusive=self.instrument in EXCLUSIVE_SCOPES,
                beside=self.instrument in REASONING_BESIDE_SCOPES,
            )
        found = list(
            map(
                split,
                self._own(f"{kind}_input_total"),
                self._own("tokens_cache_read"),
                self._own("tokens_cache_creation"),
                self._own(f"{kind}_output_total"),
                self._own("tokens_reasoning"),
            )
        )
        if self.instrument == GATEWAY_SCOPE:
            return [used._replace(basis=MEASURED) if used.basis else used for used in found]
        return found

    def _costs(
        self, usage: list[Any], ends: Sequence[int | None], starts: Sequence[int], prices: PriceSource
    ) -> tuple[Column, Column, Column]:
        """Return the cost of each span, whether it is known, and the price used."""
        shared = self.shared
        model = shared.response_model or shared.request_model
        if not shared.is_call:
            return ABSENT, repeat(COST_NONE), ABSENT
        if shared.has_fees:
            return ABSENT, repeat(COST_OTHERWISE), ABSENT
        unknown = COST_OTHERWISE if shared.tier else COST_UNPRICED
        if model is None or not usage:
            return ABSENT, repeat(unknown), ABSENT
        named = priced_as(model, shared.tier)
        found = [
            _cost(used, shared.provider or "", named, end or start, prices)
            for used, end, start in zip(usage, ends, starts, strict=True)
        ]
        costs, price_ids = zip(*found, strict=True)
        return costs, [unknown if cost is None else COST_PRICED for cost in costs], price_ids

    def _error_types(self, events: list[Events], codes: Sequence[int]) -> Column:
        if self.shared.error_type is not None:
            return repeat(self.shared.error_type or None)
        if 2 not in codes and events.count(NO_EVENTS) == len(events):
            return ABSENT
        cut = limits.ERROR_TYPE_CHARS_MAX
        return [
            one.error_type[:cut] if one.error_type else "_OTHER" if code == 2 else None
            for one, code in zip(events, codes, strict=True)
        ]

    def _texts(self, found: int | str | None) -> Column:
        """Return a payload of each span as text."""
        if found is None:
            return ABSENT
        if found.__class__ is int:
            return [one[found].value for one in self.attributes]
        text = self.layout.text
        return [text(one, found) for one in self.attributes]

    def _said(
        self, found: int | str | None, told: list[tuple[Any, ...]], *, of_user: bool
    ) -> tuple[Column, Column]:
        """Return the messages of each span, from its payload or else its events, and their preview."""
        if found is None:
            if not any(told):
                return ABSENT, ABSENT
            said = [json_text(one) if one else None for one in told]
            return said, [preview(text, of_user=of_user) or None if text else None for text in said]
        if found.__class__ is int:
            values = [one[found] for one in self.attributes]
            for value in values:
                if value.preview is None:
                    value.preview = preview(value.value, of_user=of_user)
            return [value.value for value in values], [value.preview or None for value in values]
        texts = list(self._texts(found))
        return texts, [preview(text, of_user=of_user) or None for text in texts]

    def _attribute_texts(self) -> Column:
        """Return the column `attributes`: JSON of all that is no payload and no flattened list."""
        text, own = self.shared.text, self.layout.texts
        if not own:
            return repeat(f"{{{text}}}")
        parts: list[Iterable[str]] = [[one[place].json for one in self.attributes] for place in own]
        if text:
            parts.insert(0, repeat("{" + text))
        joined = map(",".join, zip(*parts, strict=False))
        return [f"{one}}}" for one in joined] if text else [f"{{{one}}}" for one in joined]

    def _cut(self, *columns: Column) -> tuple[list[Column], Column]:
        """Return payloads cut to the limit, and how many characters each span lost."""
        cut = [sum([value.cut for value in one]) for one in self.attributes]
        kept: list[Column] = []
        for column in columns:
            if column is ABSENT:
                kept.append(column)
                continue
            texts, lost = zip(*map(bounded, column), strict=True)
            kept.append(texts)
            cut = [one + other for one, other in zip(cut, lost, strict=True)]
        return kept, cut


def _times(
    starts: Sequence[int], ends: Sequence[int], received_ns: int
) -> tuple[Sequence[int], Sequence[int | None], Column, Column, Column]:
    """Return starts, ends, durations, flags and days; vectorized when all times are plausible."""
    first, last = min(starts), max(ends)
    if (
        received_ns - limits.CLOCK_OLD_NS_MAX <= first
        and last <= received_ns + limits.CLOCK_FUTURE_NS_MAX
        and first // DAY_NS == last // DAY_NS
        and all(map(le, starts, ends))
    ):
        return starts, ends, list(map(sub, ends, starts)), ZERO, repeat(first // DAY_NS)
    found = [times_of(start, end, received_ns) for start, end in zip(starts, ends, strict=True)]
    kept_starts, kept_ends, durations, flags, days = zip(*found, strict=True)
    return kept_starts, kept_ends, durations, flags, days


def _by_class(usage: list[Any]) -> Sequence[Column]:
    return list(zip(*usage, strict=True)) if usage else [ABSENT] * len(NO_USAGE)


def _cost(
    usage: Any, provider: str, model: str, at_ns: int, prices: PriceSource
) -> tuple[int | None, str | None]:
    price = None if usage.basis is None else prices(provider, model, at_ns)
    if price is None:
        return None, None
    tokens = TokenCount(
        input=usage.input,
        cache_read=usage.cache_read,
        cache_creation=usage.cache_creation,
        output=usage.output,
        reasoning=usage.reasoning,
    )
    return cost_pico(tokens, price), price.price_id


def _lengths(texts: Column) -> Column:
    """Return the length of each text, None for an empty one."""
    return ABSENT if texts is ABSENT else [len(text) if text else None for text in texts]


def _sums(sent: list[int], ours: Iterable[int]) -> Column:
    """Return the sum of what the SDK dropped and what we cut."""
    return [one and dropped_count(one) for one in map(add, sent, ours)]


def _metadata_task_type(metadata: Any) -> str | None:
    found = metadata
    if isinstance(metadata, str):
        try:
            found = msgspec.json.decode(metadata)
        except (msgspec.DecodeError, RecursionError):
            return None
    return optional_text(found.get("task_type")) if isinstance(found, dict) else None
