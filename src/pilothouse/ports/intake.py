# SPDX-License-Identifier: Apache-2.0
"""The port of OTLP ingestion."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

__all__ = ["REFUSED_FOR_GOOD", "Intake", "IntakeAnswer", "Receipt", "Signal"]


class Signal(StrEnum):
    """What an OTLP request carries."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class IntakeAnswer(StrEnum):
    """The result of an OTLP request; only the last two ask the sender to retry."""

    ACCEPTED = "accepted"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    OVER_QUOTA = "over_quota"
    BUSY = "busy"


REFUSED_FOR_GOOD = (IntakeAnswer.MALFORMED, IntakeAnswer.TOO_LARGE, IntakeAnswer.UNSUPPORTED)
"""Answers after which a sender does not come again: what it sent is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to one OTLP request; `ACCEPTED` means that every item not rejected is durable.

    Attributes:
        answer: What became of it.
        items: Spans, log records or metrics in the request; 0 when it could not be read.
        rejected: Items among them that are broken.
        reason: One sentence naming the first fault, or empty.
        retry_after_s: When to try again, for `OVER_QUOTA` and `BUSY`.
    """

    answer: IntakeAnswer
    items: int = 0
    rejected: int = 0
    reason: str = ""
    retry_after_s: int = 1


@runtime_checkable
class Intake(Protocol):
    """Ingests OTLP requests; what it accepts survives the death of the process."""

    def accept(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Receipt:
        """Ingest one request; durable when this returns `ACCEPTED`.

        Args:
            signal: Which of the three services it was sent to.
            content_type: `application/x-protobuf` or `application/json`.
            content_encoding: Empty, `identity` or `gzip`.
            body: The body as received, at most 16 MiB.
            source: Id of the ingest key or place it came from.
        """
        ...

    def settle(self) -> None:
        """Close every trace whose root has ended without waiting for late spans, and commit."""
        ...
