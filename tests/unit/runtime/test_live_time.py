# SPDX-License-Identifier: Apache-2.0
"""A replay that somebody waits for asks a live model for so long and no longer; what came before stays."""

from __future__ import annotations

import asyncio
import time

from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.runtime.replay.live import LiveModel

CHAT = "/v1/chat/completions"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'


def ask(model):
    status, _, answer = asyncio.run(model.ask(CHAT, {}, BODY))
    return status, answer.decode()


def test_what_comes_after_the_time_of_a_replay_is_not_asked():
    with ProviderStub(default=Plan(text="hello")) as stub:
        quick = LiveModel(stub.origin, None, total_s=1.0)
        assert ask(quick)[0] == 200
        time.sleep(1.1)
        status, said = ask(quick)
        assert (status, "the 1 s of this replay were over" in said) == (504, True)
        assert len(stub.seen) == 1
        assert ask(LiveModel(stub.origin, None))[0] == 200
