# SPDX-License-Identifier: Apache-2.0
"""An intake in another process of this machine, over loopback, and the choice between it and a local one."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pilothouse.errors import Conflict, StorageUnavailable
from pilothouse.lake.lock import find_holder
from pilothouse.lake.node import open_node
from pilothouse.lake.prices import PriceSource
from pilothouse.ports.clock import Clock
from pilothouse.ports.intake import Intake, IntakeAnswer, Receipt, Signal

__all__ = ["RemoteIntake", "open_intake"]

TIMEOUT_S = 60.0
"""A server that is busy answers 503 at once; one that is silent for so long is gone."""

ANSWERS = {
    200: IntakeAnswer.ACCEPTED,
    400: IntakeAnswer.MALFORMED,
    413: IntakeAnswer.TOO_LARGE,
    415: IntakeAnswer.UNSUPPORTED,
    429: IntakeAnswer.OVER_QUOTA,
    503: IntakeAnswer.BUSY,
}
JSON = "application/json"
REJECTED = ("rejectedSpans", "rejectedLogRecords", "rejectedDataPoints")


class RemoteIntake:
    """Implements `Intake` by posting OTLP to a running server.

    Args:
        address: For example `http://127.0.0.1:4318`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT_S)

    def accept(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Receipt:
        """Ingest one request; durable when this returns `ACCEPTED`."""
        del source  # the server knows where it came from
        headers = {"Content-Type": content_type}
        if content_encoding:
            headers["Content-Encoding"] = content_encoding
        status, answer, told = self._post(f"/v1/{signal.value}", body, headers)
        kind = ANSWERS.get(status)
        if kind is None:
            raise StorageUnavailable(
                f"{self._address} answered {status}", remedy="Is it Pilothouse? Run `pilothouse doctor`."
            )
        rejected, reason = _details(answer, told.get("content-type", ""))
        items = int(told.get("x-pilothouse-items", "0"))
        return Receipt(answer=kind, items=items, rejected=rejected, reason=reason)

    def settle(self) -> None:
        """Close every trace whose root has ended without waiting for late spans, and commit."""
        self._post("/v1/settle", b"", {})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        try:
            self._connection.request("POST", path, body, headers)
            answer = self._connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, answer.read(), told
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise StorageUnavailable(
                f"the server at {self._address} does not answer: {error}",
                remedy="Start it again with `pilothouse up`; sending again is safe.",
            ) from error


@contextmanager
def open_intake(folder: Path, clock: Clock, prices: PriceSource) -> Iterator[Intake]:
    """Open the intake of a lake: the running server's, or our own for the time of a command.

    What was taken in is folded and committed when the block ends.

    Args:
        folder: The lake folder.
        clock: The time.
        prices: Where our own asks the price of a model call; a server asks its own.

    Raises:
        Conflict: Another process writes the lake and takes no requests.
    """
    holder = find_holder(folder)
    if holder is not None and not holder.address:
        raise Conflict(
            f"process {holder.pid} is writing to {folder}",
            remedy="Wait for it to end, or stop it.",
            subject=str(folder),
        )
    if holder is not None:
        remote = RemoteIntake(holder.address)
        try:
            yield remote
        finally:
            remote.settle()
            remote.close()
        return
    node = open_node(folder, clock, prices=prices)
    try:
        yield node
    finally:
        node.stop(drain=True)


def _details(answer: bytes, content_type: str) -> tuple[int, str]:
    """Return how many items were rejected and why, from an export response or a status."""
    if content_type == JSON:
        try:
            found = json.loads(answer or b"{}")
        except ValueError:
            return 0, ""
        partial = found.get("partialSuccess", {})
        rejected = next((int(partial[name]) for name in REJECTED if name in partial), 0)
        return rejected, str(partial.get("errorMessage") or found.get("message", ""))
    return _protobuf_details(answer)


def _protobuf_details(answer: bytes) -> tuple[int, str]:
    """Read field 1 (a number, or a message that holds it) and field 2 (text): both messages look so."""
    number, text, at = 0, "", 0
    while at < len(answer):
        tag = answer[at]
        value, at = _varint(answer, at + 1)
        if tag == 0x08:
            number = value
        elif tag in (0x0A, 0x12):
            part = answer[at : at + value]
            at += value
            if tag == 0x0A:
                return _protobuf_details(part)
            text = part.decode("utf-8", "replace")
        else:
            break
    return number, text


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data):
        number |= (data[at] & 0x7F) << shift
        at += 1
        shift += 7
        if data[at - 1] < 0x80:
            break
    return number, at
