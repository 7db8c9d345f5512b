# SPDX-License-Identifier: Apache-2.0
"""A model judge from unknown to believed: answers, a person's labels, the card, and what the gate makes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from agent_repository import AGENT, command_line, make_repository, write_lines

from pilothouse.demo.model_script import Turn
from pilothouse.demo.model_server import ModelServer
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings

pytestmark = pytest.mark.slow

JUDGE = "rubric-v3"
CASES = 300


def strict_judge(conversation):
    """Compare what was expected with what was answered."""
    text = conversation.messages[-1].text
    expected, answer = (re.search(rf"<{tag}>(.*)</{tag}>", text).group(1) for tag in ("expected", "answer"))
    verdict = "pass" if json.loads(expected) == json.loads(answer) else "fail"
    return Turn(text=json.dumps({"verdict": verdict, "quote": answer}), model=conversation.model)


def careless_judge(conversation):
    """Pass every answer but those to queue 0 of every second kind."""
    text = conversation.messages[-1].text
    bad = '"ap-0"' in re.search(r"<answer>(.*)</answer>", text).group(1) and "s1" in text
    return Turn(
        text=json.dumps({"verdict": "fail" if bad else "pass", "quote": ""}), model=conversation.model
    )


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A repository whose sloppy agent has answered every case, once for all tests."""
    folder = tmp_path_factory.mktemp("answered")
    repository = make_repository(folder / "repository")
    charter = repository / "charter.yaml"
    charter.write_text(
        charter.read_text("utf-8").replace("metric: routed_correctly", f"metric: {JUDGE}"), "utf-8"
    )
    rows = [
        {
            "id": f"c{n}", "task_type": "po_invoice", "input": {"amount": n, "supplier": f"s{n}"},
            "expected": {"queue": f"ap-{n % 7}"},
        }
        for n in range(CASES)
    ]  # fmt: skip
    write_lines(repository / "cases.jsonl", rows)
    done = command_line(folder / "home", repository)(
        "eval", "run", "python:app:sloppy", "--dataset", "cases.jsonl", "--scorer", "exact", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return repository, json.loads(done.stdout)["version"]


@pytest.fixture
def world(tmp_path, answered):
    repository, version = answered
    run = command_line(tmp_path / "home", shutil.copytree(repository, tmp_path / "repository"))
    run.version = version
    return run


def scorer(server, rubric="Names the right queue."):
    return "judge=" + json.dumps(
        {"url": server.base_url, "model": "other-judge-2026-03-03", "rubric": rubric}
    )


def label_in_terminal(pilothouse, *arguments):
    """Be the person: read what is shown, answer y when the answer is what was expected, else n."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pilothouse", "eval", "label", *arguments],
        cwd=pilothouse.folder, env=pilothouse.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, bufsize=0,
    )  # fmt: skip
    shown, seen = "", []
    with process:
        while letter := process.stdout.read(1):
            shown += letter
            if shown.endswith("uit: "):
                expected, answered = re.findall(r'"queue": "(ap-\d)"', shown)
                seen.append(shown)
                process.stdin.write("y\n" if expected == answered else "n\n")
                shown = ""
    assert process.returncode == 0
    return seen


def label(pilothouse, count="200"):
    return label_in_terminal(
        pilothouse,
        "--by",
        "sam",
        "--version",
        pilothouse.version,
        "--dataset",
        "cases.jsonl",
        "--count",
        count,
    )


def gate(pilothouse, server, *more):
    done = pilothouse(
        "gate", "--candidate", "python:app:route", "--candidate-version", "c" * 64, "--baseline", "python:app:route",
        "--baseline-version", "a" * 64, "--dataset", "cases.jsonl", "--json", "--scorer", scorer(server, *more),
    )  # fmt: skip
    return {one["requirement"]: one for one in json.loads(done.stdout)["items"]}


def card_item(pilothouse, tmp_path):
    pilothouse("verdict")
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        frozen = json.loads(ledger.latest_verdict(AGENT))
    found = next(one for one in frozen["requirements"] if one["requirement"] == "EVAL-11")
    return found["items"][0]


def test_labels_make_a_card_and_the_card_lets_a_judge_decide_a_smaller_margin(world, tmp_path):
    with ModelServer(strict_judge) as server:
        before = gate(world, server)["not_worse"]
        assert (before["status"], before["reason"]) == ("no_evidence", "missing")
        assert "its errors were never measured" in before["sentence"]
        assert before["remedy"] == "pilothouse eval judge NAME"
        assert card_item(world, tmp_path)["status"] == "no_evidence"

        seen = label(world)
        assert len(seen) == 200
        assert not any("verdict" in text or "pass" in text for text in seen)
        rows = [
            json.loads(line)
            for line in (world.folder / "cases.answers.jsonl").read_text("utf-8").splitlines()
        ]
        labels = [row for row in rows if "good" in row]
        assert len(labels) == 200
        assert {row["by"] for row in labels} == {"sam"}

        done = world("eval", "judge", JUDGE, "--dataset", "cases.jsonl", "--scorer", scorer(server), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        card = json.loads(done.stdout)
        assert card["sp_lower"] >= 0.80
        assert card_item(world, tmp_path)["status"] == "holds"

        after = gate(world, server)["not_worse"]
        assert after["status"] == "holds", after
        assert "held against 4." in after["sentence"]

        other = gate(world, server, "Names a queue.")["not_worse"]
        assert (other["status"], other["reason"]) == ("no_evidence", "stale")


def test_a_judge_that_misses_bad_answers_has_a_weak_card_and_decides_nothing(world, tmp_path):
    with ModelServer(careless_judge) as server:
        label(world)
        done = world("eval", "judge", JUDGE, "--dataset", "cases.jsonl", "--scorer", scorer(server))
        assert done.returncode == 1, done.stdout + done.stderr
        assert f"{JUDGE} is too weak to decide anything" in done.stdout
        assert card_item(world, tmp_path)["status"] == "breached"
        found = gate(world, server)["not_worse"]
        assert (found["status"], found["reason"]) == ("no_evidence", "insufficient")
        assert "its card is too weak" in found["sentence"]


def test_too_few_labels_give_no_card_and_say_how_many_are_missing(world):
    with ModelServer(strict_judge) as server:
        label(world, "10")
        done = world("eval", "judge", JUDGE, "--dataset", "cases.jsonl", "--scorer", scorer(server))
    assert done.returncode == 3
    assert "a card needs 30 labels of each verdict" in done.stdout
    assert "pilothouse eval label" in done.stdout


def test_labels_are_asked_of_the_version_that_is_named_and_of_no_other(world):
    other = {
        "input": {"amount": 1, "supplier": "s1"},
        "output": {"queue": "ap-9"},
        "expected": {"queue": "ap-1"},
    }
    (world.folder / "cases.answers.jsonl").write_text(json.dumps(other) + "\n", "utf-8")
    assert len(label(world, "400")) == CASES
    done = world("eval", "label", "--by", "sam", "--version", world.version, "--dataset", "cases.jsonl")
    assert done.returncode == 2
    assert f"every answer of version '{world.version}' has a label" in done.stderr
    assert "pilothouse eval run TARGET" in " ".join(done.stderr.split())
