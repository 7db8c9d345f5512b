# SPDX-License-Identifier: Apache-2.0
"""`pilothouse run -- CMD` starts any program and gets out of its way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PILOTHOUSE = [sys.executable, "-m", "pilothouse"]
PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def run(tmp_path):
    """Start `pilothouse run` with some options in an empty folder."""

    def start(*arguments, **environment):
        return subprocess.run(
            [*PILOTHOUSE, "run", "--home", str(tmp_path / "home"), *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return start


def seen_by_the_agent(done):
    return json.loads(done.stdout)


def test_the_agent_gets_the_environment_and_its_own_stdout(run):
    done = run("--port", "4999", "--agent", "triage", "--", sys.executable, "-c", PRINT_ENVIRONMENT)
    env = seen_by_the_agent(done)
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4999"
    assert env["OTEL_SERVICE_NAME"] == "triage"
    assert done.returncode == 0


def test_it_warns_when_nothing_listens(run):
    done = run("--port", "1", "--", sys.executable, "-c", "")
    assert "no Pilothouse answers at http://127.0.0.1:1" in done.stderr
    assert "pilothouse up" in done.stderr


def test_where_the_users_traces_go_is_more_than_a_guess(run):
    """Before the first `up`, the default port took the place of a collector that was there, and every trace was lost."""
    user = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        "PILOTHOUSE_PORT": "",
    }
    done = run(
        "--no-server-check", "--agent", "triage", "--", sys.executable, "-c", PRINT_ENVIRONMENT, **user
    )
    env = seen_by_the_agent(done)
    assert (env["OTEL_EXPORTER_OTLP_ENDPOINT"], env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]) == (
        "http://collector:4317",
        "grpc",
    )
    assert env["OTEL_RESOURCE_ATTRIBUTES"] == "pilothouse.agent=triage"
    assert "go to http://collector:4317" in done.stderr
    assert "no Pilothouse server runs" in " ".join(done.stderr.split())
    said = run("--port", "1", "--no-server-check", "--", sys.executable, "-c", PRINT_ENVIRONMENT, **user)
    assert seen_by_the_agent(said)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:1"


def test_the_check_can_be_left_out(run):
    done = run("--port", "1", "--no-server-check", "--", sys.executable, "-c", "")
    assert "warning" not in done.stderr


@pytest.mark.parametrize("status", [0, 1, 42])
def test_the_exit_status_is_the_agents(run, status):
    assert run("--", sys.executable, "-c", f"raise SystemExit({status})").returncode == status


def test_options_after_the_dashes_belong_to_the_agent(run):
    done = run("--", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--port", "7", "--help")
    assert done.stdout.strip() == "['--port', '7', '--help']"


def test_a_signal_reaches_the_agent_itself(tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [
        *PILOTHOUSE,
        "run",
        "--home",
        str(tmp_path),
        "--no-server-check",
        "--",
        sys.executable,
        "-c",
        code,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 9


def test_a_charter_in_the_folder_names_agent_and_version(run, tmp_path):
    (tmp_path / "charter.yaml").write_text(
        "agent: triage\nmodel: {pin: {provider: acme, model: acme-large-2026-04-12, region: eu}}\n"
    )
    done = run("--no-server-check", "--", sys.executable, "-c", PRINT_ENVIRONMENT)
    attributes = dict(
        pair.split("=") for pair in seen_by_the_agent(done)["OTEL_RESOURCE_ATTRIBUTES"].split(",")
    )
    assert attributes["pilothouse.agent"] == "triage"
    assert len(attributes["pilothouse.version"]) == 64
    assert f"traces of triage, version {attributes['pilothouse.version'][:12]} go to" in done.stderr


def test_a_process_that_is_one_task_says_of_which_type(run, tmp_path):
    (tmp_path / "charter.yaml").write_text("agent: triage\ntask_types: {invoice: {}, refund: {}}\n")
    words = ("--no-server-check", "--", sys.executable, "-c", PRINT_ENVIRONMENT)
    said = seen_by_the_agent(run("--task", "refund", *words))["OTEL_RESOURCE_ATTRIBUTES"]
    assert "pilothouse.task.type=refund" in said
    wrong = run("--task", "refnd", *words)
    assert (wrong.returncode, "no task type 'refnd'" in wrong.stderr) == (2, True)


def test_a_charter_without_a_provider_says_that_traces_name_no_version(run, tmp_path):
    (tmp_path / "charter.yaml").write_text(
        'agent: triage\nmodel: {pin: {provider: "?", model: acme-large-2026-04-12, region: eu}}\n'
    )
    done = run("--no-server-check", "--", sys.executable, "-c", PRINT_ENVIRONMENT)
    assert "pilothouse.version" not in seen_by_the_agent(done)["OTEL_RESOURCE_ATTRIBUTES"]
    assert "model.pin.provider" in done.stderr


def test_model_addresses_are_touched_only_on_request(run):
    words = ("--no-server-check", "--", sys.executable, "-c", PRINT_ENVIRONMENT)
    mine = {"OPENAI_BASE_URL": "http://mine/v1"}
    assert seen_by_the_agent(run(*words, **mine))["OPENAI_BASE_URL"] == "http://mine/v1"
    env = seen_by_the_agent(run("--base-url", "http://stub/v1", *words, **mine))
    assert env["OPENAI_BASE_URL"] == "http://stub/v1"
    assert env["ANTHROPIC_BASE_URL"] == "http://stub"


def test_an_unknown_program_is_one_clear_message(run):
    done = run("--no-server-check", "--", "no-such-program-here")
    assert done.returncode == 2
    assert "no program 'no-such-program-here' on the path" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_charter_that_was_named_is_an_error(run):
    done = run("--charter", "nowhere.yaml", "--", sys.executable, "-c", "")
    assert done.returncode == 2
    assert "no charter at nowhere.yaml" in done.stderr
    assert "pilothouse init" in done.stderr
