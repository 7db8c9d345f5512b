# SPDX-License-Identifier: Apache-2.0
"""Count the inputs of recorded runs, those of which a server read less than was sent, and the terms under which they count."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.models_published import MODEL_WINDOWS
from pilothouse.core.evidence.binding import terms_digest
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.run_log import ContextEdited, Denied, RecordedRun
from pilothouse.errors import CharterError
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.runtime.context.conversation import is_all_text
from pilothouse.runtime.context.counting import ALERTS, ContextCounter, TokenEstimate
from pilothouse.runtime.context.opaque import edits_of_provider
from pilothouse.runtime.gateway.refusal import RefusalCode
from pilothouse.runtime.replay.exchange import exchanges
from pilothouse.workflows.ground.in_force import charter_of

__all__ = [
    "NO_TERMS",
    "ContextCount",
    "CountedUnder",
    "WindowUse",
    "idle_edits",
    "is_read_short",
    "read_run",
    "truncation_terms",
    "windows_of",
]

TRUNCATION = "truncation"

CHARTERS_READ_MAX = 100
"""Charters that are looked through for the day on which the terms began; of older ones the day that is found is too late,
and then fewer inputs count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedUnder:
    """Terms of a count.

    Attributes:
        digest: What a record of them is bound to; None without a charter that can be read.
        since: When they came into force, aware UTC; None where nothing says so.
    """

    digest: str | None = None
    since: datetime | None = None


NO_TERMS = CountedUnder()
"""Without a charter nothing is said."""


