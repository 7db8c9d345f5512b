# SPDX-License-Identifier: Apache-2.0
"""No more connections than `CONNECTIONS_MAX` are in use, and who waited for one gets it or hands its turn on."""

from __future__ import annotations

import asyncio

import pytest

from pilothouse.runtime.gateway import connections
from pilothouse.runtime.gateway.connection import BUFFERED_BYTES_MAX, Connection
from pilothouse.runtime.gateway.connections import ConnectionPool, Target

HERE = Target("127.0.0.1", 9, is_secure=False)


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 1)

    async def connect(self, target):
        return Connection()

    monkeypatch.setattr(ConnectionPool, "_connect", connect)
    return ConnectionPool


async def turns():
    """Let everybody else go on as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_finds_none_free_waits_until_one_is_given_back(pool):
    async def main():
        ours = pool()
        first = await ours.take(HERE)
        others = [asyncio.create_task(ours.take(HERE)) for _ in range(2)]
        await turns()
        assert not any(one.done() for one in others)
        ours.give_back(HERE, first)
        await turns()
        assert [one.done() for one in others] == [True, False]
        ours.give_back(HERE, others[0].result())
        ours.give_back(HERE, await others[1])
        await ours.close()

    asyncio.run(main())


@pytest.mark.parametrize("is_woken", [False, True])
def test_who_goes_away_while_waiting_keeps_nobody_else_from_it(pool, is_woken):
    async def main():
        ours = pool()
        first = await ours.take(HERE)
        gone, stays = (asyncio.create_task(ours.take(HERE)) for _ in range(2))
        await turns()
        if not is_woken:
            gone.cancel()
            await turns()
        ours.give_back(HERE, first)
        gone.cancel()
        await asyncio.wait([gone])
        assert gone.cancelled()
        ours.give_back(HERE, await asyncio.wait_for(stays, 30.0))
        await ours.close()

    asyncio.run(main())


def test_one_that_cannot_be_connected_takes_no_place(pool, monkeypatch):
    async def main():
        ours = pool()
        with pytest.raises(ConnectionRefusedError):
            await ours.take(HERE)
        monkeypatch.undo()
        assert ours._used == 0

    async def refused(self, target):
        raise ConnectionRefusedError

    monkeypatch.setattr(ConnectionPool, "_connect", refused)
    asyncio.run(main())


class Wire(asyncio.Transport):
    """A transport that keeps what is asked of it."""

    def __init__(self):
        super().__init__()
        self.is_read = True

    def write(self, data):
        pass

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        self.is_read = False

    def resume_reading(self):
        self.is_read = True


@pytest.mark.parametrize("size", [5, 2 * BUFFERED_BYTES_MAX])
def test_what_nobody_read_of_an_answer_is_no_part_of_the_next_one(size):
    """A client that left while its whole answer lay there gave the rest of it to whoever was answered next, of whichever agent."""

    def answer(body):
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def main():
        connection, wire = Connection(), Wire()
        connection.connection_made(wire)
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(answer(b"s" * size))
        await connection.answered()
        assert connection.is_free
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        assert wire.is_read
        connection.data_received(answer(b"next"))
        await connection.answered()
        assert (await connection.read_some(), await connection.read_some()) == (b"next", b"")

    asyncio.run(main())
