# SPDX-License-Identifier: Apache-2.0
"""A lake that has no room for a while costs the gateway's agents no task."""

from __future__ import annotations

import json

import pytest

from pilothouse.ports.intake import IntakeAnswer, Receipt
from pilothouse.runtime.gateway import unsent_spans
from pilothouse.runtime.gateway.unsent_spans import UnsentSpans


class Moody:
    """Says what it is told to say, and keeps what it accepts."""

    def __init__(self):
        self.answer = IntakeAnswer.ACCEPTED
        self.bodies = []

    def accept(self, signal, *, content_type, content_encoding, body, source):
        if self.answer is IntakeAnswer.ACCEPTED:
            self.bodies.append(body)
        return Receipt(answer=self.answer)

    @property
    def names(self):
        groups = [json.loads(body)["resourceSpans"][0] for body in self.bodies]
        return [span["name"] for group in groups for span in group["scopeSpans"][0]["spans"]]


def counts(unsent):
    return unsent.written, unsent.refused, unsent.dropped


@pytest.mark.parametrize("answer", [IntakeAnswer.BUSY, IntakeAnswer.OVER_QUOTA])
def test_what_the_lake_has_no_room_for_is_sent_again_in_its_order(answer):
    """A second in which the disk was at its floor cost every agent without instrumentation its tasks of that second."""
    lake = Moody()
    unsent = UnsentSpans(lake)
    lake.answer = answer
    for name in "abc":
        unsent.add([], [{"name": name}])
        unsent.send()
    assert (lake.names, counts(unsent)) == ([], (0, 0, 0))
    lake.answer = IntakeAnswer.ACCEPTED
    unsent.send()
    assert (lake.names, counts(unsent)) == (["a", "b", "c"], (3, 0, 0))


def test_what_the_lake_will_never_take_holds_up_nothing():
    lake = Moody()
    unsent = UnsentSpans(lake)
    lake.answer = IntakeAnswer.MALFORMED
    unsent.add([], [{"name": "a"}, {"name": "b"}])
    unsent.send()
    lake.answer = IntakeAnswer.ACCEPTED
    unsent.add([], [{"name": "c"}])
    unsent.send()
    assert (lake.names, counts(unsent)) == (["c"], (1, 2, 0))


def test_a_request_is_never_larger_than_the_lake_takes(monkeypatch):
    """Five hundred long answers were one body of over 16 MiB, which the lake refuses whole."""
    monkeypatch.setattr(unsent_spans, "REQUEST_BYTES_MAX", 1_000)
    lake = Moody()
    unsent = UnsentSpans(lake)
    unsent.add([], [{"name": f"{number}" * 300} for number in range(10)])
    unsent.send()
    assert (len(lake.bodies), len(lake.names), unsent.written) == (4, 10, 10)
    assert max(map(len, lake.bodies)) < 1_200


def test_what_is_kept_is_bounded_and_what_is_not_kept_is_counted(monkeypatch):
    monkeypatch.setattr(unsent_spans, "UNSENT_BYTES_MAX", 400)
    lake = Moody()
    unsent = UnsentSpans(lake)
    lake.answer = IntakeAnswer.BUSY
    for _ in range(5):
        unsent.add([], [{"name": "a" * 50}])
        unsent.send()
    assert counts(unsent) == (0, 0, 3)
    unsent.give_up()
    assert counts(unsent) == (0, 2, 3)
    lake.answer = IntakeAnswer.ACCEPTED
    unsent.add([], [{"name": "b"}])
    unsent.send()
    assert (lake.names, counts(unsent)) == (["b"], (1, 2, 3))
