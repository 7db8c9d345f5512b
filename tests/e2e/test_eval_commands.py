# SPDX-License-Identifier: Apache-2.0
"""`pilothouse dataset`, `eval` and `gate` as a newcomer types them in an empty folder, in one process."""

from __future__ import annotations

import json
import sys
import time
import zipfile
from types import SimpleNamespace

import pytest
from agent_repository import (
    AGENT as ROUTER,
)
from agent_repository import (
    HOUR_NS,
    TYPES,
    bring_in,
    frozen_requirement,
    labelled,
    make_repository,
    task_span,
    write_lines,
)
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.errors import PilothouseError
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings

pytestmark = pytest.mark.slow

CASES = 150
AGENT = """
def old(question):
    return 2 * question

def new(question):
    return question + question

def wrong(question):
    return 0 if question % 5 == 0 else 2 * question
"""


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Type a command in a folder that holds an agent and cases, and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PILOTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "doubling.py").write_text(AGENT, encoding="utf-8")
    write_lines(tmp_path / "cases.jsonl", [{"input": n, "expected": 2 * n} for n in range(1, CASES + 1)])

    def run(line, exits=0):
        done = CliRunner().invoke(command_tree(), line.split() if isinstance(line, str) else line)
        error = done.exception
        code = int(error.exit_status) if isinstance(error, PilothouseError) else done.exit_code
        assert exits is None or code == exits, done.output
        return done.stdout

    return run


KILLED = """
import json, os, pathlib, signal, sys
for line in sys.stdin:
    asked = json.loads(line)
    mark = pathlib.Path(f"killed-{asked['input']}")
    if asked["input"] % int(sys.argv[1]) == 0 and not (mark.exists() and sys.argv[2] == "once"):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps({"id": asked["id"], "output": 2 * asked["input"]}), flush=True)
"""


def test_an_agent_whose_workers_the_system_kills_is_asked_again_and_never_found_bad(typed, tmp_path):
    """Eight workers without memory were "77.8 % good, must not be released"."""
    (tmp_path / "killed.py").write_text(KILLED, encoding="utf-8")
    write_lines(tmp_path / "few.jsonl", [{"input": n, "expected": 2 * n} for n in range(1, 41)])
    gate = ["gate", "--dataset", "few.jsonl", "--floor", "0.5", "--candidate"]
    typed([*gate, f"exec:{sys.executable} killed.py 8 once"])
    said = typed([*gate, f"exec:{sys.executable} killed.py 8 always"], exits=4)
    assert "failed for reasons outside the agent" in said
    assert "Must not" not in said


def test_the_plan_says_power_cases_money_and_time_and_runs_nothing(typed, tmp_path):
    sides = "--candidate python:doubling:new --baseline python:doubling:old --dataset cases.jsonl"
    said = typed(f"eval plan {sides}", exits=3)
    assert "if nothing changed: released with" in said
    assert "371 cases would do" in said
    assert "cost: unknown expected" in said
    plan = json.loads(typed(f"eval plan {sides} --margin 10 --json"))
    assert plan["is_sufficient"]
    assert plan["types"][0]["unchanged"]["released"] >= 0.8
    assert 0 < plan["calls_expected"] < plan["calls_max"] == 2 * CASES
    assert typed(f"gate {sides} --margin 10 --plan").startswith("task: margin 10")


def test_two_runs_are_compared_by_the_addresses_that_were_run(typed):
    said = typed("eval run python:doubling:old --dataset cases.jsonl")
    assert f"task: {CASES} of {CASES} good" in said
    assert "gate runs" not in said
    version = json.loads(typed("eval run python:doubling:wrong --dataset cases.jsonl --json"))["version"]
    for wrong in ("python:doubling:wrong", version[:12]):
        said = typed(f"eval compare python:doubling:old {wrong} --dataset cases.jsonl")
        assert "-20.0 points [-27" in said
        assert "30 worse: " in said


def test_an_agent_that_learned_its_gate_cases_is_at_risk_when_the_sealed_ones_are_opened(typed, tmp_path):
    typed("dataset add set cases.jsonl")
    said = typed("dataset split set --dev 0 --sealed 0.3")
    assert said == "105 gate, 45 sealed\n"
    cases = [json.loads(line) for line in (tmp_path / "set" / "cases.jsonl").read_text("utf-8").splitlines()]
    known = {one["input"] for one in cases if one.get("split", "gate") == "gate"}
    (tmp_path / "learned.py").write_text(
        f"KNOWN = {sorted(known)}\n\ndef run(question):\n    return 2 * question if question in KNOWN or question % 4 else 0\n",
        encoding="utf-8",
    )
    command = (
        "gate --candidate python:learned:run --baseline python:doubling:old --dataset set --agent doubling"
    )
    typed(f"{command} --complete --margin 20")
    opened = json.loads(typed(f"{command} --sealed --complete --margin 20 --json"))
    (item,) = [one for one in opened["items"] if one["requirement"] == "not_tuned"]
    assert item["status"] == opened["status"] == "at_risk"
    assert "100.0 % good on 105 gate cases" in item["sentence"]
    assert any(note == "opening 1 of 4 of the sealed split" for note in opened["notes"])
    typed(f"{command} --sealed --complete --margin 20 --strict", exits=1)
    honest = json.loads(
        typed(
            "gate --candidate python:doubling:new --baseline python:doubling:old --dataset set --agent doubling --sealed --json"
        )
    )
    assert honest["status"] == "holds"
    assert any("no sign of tuning" in note for note in honest["notes"])


