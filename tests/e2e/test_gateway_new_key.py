# SPDX-License-Identifier: Apache-2.0
"""A key works from the moment on in which it is made, although what is in force is read once a second only."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from forked_process import run_command_line
from started_server import started_server
from tests.stubs.gateway_site import AGENT, MODEL, GatewaySite, pinned
from tests.stubs.provider_stub import ProviderStub
from tests.stubs.raw_http import ask

from pilothouse.runtime.gateway.key_book import KeyBook
from pilothouse.runtime.gateway.keys import make_key
from pilothouse.runtime.gateway.policy import Directory
from pilothouse.runtime.gateway.refusal import Refused

CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def stub():
    with ProviderStub() as provider:
        yield provider


class Unread:
    """Keys that are in the ledger and not in memory yet: each look reads them."""

    def __init__(self):
        self.site = None
        self.made = {}
        self.looks = []
        self.lock = threading.Lock()

    def look(self):
        with self.lock:
            self.looks.append(time.monotonic())
        time.sleep(0.02)
        self.site.keys = dict(self.made)


@pytest.fixture
def unread(stub):
    found = Unread()
    with GatewaySite({"acme": stub.origin}, pinned(("acme", MODEL)), look=found.look) as site:
        found.site = site
        found.made, site.keys = site.keys, {}
        yield found


def test_many_that_show_a_new_key_at_once_share_a_look_or_two(unread):
    with ThreadPoolExecutor(20) as pool:
        statuses = [one.status for one in pool.map(lambda _: ask(unread.site, CHAT, BODY), range(20))]
    assert statuses == [200] * 20
    assert len(unread.looks) <= 3
    ask(unread.site, CHAT, BODY)
    assert len(unread.looks) <= 3, "a known key asks nobody"


def test_invented_keys_cost_four_looks_a_second_at_most_and_foreign_ones_none(unread):
    began = time.monotonic()
    for number in range(6):
        refused = ask(unread.site, CHAT, BODY, {"authorization": f"Bearer ph_0000000{number}_{'0' * 64}"})
        assert refused.error["code"] == "key_unknown"
    assert len(unread.looks) <= 4 * (time.monotonic() - began) + 1
    looks = len(unread.looks)
    wrong = unread.site.key[:-1] + ("0" if unread.site.key[-1] != "0" else "1")
    for shown in ("sk-own", "", wrong):
        assert ask(unread.site, CHAT, BODY, {"authorization": f"Bearer {shown}"}).status == 401
    assert len(unread.looks) == looks


def test_a_look_that_somebody_waits_for_outlives_the_one_that_asked_for_it():
    looks = []

    async def play():
        nobody = Directory(keys={}, providers={}, policies={})
        book = KeyBook(lambda: nobody, lambda: (time.sleep(0.05), looks.append("read")))
        first, second = (asyncio.create_task(book.holder(make_key()[0], datetime.now(UTC))) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        ends = await asyncio.gather(first, second, return_exceptions=True)
        return [type(one) for one in ends]

    assert asyncio.run(play()) == [asyncio.CancelledError, Refused]
    assert looks == ["read"]


@pytest.mark.slow
def test_a_key_can_be_used_as_soon_as_its_command_has_printed_it(stub, tmp_path):
    home = tmp_path / "home"

    def typed(*words):
        return run_command_line(*words, env={**os.environ, "PILOTHOUSE_HOME": str(home)}).stdout

    typed("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
    with started_server("--grpc-port", "0", "--home", str(home), ACME_KEY="sk-none") as base:
        for _ in range(3):
            key = json.loads(typed("key", "add", AGENT, "--json"))["key"]
            site = SimpleNamespace(port=int(base.rpartition(":")[2]), key=key)
            assert ask(site, CHAT, BODY).status == 200
        idle = json.loads(typed("key", "add", AGENT, "--json"))["prefix"]
    last = {one["prefix"]: one["used_at"] for one in json.loads(typed("key", "list", "--json"))}
    assert [prefix for prefix, used_at in last.items() if used_at is None] == [idle]
    assert "not yet" in typed("key", "list")
