# SPDX-License-Identifier: Apache-2.0
"""`pilothouse replay` with one thing changed, as a user types it, against a running server and its model."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from recording_server import AGENT, FACT, PAGES, reader_code

from pilothouse.runtime.replay.sandbox import is_sandbox_supported

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("recording")]

RUN, SHORT = "ab" * 16, "cd" * 16
OTHER = "other-2026-02-02"
CALLS = PAGES + 2
needs_namespaces = pytest.mark.skipif(not is_sandbox_supported(), reason="this system gives no namespaces")


@pytest.fixture(scope="module")
def site(recording, tmp_path_factory):
    """A long run and a short one, and the folder of the agent's code with two revisions."""
    assert recording.converse(RUN) == FACT
    assert recording.converse(SHORT, "Give a short answer.") == "Short answer."
    folder = tmp_path_factory.mktemp("agent")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@x.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    for code in (reader_code(), reader_code("return 'The page is lost.'")):
        (folder / "agent.py").write_text(code)
        subprocess.run([*git, "add", "agent.py"], check=True)
        subprocess.run([*git, "commit", "-qm", "code"], check=True)
    (folder / "prompt.txt").write_text("Answer at once.")
    (folder / "lost.txt").write_text("Nothing is here.")
    (folder / "tool.json").write_text(json.dumps({"type": "function", "function": {"name": "read_page"}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield recording


def replay(site, *words, live=True):
    return site.typed("replay", *words, *(("--upstream", site.gateway) if live else ()))


@pytest.mark.parametrize(
    ("words", "served", "counterfactual", "said"),
    [
        (
            ("--model", OTHER),
            0,
            "partial",  # at a step it answers where the record looks up, and what follows carries the look-up
            f"call 1, model at $.model\n      recorded: stub-large-2026-01-15\n      replayed: {OTHER}",
        ),
        (("--param", "temperature=0"), 0, "full", "call 1, params at $.temperature"),
        (("--prompt", "prompt.txt"), 0, "full", "call 1, instructions at $.messages[0].content"),
        (
            ("--tool-result", "call_0=lost.txt"),
            1,
            "partial",
            "call 2, tool_result(read_page) at $.messages[3].content",
        ),
        (("--tool-contract", "tool.json"), 0, "full", "call 1, tool_schema at $.tools[0].function"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_a_change_touches_is_asked_live_and_the_rest_served(site, words, served, counterfactual, said):
    status, text = replay(site, RUN[:6], *words)
    assert status == 0, text
    assert f"{CALLS} recorded calls: {served} served, {CALLS - served} live" in text
    assert f"first divergence: {said}" in text
    assert f"counterfactual: {counterfactual}" in text


def test_a_model_is_compared_on_what_was_recorded_as_often_as_asked(site):
    status, text = replay(site, SHORT[:6], "--mode", "compare", "--model", OTHER, "--repeat", "2")
    assert status == 0, text
    assert "1 recorded call: 1 served (1 asked live beside it), 0 live" in text
    assert "live answers: 0 of 1 the same" in text
    assert f"≠ call 1: Short answer says {OTHER}.   (recorded: Short answer.)" in text
    assert "2 of 2 replays were like this" in text
    status, text = replay(site, RUN[:6], "--mode", "compare")
    assert (status, f"live answers: {CALLS} of {CALLS} the same" in text) == (0, True), text


@needs_namespaces
def test_another_revision_of_the_code_meets_recorded_results_or_parts_from_the_record(site):
    command = f"{sys.executable} agent.py"
    status, text = replay(site, RUN[:6], "--code", "HEAD~1", "--exec", command, live=False)
    assert (status, "every call was the recorded one" in text) == (0, True), text
    assert "pin-tools, code, changed: code=HEAD~1" in text
    words = ("--code", "HEAD", "--exec", command, "--mode", "strict", "--json")
    status, text = replay(site, RUN[:6], *words, live=False)
    (report,) = json.loads(text)
    assert (status, report["divergence"]["kind"], report["divergence"]["found"]) == (
        1,
        "tool_result",
        "The page is lost.",
    )


def test_a_replay_is_no_work_of_the_agent(site):
    before = site.typed("replay", "--list", "--json")[1], keys(site)
    assert replay(site, SHORT[:6], "--param", "seed=1")[0] == 0
    assert site.typed("replay", "--list", "--json")[1] == before[0]
    (made,) = [one for prefix, one in keys(site).items() if prefix not in before[1]]
    assert (made["environment"], made["revoked_at"] is not None) == ("replay", True)


def keys(site):
    return {one["prefix"]: one for one in json.loads(site.typed("key", "list", "--json")[1])}


def test_a_live_model_that_does_not_answer_is_told_and_proves_nothing(site):
    status, text = site.typed("replay", SHORT[:6], "--param", "seed=1", "--upstream", "http://127.0.0.1:1/gw")
    assert status == 4
    assert "live answers: 0 of 1 the same, 1 failed" in text
    assert "nothing answers at http://127.0.0.1:1/gw" in text
    assert "counterfactual: partial" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((SHORT[:6], "--param", "seed=1"), "call 1 leaves the record"),
        ((SHORT[:6], "--mode", "compare"), "compare asks a live model too"),
        ((SHORT[:6], "--mode", "live"), "'live' is not one of 'strict', 'pin-tools', 'fork', 'compare'"),
        ((SHORT[:6], "--repeat", "0"), "0 repeats are not from 1 to 100"),
        ((SHORT[:6], "--code", "HEAD"), "needs the command that runs it"),
        ((SHORT[:6], "--code", "none", "--exec", "true"), "git knows no revision 'none'"),
        ((SHORT[:6], "--prompt", "no-file"), "no-file cannot be read"),
        ((SHORT[:6], "--param", "seed"), "'seed' is no NAME=VALUE"),
        ((SHORT[:6], "--tool-contract", "prompt.txt"), "prompt.txt is no tool definition"),
        ((RUN[:6], "--tool-result", "call_99=lost.txt"), "its tool results are call_0, call_1"),
        ((SHORT[:6], "--allow-tool", "read_page"), "--allow-tool needs --exec"),
        ((SHORT[:6], "--expect", "lost.txt"), "--expect needs --to-case"),
        ((SHORT[:6], "--since", "7d"), "--since plays all runs of a time"),
        ((SHORT[:6], "--list"), "--list lists runs"),
        (("ffff",), "no run 'ffff' was recorded"),
        (("--since", "7d", "--agent", AGENT), "needs one agent and one change"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_is_told_with_what_to_type(site, words, told):
    if "--exec" in words and not is_sandbox_supported():
        pytest.skip("this system gives no namespaces")
    status, text = site.typed("replay", *words)
    assert (status, told in text) == (2, True), text
