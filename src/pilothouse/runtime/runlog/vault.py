# SPDX-License-Identifier: Apache-2.0
"""Keys of data subjects, one each, in a file of their own; destroying a key erases what it encrypted.

By default a run is its own subject, and most runs are new. Their keys are made ahead, many in one commit, and a run's row says
which one is its own, so that a run costs this file no commit.

The file is apart from the log, so that a copy of the log alone says nothing, and it is kept in rollback mode with
`secure_delete`, so that no page, journal or write-ahead log holds a destroyed key.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pilothouse.durable_file import private_folder
from pilothouse.runtime.runlog.tables import insert_rows, parts, transaction

__all__ = ["ContentKey", "KeyVault", "addresses_in"]

KEYS_CACHED_MAX = 1_024
"""Keys in memory, 2.5 KB each; a run needs one while it goes on, and one that was forgotten costs a look."""

AHEAD_FIRST = 8
"""Keys that are made ahead at first: a command that writes one run makes few."""

AHEAD_MAX = 512
"""Keys that are made ahead at once; each time twice as many as before up to this, half a second of the busiest gateway."""

NONCE_BYTES = 12
ADDRESS_BYTES = 16


class ContentKey:
    """Addresses and encrypts the content of one data subject.

    Use 64 random bytes: half encrypts, half addresses.

    Example:
        >>> key = ContentKey(bytes(64))
        >>> pieces = {key.address(text): text for text in (b"one", b"two")}
        >>> key.open(*key.seal(pieces)) == pieces
        True
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key[:32])
        self._address_key = key[32:]

    def address(self, content: bytes) -> bytes:
        """Return the address of content: a keyed digest that cannot be computed without the key."""
        return hashlib.blake2b(content, key=self._address_key, digest_size=ADDRESS_BYTES).digest()

    def seal(self, pieces: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
        """Encrypt pieces together under their addresses: ten cost hardly more than one.

        Args:
            pieces: Content by address, at least one; one alone stands as it is.

        Returns:
            The addresses one behind another, and what was encrypted.
        """
        addresses, nonce = b"".join(pieces), os.urandom(NONCE_BYTES)
        contents = list(pieces.values())
        plain = contents[0] if len(contents) == 1 else msgspec.msgpack.encode(contents)
        return addresses, nonce + self._cipher.encrypt(nonce, plain, addresses)

    def open(self, addresses: bytes, sealed: bytes) -> dict[bytes, bytes]:
        """Decrypt pieces; return none when addresses, key or content do not match."""
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], addresses)
        except (InvalidTag, ValueError):
            return {}
        names = addresses_in(addresses)
        contents = [plain] if len(names) == 1 else msgspec.msgpack.decode(plain, type=list[bytes])
        return dict(zip(names, contents, strict=True))


def addresses_in(joined: bytes) -> list[bytes]:
    """Return the addresses that `ContentKey.seal` joined."""
    return [joined[at : at + ADDRESS_BYTES] for at in range(0, len(joined), ADDRESS_BYTES)]


