# SPDX-License-Identifier: Apache-2.0
"""When a key was last used is noted once an hour, and a refused one is no use."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pilothouse.ports.gateway import VirtualKey
from pilothouse.runtime.gateway.key_book import USE_NOTED_EVERY, KeyBook
from pilothouse.runtime.gateway.keys import make_key
from pilothouse.runtime.gateway.policy import Directory
from pilothouse.runtime.gateway.refusal import Refused

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_each_hour_has_one_note_of_a_key_that_is_used_all_the_time():
    shown, prefix, digest = make_key()
    key = VirtualKey(
        prefix=prefix,
        digest=digest,
        agent="triage",
        created_at=NOW,
        created_by="sam",
        expires_at=NOW + timedelta(days=1),
    )
    in_force = Directory(keys={prefix: key}, providers={}, policies={})
    book = KeyBook(lambda: in_force)

    def use(at):
        asyncio.run(book.holder(shown, at))
        return book.unnoted()

    for wrong, at in ((shown + "x", NOW), (shown, NOW + timedelta(days=2))):
        with pytest.raises(Refused):
            asyncio.run(book.holder(wrong, at))
    assert book.unnoted() == {}
    assert use(NOW) == {prefix: NOW}
    soon, due = NOW + USE_NOTED_EVERY / 2, NOW + USE_NOTED_EVERY
    assert use(soon) == {prefix: soon}  # nothing is on disk yet
    book.note({prefix: NOW})
    assert use(soon) == {}
    assert use(due) == {prefix: due}
