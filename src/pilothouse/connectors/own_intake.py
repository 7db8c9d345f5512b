# SPDX-License-Identifier: Apache-2.0
"""Sends telemetry of a separate process to the server of the same data folder, over HTTP."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from pathlib import Path

from pilothouse.connectors.own_server import read_server
from pilothouse.ports.intake import IntakeAnswer, Receipt, Signal

__all__ = ["OwnServerIntake"]

ANSWER_S = 10.0
"""The server answers when the spans are on disk; ten seconds is a disk that hangs."""

TRIES = 5
"""A server that starts again is back within seconds; what comes later is dropped by the sender and counted."""

PAUSE_S = 1.0


class OwnServerIntake:
    """`ports.Intake` of another process.

    Args:
        home: Data folder in which the server notes its address.
        pause_s: Pause between two tries, seconds.
    """

    def __init__(self, home: Path, *, pause_s: float = PAUSE_S) -> None:
        self._home = home
        self._pause_s = pause_s

    def accept(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Receipt:
        """Send one request to the server; see `pilothouse.ports.Intake.accept`."""
        del source
        headers = {"content-type": content_type}
        if content_encoding:
            headers["content-encoding"] = content_encoding
        receipt = Receipt(answer=IntakeAnswer.BUSY, reason="no server of this data folder runs")
        for place in range(TRIES):
            if place:
                time.sleep(self._pause_s)
            noted = read_server(self._home)
            if noted is None:
                continue
            receipt = _post(f"{noted.url}/v1/{signal.value}", headers, body)
            if receipt.answer not in {IntakeAnswer.BUSY, IntakeAnswer.OVER_QUOTA}:
                break
        return receipt

    def settle(self) -> None:
        """The server settles its traces by itself."""


def _post(url: str, headers: dict[str, str], body: bytes) -> Receipt:
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - loopback address from our own note
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S):  # noqa: S310 - as above
            return Receipt(answer=IntakeAnswer.ACCEPTED)
    except urllib.error.HTTPError as error:
        error.close()
        again = error.code in {429, 503}
        return Receipt(
            answer=IntakeAnswer.BUSY if again else IntakeAnswer.MALFORMED, reason=f"HTTP {error.code}"
        )
    except OSError as error:
        return Receipt(answer=IntakeAnswer.BUSY, reason=str(error))
