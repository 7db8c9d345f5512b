# SPDX-License-Identifier: Apache-2.0
"""Finds the examples most like an input: BM25 over SQLite's full-text index, in memory."""

from __future__ import annotations

import re
import sqlite3
import threading
import weakref
from collections import Counter
from collections.abc import Sequence

from pilothouse.ports.curation import Example

__all__ = ["FewShotIndex"]

WORDS_MAX = 64
"""Words of an input that are looked for, rarest first; the rows below end most inputs sooner."""

ROWS_MAX = 1_500
"""Rows that the words of one question may touch, rarest word first: the common words cost the most and say the
least, and time follows rows, not words (`benchmarks/fewshot`)."""

FOUND_MAX = 20
"""Examples of one answer; a prompt holds no more."""

_WORD = re.compile(r"\w+")


class FewShotIndex:
    """An index over one version of a library; safe to share between threads."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = tuple(examples)
        self._lock = threading.Lock()
        self._frequency: Counter[str] = Counter()
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._index.close)
        self._index.execute(
            "CREATE VIRTUAL TABLE texts USING fts5(text, task_type UNINDEXED, tokenize='unicode61')"
        )
        rows = []
        for number, example in enumerate(self._examples):
            words = _words(example.input)
            self._frequency.update(set(words))
            rows.append((number, " ".join(words), example.task_type))
        self._index.executemany("INSERT INTO texts(rowid, text, task_type) VALUES (?, ?, ?)", rows)

    def find(
        self, text: str, *, task_type: str | None = None, k: int = 5, without: str = ""
    ) -> tuple[Example, ...]:
        """Return the most similar examples, best first.

        Args:
            text: An input.
            task_type: Only of this task type, or None for all.
            k: How many, at most 20.
            without: Item whose own example is left out, so that no answer is shown its own solution.

        Source:
            Robertson and Zaragoza 2009, BM25, as SQLite FTS5 computes it.
        """
        known = [word for word in dict.fromkeys(_words(text)) if word in self._frequency]
        rare = self._rarest(known)
        if not rare:
            return ()
        query = " OR ".join(f'"{word}"' for word in rare)
        sql = "SELECT rowid FROM texts WHERE texts MATCH ?"
        arguments: list[object] = [query]
        if task_type is not None:
            sql += " AND task_type = ?"
            arguments.append(
                task_type.encode("utf-8", "replace").decode()
            )  # a caller may write half a character
        sql += " ORDER BY bm25(texts), rowid LIMIT ?"
        wanted = max(1, min(k, FOUND_MAX))
        arguments.append(wanted + 1)
        with self._lock:
            rows = self._index.execute(sql, arguments).fetchall()
        found = [self._examples[number] for (number,) in rows]
        return tuple(example for example in found if example.item_id != without or not without)[:wanted]

    def _rarest(self, known: Sequence[str]) -> list[str]:
        """Return the words to search for: rarest first, at least one, until the row budget is spent."""
        chosen: list[str] = []
        rows = 0
        for word in sorted(known, key=lambda word: self._frequency[word])[:WORDS_MAX]:
            rows += self._frequency[word]
            if chosen and rows > ROWS_MAX:
                break
            chosen.append(word)
        return chosen

    def close(self) -> None:
        """Free the index."""
        self._index.close()


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