def test_a_load_run_says_what_it_takes_first_and_one_that_does_not_fit_sends_nothing(typed):
    command = "load python:doubling:new --dataset cases.jsonl --rate 30000 --times 10 --deadline 600"
    typed(f"{command} --limit-rpm 100000", exits=2)
    found = json.loads(typed(f"{command} --json"))
    held = found["saturation"]["task"]
    assert (held["held"], held["fell"]) == (300_000.0, None)
    assert held["least"] == 0.95
    assert "at least 98" in typed(command)


def inspect_log(path, values):
    """A log as Inspect 0.3 writes it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps({"version": 2, "eval": {"task": "t", "model": "m-1"}}))
        for name, value in values.items():
            row = {"id": name, "epoch": 1, "scores": {"match": {"value": value, "answer": ""}}}
            archive.writestr(f"samples/{name}_epoch_1.json", json.dumps(row))


def test_logs_of_inspect_are_compared_and_go_on_record_as_imported(typed, tmp_path):
    inspect_log(tmp_path / "old.eval", {f"c{n}": "C" for n in range(60)})
    inspect_log(tmp_path / "new.eval", {f"c{n}": "I" if n < 12 else "C" for n in range(60)})
    said = typed("eval compare old.eval new.eval")
    assert "100.0 % ->  80.0 %  -20.0 points" in said
    assert "12 worse: c0, c10, " in said
    said = typed("eval import new.eval --agent doubling --version abcdef12 --task-type task")
    assert "task: 48 of 60 good (inspect, match)" in said
    assert "60 scores read, 0 without a value" in said


def test_cases_are_held_against_recorded_traffic_and_the_verdict_says_what_differs(
    typed, tmp_path, monkeypatch
):
    monkeypatch.chdir(make_repository(tmp_path / "repository"))
    now_ns = time.time_ns()
    spans = [
        task_span(
            n,
            now_ns - HOUR_NS - n * 10**9,
            pilothouse__task__type=TYPES[0],
            input__value=json.dumps({"amount": 3 * n, "supplier": f"s{3 * n}"}),
        )
        for n in range(60)
    ]
    bring_in(
        lambda *words: SimpleNamespace(returncode=0, stderr=typed(" ".join(map(str, words)))), tmp_path, spans
    )
    write_lines(tmp_path / "like.jsonl", [labelled(n) for n in range(180)])
    typed(f"dataset add datasets/labelled {tmp_path / 'like.jsonl'}")
    typed("verdict", exits=None)  # puts the charter into force
    typed(f"dataset show datasets/labelled --record {ROUTER}")
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        (found,) = [one for one in ledger.evidence(ROUTER) if one.kind == "dataset.distance"]
    assert found.passed
    assert (
        found.detail
        == "60 recorded inputs of 1 task types against the cases: no difference in length or shape"
    )

    other = [labelled(n) | {"id": f"o{n}", "input": {"mail": "please book " + "x" * n}} for n in range(180)]
    write_lines(tmp_path / "other.jsonl", other)
    typed(f"dataset add datasets/labelled {tmp_path / 'other.jsonl'}")
    typed(f"dataset show datasets/labelled --record {ROUTER}")
    typed("verdict", exits=None)
    items = frozen_requirement(tmp_path / "home", "EVAL-1")["items"]
    item = next(one for one in items if one["scope"].get("part") == "likeness")
    assert item["status"] == "breached"
    assert "they differ in " in item["sentence"]

    typed(f"dataset add datasets/easy {tmp_path / 'like.jsonl'}")
    write_lines(tmp_path / "one.jsonl", [labelled(0) | {"id": "more", "input": {"mail": "another"}}])
    typed(f"dataset add datasets/easy {tmp_path / 'one.jsonl'}")
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        before = ledger.evidence(ROUTER)
        typed(f"dataset show datasets/easy --record {ROUTER}")
        assert ledger.evidence(ROUTER) == before, "the charter names another set"


def test_a_bad_first_anchor_gives_way_to_a_proved_better_version_and_to_a_signature(typed):
    sides = "--candidate python:doubling:new --baseline python:doubling:wrong --dataset cases.jsonl --agent doubler"
    assert "takes the place of" in typed(f"gate {sides}")
    (anchor,) = json.loads(typed("eval anchor --agent doubler --dataset cases.jsonl --json"))
    wrong = json.loads(typed("eval run python:doubling:wrong --dataset cases.jsonl --json"))["version"]
    assert anchor["version"] != wrong
    signed = f"eval anchor {wrong} --agent doubler --dataset cases.jsonl"
    typed(signed, exits=2)
    typed(f"{signed} --as sam", exits=2)
    typed(f"{signed} --as sam --reason retired")
    _, last = json.loads(typed("eval anchor --agent doubler --dataset cases.jsonl --json"))
    assert last["version"] == wrong
    assert last["why"].endswith(" by sam: retired")
    assert (anchor["scored_by"], last["scored_by"]) == ("exact", "exact")


def test_an_anchor_is_signed_by_who_answers_for_baselines_on_the_cases_of_the_charter(
    typed, tmp_path, monkeypatch
):
    repository = make_repository(tmp_path / "router")
    monkeypatch.chdir(repository)
    monkeypatch.syspath_prepend(str(repository))
    write_lines(repository / "labelled.jsonl", [labelled(n) for n in range(90)])
    typed("dataset add datasets/labelled labelled.jsonl")
    typed("verdict", exits=None)
    version = json.loads(typed("eval run python:app:route --scorer exact --json"))["version"]
    assert "has no anchor yet" in typed("eval anchor")
    typed(f"eval anchor {version} --as dana --reason mine", exits=2)
    write_lines(repository / "easy.jsonl", [labelled(n) for n in range(3)])
    typed(f"eval anchor {version} --as sam --reason easy --dataset easy.jsonl", exits=2)
    typed(f"eval anchor {version} --as sam --reason unsaid", exits=2)  # the charter's metric is no scorer
    said = typed(f"eval anchor {version} --as sam --reason accepted --scorer exact")
    assert f"{version[:12]} is the anchor of labelled 1.0.0 by sam: accepted, scored by exact" in said
    write_lines(repository / "more.jsonl", [labelled(n) for n in range(90, 120)])
    typed("dataset add datasets/labelled more.jsonl")
    typed(f"eval anchor {version} --as sam --reason again", exits=2)


def test_a_level_of_cases_that_hang_together_is_not_said_to_be_known_as_well_as_one_of_single_cases(
    typed, tmp_path
):
    rows = [
        {"id": f"c{n}", "task_type": "t", "input": n, "expected": 2 * n, "cluster": f"k{n // 5}"}
        for n in range(CASES)
    ]
    write_lines(tmp_path / "together.jsonl", rows)
    write_lines(tmp_path / "single.jsonl", [{k: v for k, v in row.items() if k != "cluster"} for row in rows])
    (tmp_path / "blocks.py").write_text(
        "def run(n):\n    return 2 * n if n // 5 % 4 else -1\n", encoding="utf-8"
    )
    widths, worths = [], []
    for name in ("single", "together"):
        said = json.loads(typed(f"eval run python:blocks:run --dataset {name}.jsonl --json"))
        (level,) = said["levels"]
        widths.append(level["high"] - level["low"])
        worths.append(level["worth"])
    assert worths[0] == CASES
    assert worths[1] < CASES / 3
    assert widths[1] > 1.5 * widths[0]
    assert "because cases hang together" in typed("eval run python:blocks:run --dataset together.jsonl")


def test_a_look_at_a_few_cases_runs_only_these(typed, tmp_path):
    rows = [
        {
            "id": f"c{n}",
            "task_type": f"t{n % 2}",
            "input": n,
            "expected": 2 * n,
            "split": "dev" if n < 20 else "gate",
        }
        for n in range(1, 101)
    ]
    write_lines(tmp_path / "kinds.jsonl", rows)

    def run(agent, options="", exits=0):
        said = typed(f"eval run python:doubling:{agent} --dataset kinds.jsonl --json {options}", exits)
        return json.loads(said) if not exits else said

    run("wrong", "--only-failed", exits=2)
    assert run("wrong", "--split dev")["cost"]["calls"] == 19
    (level,) = run("wrong", "--task-type t1")["levels"]
    assert (level["task_type"], level["n"]) == ("t1", 40)
    run("wrong", "--task-type t2", exits=2)
    run("wrong")
    again = run("new", "--only-failed")
    assert (again["cost"]["calls"], [one["good"] for one in again["levels"]]) == (17, [9, 8])
    assert any("only the 17 cases that did not succeed with" in note for note in again["notes"])
    assert run("new", "--only-failed")["cost"]["calls"] == 0, "the same command asks nobody twice"
    run("old", "--only-failed", exits=2)


LUCK = """
import pathlib

