# SPDX-License-Identifier: Apache-2.0
"""A charter switches edits on: a long conversation is shortened, told, recalled by agent and person, and replayed equal."""

from __future__ import annotations

import json
import sys
import time

import httpx
import pytest
from late_module import LateModule
from recording_server import AGENT, FACT, MODEL, PAGES, reader_code

from pilothouse.runtime.replay.sandbox import is_sandbox_supported

openai = LateModule("openai")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("recording")]

RUN = "ed" * 16


@pytest.fixture(scope="module")
def said(recording):
    """The agent's run by the official client: its answer, and the headers of each call."""
    code: dict = {}
    exec(reader_code(), code)
    headers = []
    with openai.OpenAI(
        base_url=f"{recording.gateway}/r/{RUN}/v1", api_key=recording.key, max_retries=0
    ) as client:

        def ask(body):
            answer = client.chat.completions.with_raw_response.create(**body)
            headers.append(answer.headers)
            return json.loads(answer.text)

        def recall(start=0, **named):
            place, options = f"/recall/{named['id']}", {"params": {"start": start}}
            return client.get(place, cast_to=httpx.Response, options=options).text

        return code["converse"](ask, recall), headers


def test_a_long_request_is_shortened_and_says_so_and_nothing_is_lost(recording, said):
    answer, headers = said
    assert answer == FACT
    edited = [one.get("x-pilothouse-edited", "") for one in headers]
    assert edited[0] == ""
    assert edited[-1] == "context.keep_last"
    assert len(edited) == PAGES + 2
    assert all(float(one["x-pilothouse-context"]) < 1 for one in headers)


def test_a_person_sees_what_went_and_reads_it(recording, said):
    status, shown = recording.typed("replay", RUN[:8], "--show")
    assert status == 0
    lines = [line for line in shown.splitlines() if "pilothouse context recall" in line]
    assert "old" in lines[0]
    assert "$.messages[3]" in lines[0]
    assert "context.keep_last took out 3 results" in shown
    ident = lines[0].rsplit(" ", 1)[1]
    status, text = recording.typed("context", "recall", ident)
    assert (status, FACT in text, text.startswith("Page 1.")) == (0, True, True)
    assert recording.typed("context", "recall", ident, "--end", "4") == (0, "Page\n")
    status, told = recording.typed("context", "recall", ident[:-3] + "fff")
    assert (status, "nothing is kept under" in told) == (2, True)


def _once_known(client, place, headers):
    """Ask until the server knows the new key, which it reads within a second when it has the processor."""
    end = time.monotonic() + 20
    while True:
        answer = client.get(place, headers=headers)
        if answer.status_code != 401 or time.monotonic() > end:
            return answer
        time.sleep(0.2)


def test_nobody_but_its_agent_recalls_it(recording, said):
    _, shown = recording.typed("replay", RUN[:8], "--show")
    ident = next(line for line in shown.splitlines() if "context recall" in line).rsplit(" ", 1)[1]
    place = f"{recording.gateway}/v1/recall/{ident}"
    with httpx.Client(timeout=10) as client:
        assert client.get(place).status_code == 401
        stranger = json.loads(recording.typed("key", "add", "somebody-else", "--json")[1])["key"]
        refused = _once_known(client, place, {"authorization": f"Bearer {stranger}"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "recall_unknown")
        own = client.get(place + "?start=5&end=7", headers={"x-api-key": recording.key})
        assert (own.status_code, own.text) == (200, "1.")


def test_what_was_shortened_by_the_charter_is_no_silent_truncation(recording, said):
    status, text = recording.typed("context", "probe", AGENT)
    assert (status, "0 read short" in text) == (0, True), text
    assert "shortened by the charter's edits" in text


@pytest.mark.skipif(not is_sandbox_supported(), reason="this system gives no namespaces")
def test_the_run_replays_equal_by_its_code_which_recalls_again(recording, said, tmp_path, monkeypatch):
    (tmp_path / "agent.py").write_text(reader_code())
    monkeypatch.chdir(tmp_path)
    before = recording.provider.calls
    status, text = recording.typed("replay", RUN[:8], "--exec", f"{sys.executable} agent.py")
    assert (status, "every call was the recorded one" in text) == (0, True), text
    assert f"{PAGES + 2} served, 0 live" in text
    assert recording.provider.calls == before


def test_what_does_not_fit_even_without_results_is_refused_aloud(recording):
    text = "where is the order of the customer " * 700
    client = openai.OpenAI(base_url=f"{recording.gateway}/v1", api_key=recording.key, max_retries=0)
    with client, pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
    assert refused.value.code == "context_length_exceeded"
