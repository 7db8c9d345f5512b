# SPDX-License-Identifier: Apache-2.0
"""What the story's gate and load test run on: the agent as a target, its labelled cases, a copy of the ERP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.place import AGENT
from pilothouse.demo.stage import Stage
from pilothouse.demo.trial import ERP_VARIABLE, PROMPT_VARIABLE
from pilothouse.demo.variables import with_variables

__all__ = ["TARGET", "compare_cases", "labelled", "trials"]

TARGET = "python:pilothouse.demo.trial:answer"


def labelled(stage: Stage) -> Path:
    """Return the folder of the charter's labelled cases."""
    return stage.place.agent_folder / "datasets" / "labelled"


def compare_cases(stage: Stage, day: int, hour: float) -> None:
    """Look whether cases leak into the prompt, and whether they look like the traffic."""
    shown = str(stage.place.prompt)
    stage.type(day, "dataset", "show", str(labelled(stage)), "--shown", shown, "--record", AGENT, hour=hour)


@contextmanager
def trials(stage: Stage, model: ModelServer) -> Iterator[None]:
    """Give the trials a copy of the ERP and the provider's address, and take both away again."""
    copy = stage.place.home / "erp-of-trials.sqlite"
    shutil.copyfile(stage.place.erp, copy)
    given = {
        ERP_VARIABLE: str(copy),
        PROMPT_VARIABLE: str(stage.place.prompt),
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": "offline",
    }
    with with_variables(given):
        yield