def run(question):
    lucky = pathlib.Path("luck").exists()
    return 2 * question if lucky or question % 2 else -1
"""


def test_who_asks_until_it_passes_gets_no_release_by_it(typed, tmp_path):
    """An agent that is right in 55 of 100 passed a floor of 55 % in one of five: its failed answers were replaced."""
    (tmp_path / "luck.py").write_text(LUCK, encoding="utf-8")
    measured = "eval run python:luck:run --dataset cases.jsonl --json"
    gate = "gate --candidate python:luck:run --dataset cases.jsonl --floor 0.5"
    typed(f"{gate} --agent lucky --fresh", exits=2)
    assert "75 of 150 good" in typed(f"{gate} --agent lucky", exits=3)
    (tmp_path / "luck").touch()
    for options in ("--fresh", "--fresh", "--fresh --only-failed"):
        found = json.loads(typed(f"{measured} {options}"))
        assert [one["good"] for one in found["levels"]] == [75 if "failed" in options else CASES]
        assert found["cost"]["reused"] == 0
    assert "75 of 150 good" in typed(f"{gate} --agent lucky", exits=3)
    for elsewhere in ("--journal other.db", "--deadline 61", "--journal other.db --complete"):
        said = json.loads(typed(f"{gate} --agent lucky {elsewhere} --json", exits=3))
        (item,) = [one for one in said["items"] if one["requirement"] == "first_answers"]
        assert "answers that were asked for again prove nothing" in item["sentence"]
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        levels = [one.good for one in ledger.evidence("lucky") if one.kind == "eval.baseline"]
        assert levels == [75, 75]
    # Nobody is kept from it whose first answers are good enough, wherever they are asked again.
    for journal in ("a.db", "b.db"):
        typed(
            f"gate --candidate python:doubling:new --dataset cases.jsonl --floor 0.5 --agent b --journal {journal}"
        )


AWAY = """
import pathlib

