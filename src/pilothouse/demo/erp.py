# SPDX-License-Identifier: Apache-2.0
"""The demo's ERP: a small SQLite database with purchase orders, routings and what was booked in the end.

The agent's tools read purchase orders and write routings. They never see `bookings`, which accounts payable wrote:
that table is the truth, and only the verifier in the charter's folder reads it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Booking", "Erp", "PostingRun", "PurchaseOrder", "create_erp"]

ORDERS_SHOWN_MAX = 5
"""A search answers with the first few orders, as the ERP's own screen does."""

SCHEMA = """
CREATE TABLE purchase_orders (
  po_number TEXT PRIMARY KEY, supplier TEXT NOT NULL, entity TEXT NOT NULL, currency TEXT NOT NULL,
  amount REAL NOT NULL
) STRICT;
CREATE TABLE posting_runs (from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL) STRICT;
CREATE TABLE routings (
  document TEXT PRIMARY KEY, queue TEXT NOT NULL, po_number TEXT NOT NULL, routed_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE escalations (document TEXT NOT NULL, reason TEXT NOT NULL, raised_ns INTEGER NOT NULL) STRICT;
CREATE TABLE bookings (
  document TEXT PRIMARY KEY, queue TEXT NOT NULL, po_number TEXT NOT NULL, entity TEXT NOT NULL,
  duplicate_of TEXT NOT NULL
) STRICT;
CREATE INDEX orders_by_supplier ON purchase_orders (supplier);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseOrder:
    """An open purchase order.

    Attributes:
        po_number: `PO-` and six digits.
        supplier: Supplier's name as registered.
        entity: Company of the group that ordered.
        currency: ISO code.
        amount: Ordered amount in `currency`.
    """

    po_number: str
    supplier: str
    entity: str
    currency: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingRun:
    """The nightly job of an ERP that was moved into the afternoon: nothing can be written meanwhile."""

    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """Where accounts payable booked a document in the end.

    Attributes:
        document: Document handle.
        queue: The right queue.
        po_number: The right purchase order, empty when there is none.
        entity: Company it belongs to.
        duplicate_of: The document it repeats, empty when it is new.
    """

    document: str
    queue: str
    po_number: str
    entity: str
    duplicate_of: str


def create_erp(
    path: Path,
    *,
    orders: Iterable[PurchaseOrder],
    bookings: Iterable[Booking],
    posting_runs: Iterable[PostingRun],
) -> None:
    """Create the database of one demo run; the file must not exist.

    Args:
        path: New file.
        orders: Open purchase orders.
        bookings: What was booked in the end.
        posting_runs: When nothing can be written.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany(
            "INSERT INTO purchase_orders VALUES (?, ?, ?, ?, ?)", [astuple(order) for order in orders]
        )
        connection.executemany("INSERT INTO bookings VALUES (?, ?, ?, ?, ?)", [astuple(b) for b in bookings])
        connection.executemany("INSERT INTO posting_runs VALUES (?, ?)", [astuple(r) for r in posting_runs])
    connection.close()


class Erp:
    """What the agent's tools may do in the ERP.

    Example:
        >>> import tempfile
        >>> order = PurchaseOrder(po_number="PO-1", supplier="Acme", entity="UK", currency="GBP", amount=9.5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "erp.sqlite"
        ...     create_erp(path, orders=[order], bookings=[], posting_runs=[])
        ...     with Erp(path) as erp:
        ...         found = erp.find_order("PO-1")
        >>> found.supplier
        'Acme'
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        # Several agent processes may work in one ERP; the data is made up, so it need not survive a power cut.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")

    def find_order(self, po_number: str) -> PurchaseOrder | None:
        """Return the order of a number, or None."""
        row = self._connection.execute(
            "SELECT * FROM purchase_orders WHERE po_number = ?", (po_number,)
        ).fetchone()
        return None if row is None else _order(row)

    def search_orders(self, supplier: str) -> tuple[PurchaseOrder, ...]:
        """Return the first orders of a supplier, lowest number first; empty when nobody has that name."""
        rows = self._connection.execute(
            "SELECT * FROM purchase_orders WHERE supplier = ? COLLATE NOCASE ORDER BY po_number LIMIT ?",
            (supplier, ORDERS_SHOWN_MAX),
        ).fetchall()
        return tuple(_order(row) for row in rows)

    def route(self, *, document: str, queue: str, po_number: str, at_ns: int) -> None:
        """Put a document into a queue.

        Args:
            document: Document handle.
            queue: Queue name.
            po_number: Purchase order, or empty.
            at_ns: Unix nanoseconds UTC.

        Raises:
            TimeoutError: A posting run holds the tables, as an outside system fails: not with an error of ours.
        """
        if self._connection.execute(
            "SELECT 1 FROM posting_runs WHERE from_ns <= ? AND ? < to_ns", (at_ns, at_ns)
        ).fetchone():
            raise TimeoutError("no answer within 5 s")
        self._connection.execute(
            "INSERT OR REPLACE INTO routings VALUES (?, ?, ?, ?)", (document, queue, po_number, at_ns)
        )

    def escalate(self, *, document: str, reason: str, at_ns: int) -> None:
        """Hand a document to a person; goes by mail, so it works during posting runs."""
        self._connection.execute("INSERT INTO escalations VALUES (?, ?, ?)", (document, reason, at_ns))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


def _order(row: tuple[str, str, str, str, float]) -> PurchaseOrder:
    number, supplier, entity, currency, amount = row
    return PurchaseOrder(po_number=number, supplier=supplier, entity=entity, currency=currency, amount=amount)
