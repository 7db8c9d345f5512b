# SPDX-License-Identifier: Apache-2.0
"""`pilothouse verdict` as a person runs it: a real process, a real lake, a real ledger, a real verifier."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import evidence_made
import pytest
from agent_repository import AGENT, HOUR_NS, bring_in, command_line, make_repository, task_span

from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.verdict.accept import accept_file

pytestmark = pytest.mark.slow


@pytest.fixture
def now_ns():
    return int(datetime.now(UTC).timestamp()) * 10**9


@pytest.fixture
def repository(tmp_path):
    return make_repository(tmp_path / "repository")


@pytest.fixture
def pilothouse(tmp_path, repository):
    return command_line(tmp_path / "home", repository)


def break_charter(repository):
    file = repository / "charter.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("agent: ", "onwer: dana\nagent: ", 1), encoding="utf-8")
    return text


def test_claims_are_verified_against_the_system_of_record_and_a_lying_agent_exits_1(
    pilothouse, tmp_path, repository, now_ns
):
    bring_in(pilothouse, tmp_path, [task_span(number, now_ns - 2 * HOUR_NS) for number in range(1000)])
    done = pilothouse("verdict")
    assert done.returncode == 1, done.stderr
    first, *rest = done.stdout.splitlines()
    assert "Breached" in first
    assert AGENT in first
    truth = "said done 1,000 · system of record agrees 920 · contradicts 50 · cannot tell 30"
    (line,) = [line for line in rest if truth in line]
    assert line.startswith("po_invoice")
    assert rest.index(line) < next(i for i, text in enumerate(rest) if "Enter phase 1" in text)
    assert "Charter 1 of ap-invoice-triage is in force." in done.stderr

    again = pilothouse("verdict", "--json")
    assert again.returncode == 1
    page = json.loads(again.stdout)
    assert page["mark"]["status"] == "breached"
    assert page["truth"][0]["contradicts"] == 50
    assert page["truth"][0]["said_done"] == sum(
        page["truth"][0][part] for part in ("agrees", "contradicts", "unverifiable", "pending", "not_asked")
    )
    assert again.stderr == ""
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        frozen = json.loads(ledger.latest_verdict(AGENT))
        outcomes = ledger.outcomes(AGENT, from_ns=0, to_ns=now_ns)
    assert frozen["status"] == "breached"
    assert len(outcomes) == 1000
    assert {one.attempts for one in outcomes} == {1}


def test_without_telemetry_it_is_not_enough_evidence_and_exits_3(pilothouse):
    done = pilothouse("verdict")
    assert done.returncode == 3
    assert "No evidence" in done.stdout.splitlines()[0]
    assert "no task has said that it is done yet" in done.stdout
    assert "pilothouse run" in done.stdout


@pytest.mark.parametrize(("age_days", "status", "strict"), [(0, "holds", 0), (4, "at_risk", 1)])
def test_what_is_proven_exits_0_and_what_is_at_risk_exits_1_only_when_strict(
    pilothouse, tmp_path, repository, now_ns, *, age_days, status, strict
):
    # The only task is old and names the version, so that the records of the ledger are the newest.
    old = task_span(0, now_ns - 8 * 24 * HOUR_NS, pilothouse__version=evidence_made.V1)
    bring_in(pilothouse, tmp_path, [old])
    age, now = timedelta(days=age_days), datetime.now(UTC) - timedelta(minutes=1)
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        # Signatures are for the content of the files beside the charter, so it is the one that is in force.
        accept_file(ledger, repository / "charter.yaml", now, actor="test")
        (record,) = ledger.charters()
        ledger.add_evidence(
            [
                one.model_copy(
                    update={"window_from": one.window_from - age, "window_to": one.window_to - age}
                )
                if one.kind == "completion"
                else one
                for one in evidence_made.everything_holds(charter_of(record), now)
            ]
        )
    done = pilothouse("verdict", "--json")
    page = json.loads(done.stdout)
    assert page["mark"]["status"] == status, page["sentence"]
    assert done.returncode == 0
    assert ("--strict" in done.stderr) == (status == "at_risk")
    assert pilothouse("verdict", "--strict").returncode == strict


def test_an_invalid_first_charter_exits_2_and_prints_every_finding(pilothouse, repository):
    break_charter(repository)
    done = pilothouse("verdict")
    assert done.returncode == 2
    assert "onwer" in done.stderr
    assert "Did you mean" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_invalid_newer_charter_is_noted_in_the_verdict_of_the_earlier_one_and_exits_2(
    pilothouse, repository
):
    assert pilothouse("verdict").returncode == 3
    good = break_charter(repository)
    done = pilothouse("verdict", "--json")
    assert done.returncode == 2
    assert any(note.startswith("Charter 2 rejected") for note in json.loads(done.stdout)["notices"])
    assert "onwer" in done.stderr
    (repository / "charter.yaml").write_text(good, encoding="utf-8")
    cured = pilothouse("verdict", "--json")
    assert cured.returncode == 3
    assert not [note for note in json.loads(cured.stdout)["notices"] if "rejected" in note]


def test_a_broken_verifier_is_named_in_the_verdict_and_nothing_counts_as_verified(
    pilothouse, tmp_path, repository, now_ns
):
    (repository / "verifiers" / "erp.py").write_text(
        "def routing_matches(task)\n    pass\n", encoding="utf-8"
    )
    bring_in(pilothouse, tmp_path, [task_span(number, now_ns - 2 * HOUR_NS) for number in range(3)])
    done = pilothouse("verdict", "--json")
    page = json.loads(done.stdout)
    assert any("erp.py:1" in note and "SyntaxError" in note for note in page["notices"])
    assert (page["truth"][0]["agrees"], page["truth"][0]["not_asked"]) == (0, 3)


def test_a_past_moment_is_judged_by_what_had_arrived_until_then(pilothouse, tmp_path, now_ns):
    bring_in(
        pilothouse,
        tmp_path,
        [task_span(number, now_ns - (2 if number < 5 else 72) * HOUR_NS) for number in range(8)],
    )
    assert pilothouse("verdict").returncode in {1, 3}
    then = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    done = pilothouse("verdict", "--json", "--as-of", then)
    assert done.stderr.startswith("Judged as of ")
    past = json.loads(done.stdout)
    assert past["truth"][0]["said_done"] == 3
    assert any("No charter was in force at that moment" in note for note in past["notices"])
    day = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    ended = json.loads(pilothouse("verdict", "--json", "--as-of", day).stdout)
    assert ended["as_of"]["at"].startswith(f"{day}T23:59")
    assert any("counts at this moment" in note for note in ended["notices"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--as-of", "yesterday"), "is no moment"),
        (("--as-of", "2999-01-01"), "lies in the future"),
        (("another-agent", "--charter", "charter.yaml"), "is the charter of 'ap-invoice-triage'"),
        (("--charter", "absent.yaml"), "no file"),
    ],
)
def test_what_was_typed_wrong_exits_2_with_one_message_and_a_remedy(pilothouse, arguments, said):
    done = pilothouse("verdict", *arguments, "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert said in error["message"]
    assert error["remedy"]
    assert "Traceback" not in done.stderr


def test_a_misspelt_agent_gets_the_nearest_name(pilothouse):
    pilothouse("verdict")
    done = pilothouse("verdict", "ap-invoice-triag")
    assert done.returncode == 2
    assert "Did you mean 'ap-invoice-triage'" in done.stderr
    assert "pilothouse traces" in done.stderr


def test_an_agent_without_a_charter_is_told_how_to_get_one(pilothouse, tmp_path, now_ns):
    bring_in(pilothouse, tmp_path, [task_span(0, now_ns - 2 * HOUR_NS)])
    done = pilothouse("verdict", cwd=tmp_path)
    assert done.returncode == 2
    assert AGENT in done.stderr
    assert "pilothouse init" in done.stderr


def test_a_damaged_ledger_exits_4(pilothouse, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ledger.sqlite").write_bytes(b"not a database" * 1000)
    done = pilothouse("verdict")
    assert done.returncode == 4
    assert "ledger.sqlite" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_plan_lists_commands_most_urgent_first(pilothouse):
    page = json.loads(pilothouse("verdict", "--plan", "--json").stdout)
    assert page["plan"]
    assert all(step["command"] for step in page["plan"])
    shown = pilothouse("verdict", "--plan").stdout
    assert "What to do, most urgent first" in shown
    assert f"$ {page['plan'][0]['command']}" in shown


def test_the_probes_say_of_five_things_that_a_pilot_hides_what_the_verdict_says(pilothouse):
    assert json.loads(pilothouse("verdict", "--json").stdout)["probes"] == []
    page = json.loads(pilothouse("verdict", "--probes", "--json").stdout)
    rows = {
        row["id"]: row for domain in page["domains"] for row in (*domain["requirements"], *domain["later"])
    }
    assert [probe["requirement"] for probe in page["probes"]] == [
        "DATA-3",
        "EVAL-6",
        "INT-1",
        "MON-12",
        "INT-8",
    ]
    for probe in page["probes"]:
        row = rows[probe["requirement"]]
        assert (probe["mark"], probe["sentence"], probe["command"]) == (
            row["mark"],
            row["deciding"]["sentence"],
            row["deciding"]["command"],
        )
    shown = pilothouse("verdict", "--probes").stdout
    assert "What a pilot hides" in shown
    assert "how different inputs really are (DATA-3)" in shown


def test_the_same_file_from_another_folder_and_the_name_alone_give_the_same_agent(
    pilothouse, tmp_path, repository
):
    assert pilothouse("verdict", "--charter", repository / "charter.yaml", cwd=tmp_path).returncode == 3
    assert pilothouse("verdict", AGENT, cwd=tmp_path).returncode == 3
    assert pilothouse("verdict", cwd=tmp_path).returncode == 3
