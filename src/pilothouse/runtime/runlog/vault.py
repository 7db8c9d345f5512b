# SPDX-License-Identifier: Apache-2.0
"""Keys of data subjects, one each, in a file of their own; destroying a key erases what it encrypted.

The file is apart from the log, so that a copy of the log alone says nothing, and it is kept in rollback mode with
`secure_delete`, so that no page, journal or write-ahead log holds a destroyed key.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pilothouse.runtime.runlog.tables import insert_rows, parts, transaction

__all__ = ["ContentKey", "KeyVault"]

KEYS_CACHED_MAX = 1_024
"""Keys in memory, 2.5 KB each; a run needs one while it goes on, and one that was forgotten costs a look."""

NONCE_BYTES = 12
ADDRESS_BYTES = 16


class ContentKey:
    """Addresses and encrypts the content of one data subject.

    Example:
        >>> key = ContentKey(bytes(64))
        >>> address = key.address(b"text")
        >>> key.open(address, key.seal(address, b"text"))
        b'text'
    """

    def __init__(self, key: bytes) -> None:
        """Use 64 random bytes: half encrypts, half addresses."""
        self._cipher = AESGCM(key[:32])
        self._address_key = key[32:]

    def address(self, content: bytes) -> bytes:
        """Return what content is called: a digest that nobody without the key can compute."""
        return hashlib.blake2b(content, key=self._address_key, digest_size=ADDRESS_BYTES).digest()

    def seal(self, address: bytes, content: bytes) -> bytes:
        """Encrypt content for its address."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, address)

    def open(self, address: bytes, sealed: bytes) -> bytes | None:
        """Decrypt, or None when it is not what was stored under that address and key."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], address)
        except (InvalidTag, ValueError):
            return None


class KeyVault:
    """The keys, by subject; safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, ContentKey] = OrderedDict()
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10, isolation_level=None)
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute(
            "PRAGMA journal_mode = TRUNCATE"
        )  # one system call less than making it anew each time
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS subject_key (subject TEXT PRIMARY KEY, key BLOB, erased INTEGER NOT NULL DEFAULT 0)"
        )

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

    def key(self, subject: str) -> ContentKey | None:
        """Return the key of a subject, or None when it was destroyed or never made."""
        with self._lock:
            cached = self._cached.get(subject)
            if cached is not None:
                self._cached.move_to_end(subject)
                return cached
            row = self._connection.execute(
                "SELECT key FROM subject_key WHERE subject = ?", (subject,)
            ).fetchone()
            if row is None or row[0] is None:
                return None
            return self._remember(subject, row[0])

    def is_erased(self, subject: str) -> bool:
        """Whether content of the subject was erased."""
        with self._lock:
            row = self._connection.execute(
                "SELECT erased FROM subject_key WHERE subject = ?", (subject,)
            ).fetchone()
        return bool(row and row[0])

    def destroy(self, subject: str) -> None:
        """Destroy a key for good; what comes later for that subject gets a new one, and who never had one is not noted."""
        with self._lock:
            self._cached.pop(subject, None)
            self._connection.execute(
                "UPDATE subject_key SET key = NULL, erased = 1 WHERE subject = ?", (subject,)
            )

    def drop(self, subjects: Sequence[str]) -> None:
        """Destroy keys of which nothing is left to be read, and do not note it: there is one subject for each run."""
        self.forget(subjects)
        with self._lock, transaction(self._connection):
            for part in parts(subjects):
                self._connection.execute(
                    f"DELETE FROM subject_key WHERE subject IN ({', '.join('?' * len(part))})",  # noqa: S608 - only marks
                    part,
                )

    def forget(self, subjects: Iterable[str]) -> None:
        """Look keys up again: another process may have destroyed them."""
        with self._lock:
            for subject in subjects:
                self._cached.pop(subject, None)

    def own_key(self) -> bytes:
        """Return 32 bytes that are this installation's, for placeholders."""
        name = "\x00installation"
        self.make({name})
        with self._lock:
            row = self._connection.execute(
                "SELECT key FROM subject_key WHERE subject = ?", (name,)
            ).fetchone()
        return bytes(row[0][:32])

    def _found(self, subjects: list[str]) -> Iterator[tuple[str, bytes | None]]:
        """Yield the keys that are there; a destroyed one is None, and is made anew."""
        for part in parts(subjects):
            yield from self._connection.execute(
                f"SELECT subject, key FROM subject_key WHERE subject IN ({', '.join('?' * len(part))})",  # noqa: S608 - only marks
                part,
            )

    def _remember(self, subject: str, key: bytes) -> ContentKey:
        made = self._cached[subject] = ContentKey(key)
        if len(self._cached) > KEYS_CACHED_MAX:
            self._cached.popitem(last=False)
        return made

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