class Away(Exception):
    status = 503

def run(question):
    if question % 5 == 3 and pathlib.Path("away").exists():
        raise Away("the world is away")
    return {"output": 2 * question, "cost_usd": 0.01}
"""


@pytest.mark.parametrize("how", ["an outage", "a budget"])
def test_whoever_goes_on_after_a_cut_is_given_no_second_chance_and_needs_none(typed, tmp_path, how):
    """Cases that were planned, or lost, counted as first answers, so the same command was told that it had asked again."""
    (tmp_path / "away.py").write_text(AWAY, encoding="utf-8")
    gate = "gate --candidate python:away:run --dataset cases.jsonl --floor 0.97 --agent away --json"
    if how == "a budget":
        typed(f"{gate} --budget-usd 0.5 --concurrency 1", exits=3)
    else:
        (tmp_path / "away").touch()
        typed(gate, exits=4)
        (tmp_path / "away").unlink()
    whole = json.loads(typed(gate))
    assert (whole["status"], whole["cost"]["cases"]) == ("holds", CASES)


def test_repeats_that_were_paid_for_are_shown(typed, tmp_path):
    (tmp_path / "flaky.py").write_text(
        "from collections import Counter\n\nseen = Counter()\n\n\ndef run(n):\n    seen[n] += 1\n"
        "    return -1 if n % 3 == 0 and seen[n] == 2 else 2 * n\n",
        encoding="utf-8",
    )
    line = "eval run python:flaky:run --dataset cases.jsonl --repeats 3 --concurrency 1"
    (level,) = json.loads(typed(f"{line} --json"))["levels"]
    assert level["reliable"].startswith("pass^3 is 66.7 % [")
    assert len(level["failures"]) == CASES / 3
    assert "pass^3 is 66.7 %" in typed(line)


def test_a_plan_of_a_run_that_can_prove_nothing_says_so(typed):
    """Without a baseline it said that every case is held against the floor, also where there is none, and exited 0."""
    plan = "eval plan --candidate python:doubling:new --dataset cases.jsonl"
    assert "task: nothing is to be proved; give --baseline or --floor" in typed(plan, exits=3)
    assert "too little" not in typed(f"{plan} --floor 0.9")
    assert "task: 150 cases prove no floor of 99.5 %, all of them good; 383 could" in typed(
        f"{plan} --floor 0.995", exits=3
    )


def test_a_version_named_by_hand_is_another_one_to_eval_run_too(typed):
    """`eval run` said to give --candidate-version, and did not take it."""
    line = "eval run python:doubling:new --dataset cases.jsonl --json --candidate-version"
    for version in ("a" * 64, "b" * 64):
        assert json.loads(typed(f"{line} {version}"))["cost"]["calls"] == CASES
    assert json.loads(typed(f"{line} {'a' * 64}"))["cost"]["calls"] == 0
