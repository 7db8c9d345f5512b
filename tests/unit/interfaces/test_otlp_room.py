# SPDX-License-Identifier: Apache-2.0
"""A sender waits for room before its body is read, and is refused only when none comes."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from pilothouse.interfaces.http import otlp
from pilothouse.ports.intake import IntakeAnswer, Receipt

BODY = b"x" * 100


class Intake:
    """Has room at its n-th look; notes how many bytes others were reading at each."""

    def __init__(self, looks_until_room: int, answer: IntakeAnswer = IntakeAnswer.ACCEPTED) -> None:
        self.left = looks_until_room
        self.answer = answer
        self.coming: list[int] = []
        self.bodies: list[bytes] = []

    def has_room(self, source: str, coming: int) -> bool:
        assert source == "otlp"
        self.coming.append(coming)
        self.left -= 1
        return self.left < 0

    def submit(self, signal, *, content_type, content_encoding, body, source) -> Future[Receipt]:
        self.bodies.append(body)
        done: Future[Receipt] = Future()
        done.set_result(Receipt(answer=self.answer, items=1, reason="full"))
        return done

    def settle(self) -> None:
        raise AssertionError


class Sender:
    """One request; its body comes when `may_send` is set."""

    def __init__(self) -> None:
        self.reads = 0
        self.may_send = asyncio.Event()
        self.answers: list[dict] = []

    async def receive(self) -> dict:
        self.reads += 1
        await self.may_send.wait()
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(self, message) -> None:
        self.answers.append(message)

    def scope(self) -> dict:
        headers = [(b"content-type", b"application/x-protobuf"), (b"content-length", b"%d" % len(BODY))]
        return {"type": "http", "path": "/v1/traces", "method": "POST", "headers": headers}

    @property
    def status(self) -> int:
        return self.answers[0]["status"]


def test_no_body_is_read_before_there_is_room():
    intake = Intake(looks_until_room=3)

    async def run() -> Sender:
        sender = Sender()
        sender.may_send.set()

        async def receive() -> dict:
            assert len(intake.coming) == 4, "read before there was room"
            return await Sender.receive(sender)

        await otlp.otlp_app(intake)(sender.scope(), receive, sender.send)
        return sender

    sender = asyncio.run(run())
    assert (sender.status, sender.reads, intake.bodies) == (200, 1, [BODY])


def test_a_sender_that_finds_no_room_is_refused_and_told_when_to_come_again(monkeypatch):
    monkeypatch.setattr(otlp, "ROOM_S_MAX", 0.03)
    intake = Intake(looks_until_room=1_000, answer=IntakeAnswer.BUSY)

    async def run() -> Sender:
        sender = Sender()
        sender.may_send.set()
        await otlp.otlp_app(intake)(sender.scope(), sender.receive, sender.send)
        return sender

    sender = asyncio.run(run())
    assert sender.status == 503
    assert (b"retry-after", b"1") in sender.answers[0]["headers"]


def test_bodies_that_are_being_read_count_until_the_intake_has_them():
    intake = Intake(looks_until_room=0)

    async def run() -> None:
        app = otlp.otlp_app(intake)
        first, second, third = Sender(), Sender(), Sender()
        slow = asyncio.create_task(app(first.scope(), first.receive, first.send))
        await asyncio.sleep(0)
        second.may_send.set()
        await app(second.scope(), second.receive, second.send)
        first.may_send.set()
        await slow
        third.may_send.set()
        await app(third.scope(), third.receive, third.send)

    asyncio.run(run())
    assert intake.coming == [0, len(BODY), 0]
