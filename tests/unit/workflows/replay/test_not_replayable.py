# SPDX-License-Identifier: Apache-2.0
"""A run of tool calls alone says where the model's calls are; it said that 0 events could not be written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded_runs import RUN, conversation, record

from pilothouse.core.evidence.run_log import Replayable
from pilothouse.errors import EvidenceError
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.replay.run import ReplayRequest, replay_run


@pytest.mark.parametrize(
    ("changes", "said", "advised"),
    [
        ({"calls": 0}, "only its tool calls are here", "pilothouse replay --list --agent"),
        ({"lost": 2}, "2 events of it could not be written", "--show"),
        ({"calls": 1}, "no model call that was answered", "--show"),
        ({"replayable": Replayable.ERASED}, "its content was erased", "--show"),
        ({"replayable": Replayable.UNRECORDED}, "not recorded by choice", "without `--record off`"),
    ],
)
def test_why_a_run_cannot_be_replayed(tmp_path, changes, said, advised):
    with Recorder(tmp_path) as log:
        record(log, conversation(3))
        recorded = log.read(RUN)
        summary = replace(recorded.summary, **({"replayable": Replayable.NO} | changes))
        with pytest.raises(EvidenceError, match=said) as told:
            replay_run(replace(recorded, summary=summary), log.redaction, ReplayRequest(), None)
    assert advised in told.value.remedy