class KeyVault:
    """The keys, by subject; safe for several threads and processes.

    Making one opens or creates the file, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        self._cached: OrderedDict[str | int, ContentKey] = OrderedDict()
        """By the number that was drawn, else by subject."""
        self._ahead: deque[tuple[int, bytes]] = deque()
        self._ahead_size = AHEAD_FIRST
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10, isolation_level=None)
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute(
            "PRAGMA journal_mode = TRUNCATE"
        )  # one system call less than making it anew each time
        self._connection.execute("PRAGMA synchronous = FULL")
        for table in (
            "subject_key (subject TEXT PRIMARY KEY, key BLOB, erased INTEGER NOT NULL DEFAULT 0)",
            "run_key (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB, erased INTEGER NOT NULL DEFAULT 0)",
        ):
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")

    def make(self, subjects: set[str]) -> None:
        """Make the keys that are not there yet, in one commit."""
        with self._lock:
            missing = [subject for subject in subjects if subject not in self._cached]
            if not missing:
                return
            with transaction(self._connection):
                found = dict(self._found(missing))
                made = [(subject, os.urandom(64)) for subject in missing if found.get(subject) is None]
                insert_rows(
                    self._connection,
                    "subject_key (subject, key)",
                    made,
                    "ON CONFLICT (subject) DO UPDATE SET key = excluded.key",
                )
            for subject, key in (found | dict(made)).items():
                if key is not None:
                    self._remember(subject, key)

    def draw(self, *, again: bool = False) -> int:
        """Return the number of a pre-generated key, for a run that is its own data subject.

        Args:
            again: Whether the key that the run had was destroyed; then it stays one whose content was erased.
        """
        with self._lock:
            if not self._ahead:
                self._make_ahead()
            number, key = self._ahead.popleft()
            if again:
                self._connection.execute("UPDATE run_key SET erased = 1 WHERE number = ?", (number,))
            self._remember(number, key)
            return number

    def key(self, subject: str, number: int | None = None) -> ContentKey | None:
        """Return the key of a subject, or None when it was destroyed or never made.

        Args:
            subject: Whose.
            number: What `draw` returned for it, if that made its key.
        """
        with self._lock:
            name = subject if number is None else number
            cached = self._cached.get(name)
            if cached is not None:
                self._cached.move_to_end(name)
                return cached
            row = self._row("key", name)
            if row is None or row[0] is None:
                return None
            return self._remember(name, row[0])

    def is_erased(self, subject: str, number: int | None = None) -> bool:
        """Whether content of the subject was erased; arguments as for `key`."""
        with self._lock:
            row = self._row("erased", subject if number is None else number)
        return bool(row and row[0])

    def destroy(self, subject: str, numbers: Sequence[int] = ()) -> None:
        """Destroy keys irrevocably; later content of the subject gets a new key, and a subject without a key is not noted."""
        self.forget([subject, *numbers])
        with self._lock, transaction(self._connection):
            self._connection.execute(
                "UPDATE subject_key SET key = NULL, erased = 1 WHERE subject = ?", (subject,)
            )
            self._connection.executemany(
                "UPDATE run_key SET key = NULL, erased = 1 WHERE number = ?", [(one,) for one in numbers]
            )

    def drop(self, subjects: Sequence[str], numbers: Sequence[int] = ()) -> None:
        """Destroy keys whose content is gone, without a note: each run is a subject of its own."""
        self.forget([*subjects, *numbers])
        with self._lock, transaction(self._connection):
            for name, gone in (("subject_key WHERE subject", subjects), ("run_key WHERE number", numbers)):
                for part in parts(gone):
                    self._connection.execute(
                        f"DELETE FROM {name} IN ({', '.join('?' * len(part))})",  # noqa: S608 - our own tables
                        part,
                    )

    def forget(self, names: Iterable[str | int]) -> None:
        """Look keys up again: another process may have destroyed them.

        Args:
            names: Subjects, and numbers that were drawn.
        """
        with self._lock:
            for name in names:
                self._cached.pop(name, None)

    def own_key(self) -> bytes:
        """Return 32 bytes that are this installation's, for placeholders."""
        name = "\x00installation"
        self.make({name})
        with self._lock:
            row = self._connection.execute(
                "SELECT key FROM subject_key WHERE subject = ?", (name,)
            ).fetchone()
        return bytes(row[0][:32])

    def _make_ahead(self) -> None:
        """Make keys in one commit; nobody else knows them, whatever other process writes too."""
        size = self._ahead_size
        with transaction(self._connection):
            last = self._connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'run_key'"
            ).fetchone()
            first = 1 if last is None else last[0] + 1
            made = [(first + place, os.urandom(64)) for place in range(size)]
            insert_rows(self._connection, "run_key (number, key)", made)
        self._ahead.extend(made)
        self._ahead_size = min(2 * size, AHEAD_MAX)

    def _row(self, column: str, name: str | int) -> tuple[Any, ...] | None:
        where = "run_key WHERE number" if isinstance(name, int) else "subject_key WHERE subject"
        row: tuple[Any, ...] | None = self._connection.execute(
            f"SELECT {column} FROM {where} = ?",  # noqa: S608 - our own names
            (name,),
        ).fetchone()
        return row

    def _found(self, subjects: list[str]) -> Iterator[tuple[str, bytes | None]]:
        """Yield the keys that are there; a destroyed one is None, and is made anew."""
        for part in parts(subjects):
            yield from self._connection.execute(
                f"SELECT subject, key FROM subject_key WHERE subject IN ({', '.join('?' * len(part))})",  # noqa: S608 - only marks
                part,
            )

    def _remember(self, name: str | int, key: bytes) -> ContentKey:
        made = self._cached[name] = ContentKey(key)
        if len(self._cached) > KEYS_CACHED_MAX:
            self._cached.popitem(last=False)
        return made

    def close(self) -> None:
        """Close the file; what was made ahead and not used does not stay."""
        if self._ahead:
            with suppress(sqlite3.Error):  # whoever has it open keeps nobody from ending
                self.drop((), [number for number, _ in self._ahead])
        with self._lock:
            self._connection.close()
