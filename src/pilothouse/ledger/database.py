# SPDX-License-Identifier: Apache-2.0
"""The two kinds of transaction that every part of the ledger is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from pilothouse.ledger.engine import WRITE_OPTION
from pilothouse.ledger.translation import translated

__all__ = ["Database"]


class Database:
    """An opened ledger whose tables are up to date; safe to share between threads.

    Args:
        engine: Its engine.
        subject: The file, as messages name it.
    """

    def __init__(self, engine: Engine, subject: str) -> None:
        self.engine = engine
        self.subject = subject

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads: one moment of the ledger."""
        with translated(self.subject), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that writes: on disk when the block ends, or nothing of it happened."""
        writing = self.engine.execution_options(**{WRITE_OPTION: True})
        with translated(self.subject), writing.begin() as connection:
            yield connection

    @property
    def is_postgres(self) -> bool:
        """Whether it is kept by a server with a clock of its own."""
        return self.engine.dialect.name == "postgresql"

    def close(self) -> None:
        """Close every connection; the object is of no use afterwards."""
        self.engine.dispose()
