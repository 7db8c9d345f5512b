# SPDX-License-Identifier: Apache-2.0
"""`pilothouse check` and `pilothouse init` as a user meets them: the command, its words, its exit status."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forked_process import run_command_line

from pilothouse.core.charter.rules.table import RULES
from pilothouse.interfaces.cli.main import build_cli, run_cli
from pilothouse.interfaces.cli.services import Services
from stubs.broken_charters import BROKEN, FOLDER, edited

EXAMPLES = Path(__file__).parents[2] / "examples"
EXIT = {"E": 2, "Q": 3, "W": 0}
AS_PROCESS = [broken for broken in BROKEN if RULES[broken.rule].kind.value == "E"][:24]
REALLY_STARTED = AS_PROCESS[:2]
"""Two show what only a real start shows; the others are processes that were forked, which cost a sixth."""


class StandingClock:
    def now(self):
        return datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture
def agent(tmp_path):
    """A folder with the example charter and everything it names."""
    home = tmp_path / "agent"
    shutil.copytree(FOLDER, home)
    (home / "ap-invoice-triage.yaml").rename(home / "charter.yaml")
    return home


@pytest.fixture
def pilothouse(capsys, monkeypatch):
    """Run the command line inside this process, errors and exit statuses included."""
    services = Services(**{field.name: None for field in fields(Services)} | {"clock": StandingClock()})

    def run(*arguments, cwd=None):
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["pilothouse", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            run_cli(build_cli(services))
        text = capsys.readouterr()
        return left.value.code, text.out, text.err

    return run


def git(folder, *arguments):
    identity = ["-c", "user.name=T", "-c", "user.email=t@corp.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def process(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "pilothouse", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
    )


def forked(*arguments, cwd):
    return run_command_line(*arguments, cwd=cwd, env={**os.environ, "NO_COLOR": "1"}, timeout=60)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.id)
def test_a_broken_charter_gives_one_message_with_line_and_remedy(agent, pilothouse, broken):
    (agent / "charter.yaml").write_text(broken.text, encoding="utf-8")
    code, out, err = pilothouse("check", cwd=agent)
    kind = RULES[broken.rule].kind.value
    assert code == EXIT[kind]
    assert err.startswith("An open question stops nothing") if kind == "Q" else err == ""
    assert "Traceback" not in out + err
    assert (
        sum(line.lstrip().startswith("charter.yaml:") for line in out.splitlines()) == 2
    )  # finding, summary
    if kind != "Q":
        for part in broken.says:
            assert part in " ".join(out.split())
        assert f"[{broken.rule}]" in out
        assert "→" in out


@pytest.mark.slow
@pytest.mark.parametrize("broken", AS_PROCESS, ids=lambda broken: broken.id)
def test_a_broken_charter_given_to_the_process_exits_2_without_a_traceback(agent, broken):
    (agent / "charter.yaml").write_text(broken.text, encoding="utf-8")
    start = process if broken in REALLY_STARTED else forked
    done = start("check", cwd=agent)
    assert done.returncode == 2
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line.strip().startswith("charter.yaml:")]
    assert f"[{broken.rule}]" in lines[0]
    assert lines[-1].startswith("charter.yaml: invalid, 1 error")


def test_the_example_is_clean(agent, pilothouse):
    code, out, err = pilothouse("check", cwd=agent)
    assert (code, err) == (0, "")
    assert out.startswith("charter.yaml: valid · ap-invoice-triage · ")


def test_a_folder_means_the_charter_in_it(agent, pilothouse):
    code, out, _ = pilothouse("check", agent)
    assert code == 0
    assert "charter.yaml: valid" in out


def test_a_warning_exits_1_only_when_strict(agent, pilothouse):
    (agent / "charter.yaml").write_text(edited(("retires_on: 2032-06-30", "retires_on: 2026-12-31")))
    assert pilothouse("check", cwd=agent)[0] == 0
    code, out, _ = pilothouse("check", "--strict", cwd=agent)
    assert code == 1
    assert "retires in 41 days" in out


def test_open_questions_are_listed_by_who_must_answer(agent, pilothouse):
    (agent / "charter.yaml").write_text(
        edited(("cost_of_review: 6", 'cost_of_review: "?"'), ("acknowledge: 15m", 'acknowledge: "?"'))
    )
    code, out, _ = pilothouse("check", cwd=agent)
    assert code == 3
    text = " ".join(out.split())
    assert "dana (A of quality_metrics) charter.yaml:51:5 task_defaults.cost_of_review" in text
    assert "sam (A of incident_response) charter.yaml:32:" in text
    assert "valid, 2 open questions" in text


def test_of_many_questions_those_come_first_on_which_the_first_verdict_rests(tmp_path, pilothouse):
    (tmp_path / "agent.py").write_text("import openai\n", encoding="utf-8")
    assert pilothouse("init", ".", cwd=tmp_path)[0] == 0
    _, out, _ = pilothouse("check", cwd=tmp_path)
    _, every, _ = pilothouse("check", "--all", cwd=tmp_path)
    shown, listed = (
        [line for line in text.splitlines() if line.startswith("    charter.yaml:")] for text in (out, every)
    )
    assert len(shown) <= 12 < len(listed)
    assert {" ".join(line.split()[1:2]) for line in shown} >= {"owner", "people", "tools", "model.pin.model"}
    assert f"and {len(listed) - len(shown)} more: pilothouse check charter.yaml --all" in " ".join(
        out.split()
    )
    assert f"valid, {len(listed)} open questions" in " ".join(out.split())


def test_line_numbers_never_turn_into_pictures(agent, pilothouse):
    padded = "\n" * 49 + edited(("cost_of_review: 6", 'cost_of_review: "?"'))
    (agent / "charter.yaml").write_text(padded)
    assert "charter.yaml:100:5" in pilothouse("check", cwd=agent)[1]


def test_json_is_the_whole_result_and_nothing_else(agent, pilothouse):
    (agent / "charter.yaml").write_text(
        edited(("reattest: 90d", "reattest: 90"), ("cost_of_review: 6", 'cost_of_review: "?"'))
    )
    code, out, err = pilothouse("check", "--json", cwd=agent)
    record = json.loads(out)
    assert (code, err) == (2, "")
    assert (record["errors"], record["questions"], record["warnings"], record["hidden"]) == (1, 1, 0, 0)
    assert (record["agent"], record["digest"], record["diff"]) == (None, None, None)
    assert record["findings"][0] == {
        "rule": "bad-unit",
        "kind": "E",
        "path": "owner.reattest",
        "file": "charter.yaml",
        "line": 16,
        "column": 67,
        "message": "owner.reattest: 90 is no duration",
        "remedy": "Write for example 15m, 4h, 30d or 6w; the shortest is 1s.",
        "asked": "",
    }


def test_json_of_a_valid_charter_has_its_digests(agent, pilothouse):
    record = json.loads(pilothouse("check", "--json", cwd=agent)[1])
    assert len(record["digest"]) == 64
    assert "thresholds" in record["sections"]


def test_the_schema_is_printed_and_nothing_else(pilothouse, tmp_path):
    code, out, _ = pilothouse("check", "--schema", cwd=tmp_path)
    assert code == 0
    assert json.loads(out)["title"] == "Pilothouse charter"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.mkdir(), "there is no file"),
        (lambda path: path.write_bytes(b"\xff"), "no UTF-8"),
        (lambda path: path.write_bytes(b"#" * 2_000_000), "larger than 1024 KiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_message(tmp_path, pilothouse, make, says):
    make(tmp_path / "charter.yaml")
    code, out, err = pilothouse("check", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 2


def test_a_wrong_option_is_a_usage_error(pilothouse, tmp_path):
    code, _, err = pilothouse("check", "--diffs", "HEAD", cwd=tmp_path)
    assert code == 2
    assert "error: no such option: --diffs" in err


class TestDiff:
    @pytest.fixture
    def history(self, agent):
        git(agent, "init", "-q")
        git(agent, "add", ".")
        git(agent, "commit", "-q", "-m", "first")
        return agent

    def test_an_unchanged_charter_says_so(self, history, pilothouse):
        code, out, _ = pilothouse("check", "--diff", "HEAD", cwd=history)
        assert code == 0
        assert "nothing changed" in out

    def test_changes_reopen_gates_and_ask_for_agreement(self, history, pilothouse):
        (history / "charter.yaml").write_text(
            edited(
                ("acme-large-2026-04-12", "acme-large-2026-10-01"),
                ("per_day: 2000", "per_day: 4000"),
                ("unknown_task_type: {max: 0.02", "unknown_task_type: {max: 0.03"),
            )
        )
        (history / "prompts" / "system.md").write_text("Another prompt.\n")
        code, out, _ = pilothouse("check", "--diff", "HEAD", cwd=history)
        assert code == 0
        for line in (
            "tools.erp.route@1.budget.per_day: 2000 → 4000 wider",
            "unknown_task_type.max: 0.02 → 0.03 looser",
            "model.pin.model: acme-large-2026-04-12 → acme-large-2026-10-01 changed",
            "prompts[0] (prompts/system.md): content changed",
            "another version → ",
            "section thresholds → EVAL-4, OWN-5",
            "section model → OWN-4",
            "two persons with role owner or approver",
            "vp (sponsor): less is asked of the agent",
        ):
            assert line in out

    def test_the_difference_is_in_the_json(self, history, pilothouse):
        (history / "charter.yaml").write_text(edited(("days: 90", "days: 100")))
        record = json.loads(pilothouse("check", "--json", "--diff", "HEAD", cwd=history)[1])
        assert record["diff"]["changes"] == [
            {"path": "stability.days", "old": "90", "new": "100", "effect": "tighter"}
        ]
        assert record["diff"]["reopens"] == [{"because": "section stability", "items": ["DATA-5"]}]
        assert record["diff"]["approvals"] == []

    def test_an_invalid_charter_shows_its_errors_first(self, history, pilothouse):
        (history / "charter.yaml").write_text(edited(("days: 90", "days: 10")))
        code, out, err = pilothouse("check", "--diff", "HEAD", cwd=history)
        assert code == 2
        assert "Since HEAD" not in out
        assert err == "What changed is shown once no error stands.\n"

    def test_an_unknown_revision_is_a_usage_error(self, history, pilothouse):
        code, _, err = pilothouse("check", "--diff", "v9", cwd=history)
        assert code == 2
        assert "there is no revision 'v9'" in err

    def test_a_charter_that_was_invalid_then_is_named_with_its_revision(self, history, pilothouse):
        (history / "charter.yaml").write_text(edited(("days: 90", "days: 10")))
        git(history, "commit", "-q", "-a", "-m", "worse")
        (history / "charter.yaml").write_text(edited())
        code, _, err = pilothouse("check", "--diff", "HEAD", cwd=history)
        assert code == 2
        assert "charter.yaml@HEAD has 1 error" in err

    def test_outside_a_repository_is_a_usage_error(self, agent, pilothouse, monkeypatch):
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(agent.parent))
        code, _, err = pilothouse("check", "--diff", "HEAD", cwd=agent)
        assert code == 2
        assert "lies in no git repository" in err


SECRET = "sk-ant-0123456789abcdef0123"

AGENT = f"""
import os
from pydantic_ai import Agent, RunContext

