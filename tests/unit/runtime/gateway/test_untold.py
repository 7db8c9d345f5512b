# SPDX-License-Identifier: Apache-2.0
"""What was noticed is told once, in order, and what cannot be told waits with all that is behind it."""

from __future__ import annotations

import pytest
from tests.stubs.gateway_site import taken_from

from pilothouse.errors import StorageUnavailable
from pilothouse.runtime.gateway import untold as module
from pilothouse.runtime.gateway.untold import Untold


def test_what_cannot_be_told_waits_and_nothing_is_told_twice(monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    waiting, told = Untold(), []
    for one in "abc":
        assert waiting.has_room
        waiting.add(one)
    assert not waiting.has_room

    def note(one):
        if one == "b":
            raise StorageUnavailable("no disk", remedy="wait")
        told.append(one)

    with pytest.raises(StorageUnavailable):
        waiting.tell(note)
    assert (told, waiting.has_room) == (["a"], True)
    assert (taken_from(waiting), taken_from(waiting)) == (["b", "c"], [])


def test_what_is_noticed_while_it_is_told_is_told_the_next_time():
    waiting = Untold()
    waiting.add(1)
    waiting.tell(lambda one: waiting.add(one + 1))
    assert taken_from(waiting) == [2]
