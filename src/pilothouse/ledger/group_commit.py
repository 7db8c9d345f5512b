# SPDX-License-Identifier: Apache-2.0
"""Group commit: a durable commit costs milliseconds, its rows microseconds, so waiting threads share one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection

from pilothouse.errors import LimitExceeded
from pilothouse.ledger.database import Database

__all__ = ["GROUP_MAX", "WAITING_MAX", "GroupCommit"]

GROUP_MAX = 512
"""Pieces of work in one transaction: about 50 ms of rows, so that other writers get their turn."""

WAITING_MAX = 10_000
"""Pieces of work that may wait: more is an outage, and the caller denies."""

T = TypeVar("T")


@dataclass(slots=True)
class _Piece(Generic[T]):
    work: Callable[[Connection], T]
    done: bool = False
    result: T | None = None
    error: BaseException | None = None


class GroupCommit:
    """Runs the work of many threads in shared transactions; the first waiting thread commits for the others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mutex = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Piece[object]] = []

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run one piece of work in a transaction and return when it is on disk.

        Args:
            work: Reads and writes with the connection; must not wait for anything else.

        Raises:
            LimitExceeded: `WAITING_MAX` pieces wait already.
        """
        piece: _Piece[T] = _Piece(work)
        with self._mutex:
            if len(self._waiting) >= WAITING_MAX:
                raise LimitExceeded(
                    f"{WAITING_MAX:,} records wait to be written",
                    remedy="The disk is too slow or stuck; look at `pilothouse doctor`.",
                    subject="audit",
                )
            self._waiting.append(piece)  # type: ignore[arg-type]  # results of all pieces stand in one list
        while not piece.done:
            with self._turn:
                if not piece.done:
                    self._commit()
        if piece.error is not None:
            raise piece.error
        return piece.result  # type: ignore[return-value]  # set together with `done`

    def _commit(self) -> None:
        with self._mutex:
            group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
        results: list[object] = []
        try:
            with self._database.write() as connection:
                results.extend(piece.work(connection) for piece in group)
        except BaseException as error:  # noqa: BLE001 - each piece learns its own fate below
            # When all the work was done, it is the commit that failed, and a server that went away in the middle of it may
            # have it on disk: done again, everything would be there twice.
            if len(group) == 1 or len(results) == len(group):
                for piece in group:
                    piece.error, piece.done = error, True
                return
            for piece in group:
                self._alone(piece)
            return
        for piece, result in zip(group, results, strict=True):
            piece.result, piece.done = result, True

    def _alone(self, piece: _Piece[object]) -> None:
        """Run one piece alone after its group failed, so that only the faulty one fails."""
        try:
            with self._database.write() as connection:
                piece.result = piece.work(connection)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            piece.error = error
        finally:
            piece.done = True