client = Client(api_key="{SECRET}")
agent = Agent("openai:gpt-4o", instructions="You route tickets to the right queue, and you answer with the schema only.")
TICKETS = "https://tickets.corp.test/api"
TOKEN = os.environ["TICKETS_TOKEN"]


@agent.tool
def find_ticket(ctx: RunContext, ticket: str) -> str: ...
"""


class TestInit:
    @pytest.fixture
    def repository(self, tmp_path):
        folder = tmp_path / "ticket-router"
        (folder / "prompts").mkdir(parents=True)
        (folder / "agent.py").write_text(AGENT)
        (folder / "prompts" / "system.md").write_text("You route tickets to the queue that answers them.")
        return folder

    def test_a_draft_has_what_was_found_and_open_questions_only(self, repository, pilothouse):
        code, out, err = pilothouse("init", repository)
        assert (code, err) == (0, "")
        for words in (
            "pydantic-ai agent.py:3",
            "openai:gpt-4o agent.py:6",
            "find_ticket agent.py:",
            "tickets.corp.test:443 agent.py:7",
            "prompts/system.md",
            "TICKETS_TOKEN agent.py:8",
            "model provider key agent.py:5",
            "OPENAI_BASE_URL=http://127.0.0.1:4318/gw/v1",
            "a base URL in the code wins over it: look at agent.py:3",
        ):
            assert words in out
        assert "ANTHROPIC_BASE_URL" not in out, "its model is another provider's"
        text = (repository / "charter.yaml").read_text()
        for words in (
            "agent: ticket-router",
            "verb: route",
            "gpt-4o is an alias, agent.py:6",
            "gpt-4o-2024-11-20",
            '"tickets.corp.test:443"',
            "find_ticket@1",
            '"ticket": {role: "?"',
            '"prompts/system.md"',
            "model provider key at agent.py:5",
        ):
            assert words in text
        code, out, _ = pilothouse("check", repository)
        assert code == 3
        assert "■" not in out

    def test_no_secret_reaches_the_draft_or_the_terminal(self, repository, pilothouse):
        outputs = [pilothouse("init", repository), pilothouse("init", repository, "--force", "--json")]
        text = (repository / "charter.yaml").read_text() + "".join(
            part for _, *parts in outputs for part in parts
        )
        assert SECRET not in text
        assert "0123456789abcdef" not in text

    def test_a_charter_that_is_there_is_not_replaced_by_accident(self, repository, pilothouse):
        (repository / "charter.yaml").write_text("mine")
        code, _, err = pilothouse("init", repository)
        assert code == 2
        assert "is there already" in err
        assert "--force" in err
        assert (repository / "charter.yaml").read_text() == "mine"
        assert pilothouse("init", repository, "--force")[0] == 0

    def test_the_draft_can_stand_elsewhere(self, repository, pilothouse, tmp_path):
        target = tmp_path / "draft.yaml"
        assert pilothouse("init", repository, "--out", target)[0] == 0
        assert '"ticket-router/prompts/system.md"' in target.read_text()
        assert pilothouse("check", target)[0] == 3
        apart = tmp_path / "apart"
        apart.mkdir()
        assert pilothouse("init", repository, "--out", apart / "draft.yaml")[0] == 0
        assert "prompts: " in (apart / "draft.yaml").read_text()
        assert pilothouse("check", apart / "draft.yaml")[0] == 3

    def test_json_lists_every_sighting(self, repository, pilothouse):
        record = json.loads(pilothouse("init", repository, "--json")[1])
        assert record["agent"] == "ticket-router"
        assert {
            "kind": "tool",
            "value": "find_ticket",
            "file": "agent.py",
            "line": 12,
            "detail": "find_ticket(ticket)",
            "names": ["ticket"],
        } in record["sightings"]

    @pytest.mark.parametrize("where", ["nowhere", "agent.py"])
    def test_what_is_no_folder_is_a_usage_error(self, repository, pilothouse, where):
        code, _, err = pilothouse("init", repository / where)
        assert code == 2
        assert "there is no folder" in err

    def test_a_place_that_cannot_be_written_is_a_usage_error(self, repository, pilothouse):
        code, _, err = pilothouse("init", repository, "--out", repository / "none" / "charter.yaml")
        assert code == 2
        assert "cannot be written" in err

    def test_an_empty_folder_gives_a_draft_too(self, tmp_path, pilothouse):
        folder = tmp_path / "empty-agent"
        folder.mkdir()
        assert pilothouse("init", folder)[0] == 0
        assert pilothouse("check", folder)[0] == 3

    @pytest.mark.parametrize(
        "example", sorted(path.name for path in EXAMPLES.iterdir() if (path / "agent.py").exists())
    )
    def test_the_examples_are_understood(self, tmp_path, pilothouse, example):
        folder = tmp_path / example
        shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("__pycache__"))
        record = json.loads(pilothouse("init", folder, "--force", "--json")[1])
        assert "find_order" in {s["value"] for s in record["sightings"] if s["kind"] == "tool"}
        models = [s["value"] for s in record["sightings"] if s["kind"] == "model"]
        assert [model.removeprefix("openai-chat:") for model in models] == ["stub-large-2026-01-15"]
        assert pilothouse("check", folder)[0] == 3

    @pytest.mark.slow
    def test_the_process_drafts_and_checks(self, repository):
        assert process("init", ".", cwd=repository).returncode == 0
        assert process("check", cwd=repository).returncode == 3
