# SPDX-License-Identifier: Apache-2.0
"""Every error that the gateway itself answers with, in the form of the protocol in use.

Each says `x-should-retry: false`, which the official clients obey: only one layer may retry. The
one exception is our own load, where coming again helps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from pilothouse.ports.gateway import WireProtocol
from pilothouse.runtime.gateway.routes import Operation

__all__ = ["NO_SUCH_RESPONSE", "Refusal", "RefusalCode", "Refused", "error_body", "error_event", "no_route"]


class RefusalCode(Enum):
    """Code and HTTP status of a refusal."""

    KEY_UNKNOWN = ("key_unknown", 401)
    KEY_EXPIRED = ("key_expired", 401)
    RUN_NOT_YOURS = ("run_not_yours", 403)
    MODEL_NOT_ALLOWED = ("model_not_allowed", 403)
    KILLED = ("killed", 403)
    OUTSIDE_ROLLOUT = ("outside_rollout", 403)
    BUDGET_EXCEEDED = ("budget_exceeded", 403)
    ROUTE_UNKNOWN = ("route_unknown", 404)
    RECALL_UNKNOWN = ("recall_unknown", 404)
    TRANSPORT_REFUSED = ("transport_refused", 426)
    BODY_TOO_LARGE = ("body_too_large", 413)
    CONTEXT_EXCEEDED = ("context_length_exceeded", 400)
    CONTEXT_EDIT_REFUSED = ("context_edit_refused", 422)
    PIN_FLOATING = ("pin_floating", 422)
    PIN_UNKNOWN = ("pin_unknown", 422)
    PRICE_UNKNOWN = ("price_unknown", 422)
    LOOP_LIMIT = ("loop_limit", 422)
    BACKGROUND_UNCHECKED = ("background_unchecked", 422)
    MODEL_MISMATCH = ("model_mismatch", 502)
    OUTPUT_INVALID = ("output_invalid", 502)
    OUTPUT_REJECTED = ("output_rejected", 502)
    UPSTREAM_UNAVAILABLE = ("upstream_unavailable", 503)
    RECORD_REQUIRED = ("record_required", 503)
    CHARTER_UNREADABLE = ("charter_unreadable", 503)
    TOO_BUSY = ("too_busy", 503)
    DEADLINE = ("deadline", 504)

    @property
    def code(self) -> str:
        """The code, as clients see it."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[1]


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    504: "timeout_error",
}
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong, and what to do.

    Attributes:
        code: Which of the errors.
        message: What is wrong, one sentence, without payload and secrets.
        remedy: What to do; ends with something that can be typed where there is such a thing.
        retry_after_s: When to come again, for our own load only.
    """

    code: RefusalCode
    message: str
    remedy: str
    retry_after_s: int | None = None

    @property
    def text(self) -> str:
        """What a person reads: the code too, because clients show nothing else."""
        return f"[{self.code.code}] {self.message}. {self.remedy}"

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that tell a client what to do next."""
        if self.code is RefusalCode.TOO_BUSY:
            return [(b"retry-after", str(self.retry_after_s or 1).encode()), (b"x-should-retry", b"true")]
        kept = [(b"x-pilothouse-route", b"incumbent")] if self.code is RefusalCode.OUTSIDE_ROLLOUT else []
        return [(b"x-should-retry", b"false"), *kept]


NO_SUCH_RESPONSE = Refusal(RefusalCode.ROUTE_UNKNOWN, "no such response", "Use an id that you were given.")
"""What is said of one that another agent was given."""


def no_route(problem: str) -> Refusal:
    """Return what is said where no route of the gateway answers.

    Args:
        problem: What is wrong with the path.
    """
    return Refusal(
        RefusalCode.ROUTE_UNKNOWN,
        problem,
        "OpenAI clients: base URL ends in /gw/v1; Anthropic clients: in /gw. Answered are chat/completions, responses, "
        "embeddings, messages, messages/count_tokens and models.",
    )


class Refused(Exception):
    """Carries a refusal out of the steps of a request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def error_body(protocol: WireProtocol, refusal: Refusal) -> bytes:
    """Return the body of an error answer.

    Example:
        >>> why = Refusal(RefusalCode.KEY_UNKNOWN, "no such key", "Make one: `pilothouse key add AGENT`.")
        >>> error_body(WireProtocol.OPENAI, why)[:61]
        b'{"error": {"message": "[key_unknown] no such key. Make one: `'
    """
    return json.dumps(_record(protocol, refusal)).encode()


def error_event(protocol: WireProtocol, operation: Operation, refusal: Refusal) -> bytes:
    """Return the event that ends a stream which had begun; never followed by `[DONE]`.

    Args:
        protocol: The protocol in use.
        operation: What was asked for; the two OpenAI streams have different errors.
        refusal: What is wrong.
    """
    if protocol is WireProtocol.ANTHROPIC:
        return b"event: error\ndata: " + error_body(protocol, refusal) + b"\n\n"
    if operation is Operation.RESPONSES:
        record = {
            "type": "error",
            "code": refusal.code.code,
            "message": refusal.text,
            "param": None,
            "sequence_number": 0,
        }
        return b"event: error\ndata: " + json.dumps(record).encode() + b"\n\n"
    return b"data: " + error_body(protocol, refusal) + b"\n\n"


def _record(protocol: WireProtocol, refusal: Refusal) -> dict[str, object]:
    status = refusal.code.status
    if protocol is WireProtocol.ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        if refusal.code is RefusalCode.TOO_BUSY:
            kind = "overloaded_error"
        return {"type": "error", "error": {"type": kind, "message": refusal.text}}
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": refusal.text, "type": kind, "param": None, "code": refusal.code.code}}
