# SPDX-License-Identifier: Apache-2.0
"""The CI examples hold commands that work: what stands in them is run, as it stands, in a copy of the example."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from source_tree import ROOT

from pilothouse.workflows.gate.release_outputs import MARKER

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "examples" / "ci"
INSTALL = "pip install wheels/*.whl"


def github():
    """Commands of the job, what it keeps between runs, and what it hands on."""
    (job,) = yaml.safe_load((EXAMPLE / "github-actions.yml").read_text("utf-8"))["jobs"].values()
    uses = {step["uses"].split("@")[0]: step.get("with", {}) for step in job["steps"] if "uses" in step}
    return (
        [step["run"] for step in job["steps"] if "run" in step],
        [uses["actions/cache"]["path"]],
        uses["actions/upload-artifact"]["path"].split(),
    )


def gitlab():
    job = yaml.safe_load((EXAMPLE / "gitlab-ci.yml").read_text("utf-8"))["gate"]
    artifacts = job["artifacts"]
    return (
        [*job["before_script"], *job["script"]],
        job["cache"]["paths"],
        [artifacts["reports"]["junit"], *artifacts["paths"]],
    )


def run(command, folder):
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        },
    )  # fmt: skip


@pytest.mark.parametrize("service", [github, gitlab])
def test_the_commands_run_as_they_stand_and_leave_what_the_service_collects(service, tmp_path):
    folder = shutil.copytree(EXAMPLE, tmp_path / "repository")
    commands, kept, handed_on = service()
    assert commands[0] == INSTALL, "the test has it installed already"
    for command in commands[1:]:
        done = run(command, folder)
        assert done.returncode == 0, done.stdout + done.stderr
    assert all((folder / name).exists() for name in (*kept, *handed_on))
    assert ET.parse(folder / "gate.xml").getroot().get("failures") == "0"
    assert (folder / "gate.md").read_text("utf-8").startswith(MARKER)
    if service is github:
        assert MARKER in (folder / "summary.md").read_text("utf-8")
        return
    # A change for the worse turns the job red, and says what is worse.
    app = folder / "app.py"
    app.write_text(app.read_text("utf-8").replace("for word, queue in QUEUES.items() if word in text", "for word, queue in QUEUES.items() if word in text and word != 'invoice'"), "utf-8")  # fmt: skip
    worse = run(commands[-1], folder)
    assert worse.returncode == 1, worse.stdout + worse.stderr
    assert int(ET.parse(folder / "gate.xml").getroot().get("failures")) >= 1
