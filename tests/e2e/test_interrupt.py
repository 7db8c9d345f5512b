# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends what was typed with status 130 and a word, wherever it was: no trace, no talk of a bug."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from source_tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CHARTER = ROOT / "tests" / "golden" / "charters" / "ap-invoice-triage.yaml"

ASK = """
import sys
from pilothouse.lake.view import Database, View
database = Database()
print("asking", flush=True)
try:
    database.run(View(), "SELECT sum(a.range * b.range) s FROM range(300000) a, range(300000) b WHERE (a.range + b.range) % 7 = 3")
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def started(*words, **named):
    """Start a process in a group of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_signals,  # noqa: PLW1509 - it only sets how signals are taken
        **named,
    )


def _hear_signals():
    """Take signals as what a terminal starts does; what a shell starts in the background ignores them, and so do its children."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def interrupt(process):
    os.killpg(process.pid, signal.SIGINT)
    said, hints = process.communicate(timeout=60)
    assert "Traceback" not in hints
    return said, hints


def test_in_the_middle_of_a_question_to_the_lake_it_is_no_fault_of_the_question():
    with started("-c", ASK) as process:
        assert process.stdout.readline() == "asking\n"
        time.sleep(1.0)
        said, _ = interrupt(process)
    assert said == "interrupted\n"


LOADING = """
import sys, types
class Loading(types.ModuleType):
    def __getattr__(self, name):
        raise KeyboardInterrupt  # while its names are still being made
sys.modules["pilothouse.app"] = Loading("pilothouse.app")
from pilothouse.__main__ import main
main()
"""


def test_while_modules_are_loaded_it_is_quiet():
    with started("-c", LOADING) as process:
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


IN_A_LIBRARY = """
import typer, pydantic
from pilothouse import app
from pilothouse.__main__ import main
class Charter(pydantic.BaseModel):
    agent: str
    @pydantic.field_serializer("agent")
    def write(self, value):
        raise KeyboardInterrupt  # the library makes a failed call of it
def tree():
    typed = typer.Typer()
    typed.command()(lambda: Charter(agent="a").model_dump_json())
    return typed
app.command_tree = tree
main()
"""


def test_in_a_function_that_a_library_calls_it_is_no_bug_of_ours():
    with started("-c", IN_A_LIBRARY) as process:
        said, hints = process.communicate(timeout=60)
    assert (process.returncode, said, hints) == (130, "", "Stopped.\n")


WHILE_TIDYING = """
import time, weakref, typer
from pilothouse import app
from pilothouse.__main__ import main
class Held: ...
def interrupt(_gone):
    raise KeyboardInterrupt  # as if the signal had come at this very moment
def work():
    held = Held()
    kept = weakref.ref(held, interrupt)
    del held
    time.sleep(30)
def tree():
    typed = typer.Typer()
    typed.command()(work)
    return typed
app.command_tree = tree
main()
"""


def test_while_the_interpreter_tidies_up_it_is_not_lost():
    with started("-c", WHILE_TIDYING) as process:
        said, hints = process.communicate(timeout=20)
    assert (process.returncode, said, hints) == (130, "", "Stopped.\n")


def test_the_demo_stops_with_its_agent(tmp_path):
    with started("-m", "pilothouse", "demo", "--home", str(tmp_path)) as process:
        for line in process.stderr:
            if "day  3" in line:
                break
        _, hints = interrupt(process)
    assert process.returncode == 130
    assert hints.rstrip().endswith("Stopped.")
    assert "Transient error" not in hints


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_drill_that_is_killed_ends_its_incident_so_that_nobody_is_called_about_it(tmp_path, number):
    typed = ("-m", "pilothouse")
    home = ("--home", str(tmp_path))
    subprocess.run([sys.executable, *typed, "verdict", "--charter", str(CHARTER), *home], check=False)
    with started(*typed, "drill", "page", "--wait", "90", *home) as process:
        assert "level 1 is called" in process.stderr.readline()
        process.send_signal(number)
        _, hints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in hints
    listed = subprocess.run(
        [sys.executable, *typed, "incident", "list", "--all", "--json", *home],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [one["state"] for one in json.loads(listed.stdout)] == ["resolved"]