SHORT_SHARE = 0.5
"""An input without a counted beginning was cut when less than this share of its 5 % quantile was read. The quantile alone
would call one sound input in twenty cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowUse:
    """How full the window was when some calls were over, as their provider counted what it read and wrote.

    Attributes:
        calls: Calls with reported tokens of a model whose window is known.
        over: How many of them reached each of `ALERTS`.
        refused: Calls that did not fit, and were sent to nobody.
        highest: The largest share in thousandths; 0 without calls.
    """

    calls: int = 0
    over: tuple[int, ...] = (0,) * len(ALERTS)
    refused: int = 0
    highest: int = 0

    def plus(self, other: WindowUse) -> WindowUse:
        """Return the use by the calls of both.

        Example:
            >>> WindowUse.of(700, 1_000).plus(WindowUse.of(960, 1_000))
            WindowUse(calls=2, over=(2, 1, 1), refused=0, highest=960)
        """
        return WindowUse(
            calls=self.calls + other.calls,
            over=tuple(one + more for one, more in zip(self.over, other.over, strict=True)),
            refused=self.refused + other.refused,
            highest=max(self.highest, other.highest),
        )

    @classmethod
    def of(cls, tokens: int, window: int) -> WindowUse:
        """Return the use by one call.

        Args:
            tokens: What it read and wrote.
            window: Tokens of the window.
        """
        over = tuple(int(tokens >= alert * window) for alert in ALERTS)
        return cls(calls=1, over=over, highest=1_000 * tokens // window)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextCount:
    """Inputs of some calls.

    Attributes:
        inputs: Inputs whose size the provider reported.
        unknown: Inputs whose size it did not, or whose size nothing here tells: pictures, files, conversations kept elsewhere.
        edited: Inputs that the charter's own edits shortened, each with its ledger in the run log.
        cut: Inputs of which clearly less was read than was sent.
        opaque: Inputs that their provider was let shorten: how much of them was read says nothing here.
        fired: Edits of the charter that took something out, by name.
        window: How full the window was.
    """

    inputs: int = 0
    unknown: int = 0
    edited: int = 0
    cut: int = 0
    opaque: int = 0
    fired: frozenset[str] = frozenset()
    window: WindowUse = field(default_factory=WindowUse)

    def plus(self, other: ContextCount) -> ContextCount:
        """Return the counts of both."""
        return ContextCount(
            inputs=self.inputs + other.inputs,
            unknown=self.unknown + other.unknown,
            edited=self.edited + other.edited,
            cut=self.cut + other.cut,
            opaque=self.opaque + other.opaque,
            fired=self.fired | other.fired,
            window=self.window.plus(other.window),
        )


def is_read_short(estimate: TokenEstimate, read: int) -> bool:
    """Return whether less of an input was read than was sent.

    A conversation that was counted before has at least the tokens of its beginning, so a smaller count is a cut for
    certain. A first input has no such bound, and only a large cut can be told from an estimate that is off.

    Args:
        estimate: Tokens of the input, before this count was learnt.
        read: Input tokens that the provider reports, cached ones too.

    Example:
        >>> is_read_short(TokenEstimate(exact=4_000, low=4_100, median=4_200, high=4_400), 3_999)
        True
        >>> is_read_short(TokenEstimate(exact=0, low=4_100, median=6_000, high=8_000), 3_999)
        False
    """
    return read < estimate.exact or read < SHORT_SHARE * estimate.low


def read_run(
    counter: ContextCounter,
    recorded: RecordedRun,
    window_of: Callable[[str], int | None] = lambda _model: None,
) -> tuple[ContextCount, list[float]]:
    """Count the inputs of one run; the counter learns from it.

    Args:
        counter: What was learnt from earlier runs.
        recorded: The run.
        window_of: Returns the window of a model, or None where nobody has said it.

    Returns:
        The counts, and the error of each estimate as a share of what was read, from the second call on.
    """
    inputs = unknown = edited = cut = opaque = 0
    errors: list[float] = []
    use = _refused(recorded)
    for place, call in enumerate(exchanges(recorded)):
        if call.document is None or call.response.status != 200:
            continue
        usage: Mapping[str, int] | None = call.response.usage
        window = window_of(call.response.model or str(call.document.get("model")))
        if usage is not None and window is not None:
            use = use.plus(WindowUse.of(sum(usage.values()), window))
        asked: Mapping[str, Any] = call.shortened or call.document
        if edits_of_provider(call.route, call.document):
            opaque += 1
            continue
        if usage is None or not is_all_text(asked):
            unknown += 1
            continue
        read = sum(usage.get(name, 0) for name in ("input", "cache_read", "cache_creation"))
        model = call.response.model or str(call.document.get("model"))
        try:
            estimate = counter.estimate(model, asked)
            counter.learn(model, asked, read)
        except RecursionError:  # arguments of tools may nest as deep as they like
            unknown += 1
            continue
        if place and read:
            errors.append(abs(estimate.median - read) / read)
        inputs += 1
        edited += call.shortened is not None
        cut += is_read_short(estimate, read)
    fired = frozenset(
        name
        for logged in recorded.events
        if isinstance(logged.event, ContextEdited)
        for name in logged.event.policy.split(",")
    )
    found = ContextCount(
        inputs=inputs, unknown=unknown, edited=edited, cut=cut, opaque=opaque, fired=fired, window=use
    )
    return found, errors


def windows_of(ledger: Ledger, agent: str) -> Callable[[str], int | None]:
    """Return what tells the window of a model: as the charter in force says of its pin, else as published.

    Args:
        ledger: Where the charter stands.
        agent: Agent id.
    """
    record = ledger.charter(agent)
    said: dict[str, int] = {}
    with suppress(CharterError):
        model = None if record is None else charter_of(record).model
        if model is not None and model.limits is not None and model.limits.window_tokens is not None:
            names = (model.pin.model, *model.pin.served_as)
            said = dict.fromkeys(names, model.limits.window_tokens)
    return lambda asked: said.get(asked) or MODEL_WINDOWS.get(asked)


def _refused(recorded: RecordedRun) -> WindowUse:
    code = str(RefusalCode.CONTEXT_EXCEEDED)
    return WindowUse(
        refused=sum(
            isinstance(logged.event, Denied) and logged.event.code == code for logged in recorded.events
        )
    )


def idle_edits(charter: Charter, fired: Collection[str]) -> tuple[str, ...]:
    """Return the edits that a charter switches on and that took nothing out: one may have a limit that nothing ever reaches.

    Args:
        charter: The charter in force.
        fired: Those that did, by name.
    """
    edits = charter.context.edits
    if edits is None or charter.context.policy != "shorten_visibly":
        return ()
    on = {"duplicates": edits.duplicates, "large": edits.large, "keep_last": edits.keep_last}
    return tuple(f"context.{name}" for name, value in on.items() if value and f"context.{name}" not in fired)


def truncation_terms(ledger: Ledger, agent: str) -> CountedUnder:
    """Return the terms in force under which inputs are counted; those that were sent before do not speak of them."""
    record = ledger.charter(agent)
    digest = None if record is None else _digest(record)
    if record is None or digest is None:
        return NO_TERMS
    since = record.accepted_at
    for _ in range(CHARTERS_READ_MAX):
        record = ledger.charter(agent, at=since - timedelta(microseconds=1))
        if record is None or record.accepted_at >= since or _digest(record) != digest:
            break
        since = record.accepted_at
    return CountedUnder(digest=digest, since=since)


def _digest(record: CharterInForce) -> str | None:
    try:
        return terms_digest(charter_of(record), kind_named(TRUNCATION), Scope())
    except CharterError:
        return None
