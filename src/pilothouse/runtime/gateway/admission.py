# SPDX-License-Identifier: Apache-2.0
"""Refuse an input that does not fit its model's window, before a server truncates it silently.

A token is at least one byte, so a body that fits byte by byte fits, and most calls are admitted without being read.
Only what comes near the window is counted: the beginning as the provider counted it before, the rest at the 95 %
quantile of what this model made of such text. A window that nobody has said is not judged, and the header says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.core.charter.models_published import MODEL_WINDOWS
from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.context.conversation import is_all_text
from pilothouse.runtime.context.counting import ALERTS, ContextCounter, Level, TokenEstimate, level_of
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.near_window import REFUSED_LEVEL, NearCall, NearWindow
from pilothouse.runtime.gateway.policy import Pin
from pilothouse.runtime.gateway.provider_edits import may_be_edited
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.shortening import shorten

__all__ = ["COUNTED_FROM", "UNKNOWN", "ContextAdmission", "window_of"]

COUNTED_FROM = 0.35
"""Share of the window, in bytes, from which a call is counted and learnt from: about a tenth of it in tokens, so the
beginning of a conversation is known exactly long before it comes near the end, and short calls are never read."""

UNKNOWN = "unknown"
"""What `x-pilothouse-context` says of a model whose window nobody has said."""

_SPEAKING = frozenset({Operation.CHAT, Operation.RESPONSES, Operation.MESSAGES})


def window_of(pin: Pin) -> int | None:
    """Return how many tokens a model reads and writes together: as the charter says, else as published, else None.

    Example:
        >>> window_of(Pin(provider="acme", model="m-1", window_tokens=8_192)), window_of(Pin(provider="acme", model="m-1"))
        (8192, None)
    """
    return pin.window_tokens or MODEL_WINDOWS.get(pin.model)


class ContextAdmission:
    """Admits calls by the size of their input, and learns sizes from what providers report.

    Only the loop that serves touches it.

    Attributes:
        counters: Levels that were passed, refusals, and inputs that were read short, since the process started.
        near: Calls that came near the window, to be told.
    """

    def __init__(self) -> None:
        """Begin with nothing learnt."""
        self._sizes = ContextCounter()
        self.counters: Counter[str] = Counter()
        self.near = NearWindow()

    def admit(self, call: Call, pin: Pin) -> None:
        """Note how full the window gets.

        Args:
            call: The call; its `context` is set.
            pin: Who is asked first.

        Raises:
            Refused: The input and the output that was asked for do not fit, or the provider is to shorten it and may not.
        """
        call.opaque = may_be_edited(call.route.path, call.request)
        if call.opaque:
            self.counters["context_opaque"] += 1
            if call.policy.refuses_provider_edits:
                raise Refused(_not_by_provider(call.opaque))
        window = window_of(pin)
        if window is None or call.route.operation not in _SPEAKING:
            self.counters["context_window_unknown"] += window is None
            return
        output = call.output_max or 0
        most = (len(call.request) + output) / window
        call.context = f"{most:.2f}"
        if most < COUNTED_FROM:
            return
        estimate = self._estimate(call, pin)
        if estimate is None:
            call.context = UNKNOWN
            self.counters["context_unreadable"] += 1
            return
        call.is_counted = True
        level, share = level_of(estimate, window, output)
        edits = call.policy.edits
        if edits is not None and share >= edits.from_share and shorten(call, edits):
            estimate = self._shortened(call, pin) or estimate
            level, share = level_of(estimate, window, output)
        call.context = f"{share:.2f}"
        if level is not Level.CALM:
            self.counters[f"context_{level.value}"] += 1
            if not call.key.is_replay:
                self._note(call, pin, window, share, is_refused=level is Level.EXCEEDED)
        if level is Level.EXCEEDED:
            refusal = _too_long(pin, window, estimate, output, edited=len(call.removed))
            call.shortened, call.removed = None, ()
            raise Refused(refusal)

    def fits(self, call: Call, pin: Pin) -> bool:
        """Whether a stand-in could take a call that the first member can."""
        window = window_of(pin)
        if window is None or len(call.asked) + (call.output_max or 0) < window:
            return True
        estimate = self._estimate(call, pin) if call.route.operation in _SPEAKING else None
        return estimate is None or level_of(estimate, window, call.output_max or 0)[0] is not Level.EXCEEDED

    def learn(self, call: Call) -> None:
        """Learn from what the provider counted, and count an input that was clearly read short, unless that was asked for."""
        if not call.is_counted or call.opaque or call.usage is None or call.served_model is None:
            return
        asked = _read(call.asked)
        if asked is not None and self._sizes.learn(call.served_model, asked, _input_tokens(call.usage)):
            self.counters["context_read_short"] += 1

    def _note(self, call: Call, pin: Pin, window: int, share: float, *, is_refused: bool) -> None:
        level = REFUSED_LEVEL if is_refused else round(100 * max(one for one in ALERTS if share >= one))
        near = NearCall(
            agent=call.key.agent, model=pin.model, run=call.run, level=level, share=share, window=window
        )
        self.near.note(near, call.began_ns)

    def _shortened(self, call: Call, pin: Pin) -> TokenEstimate | None:
        """Count a request that was shortened, and what was taken out of it."""
        self.counters["context_edited"] += 1
        call.removed = tuple(
            replace(entry, tokens=self._sizes.tokens(pin.model, str(entry.content))) for entry in call.removed
        )
        return self._estimate(call, pin)

    def _estimate(self, call: Call, pin: Pin) -> TokenEstimate | None:
        """Return the tokens of an input, or None for one that cannot be judged."""
        asked = _read(call.asked)
        try:
            return None if asked is None else self._sizes.estimate(pin.model, asked)
        except RecursionError:  # arguments of tools may nest as deep as they like
            return None


def _input_tokens(usage: TokenCount) -> int:
    """Return all input tokens, cached ones too."""
    return usage.input + usage.cache_read + usage.cache_creation


def _read(body: bytes) -> Mapping[str, Any] | None:
    """Return a request whose whole input stands in it as text, else None: such a call is not judged."""
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return asked if isinstance(asked, dict) and is_all_text(asked) else None


def _not_by_provider(opaque: tuple[str, ...]) -> Refusal:
    return Refusal(
        RefusalCode.CONTEXT_EDIT_REFUSED,
        f"the request lets its provider shorten the conversation ({', '.join(opaque)}), where nobody sees what is lost",
        "Take it out of the request; the charter forbids it by `context.provider_edits: refuse`.",
    )


def _too_long(pin: Pin, window: int, estimate: TokenEstimate, output: int, *, edited: int) -> Refusal:
    counted = f", of which {estimate.exact:,} were counted before" if estimate.exact else ""
    return Refusal(
        RefusalCode.CONTEXT_EXCEEDED,
        f"context_exceeded: up to {estimate.high:,} tokens of input{counted} and {output:,} of output "
        f"do not fit into the {window:,} of {pin.model}; nothing was sent and nothing was cut"
        + (f", for even without {edited} results of tools it does not fit" if edited else ""),
        "Shorten the conversation in the agent; a window that is wrong here is `model.limits.window_tokens` in the charter.",
    )
