# SPDX-License-Identifier: Apache-2.0
"""Only an input that stands in its request as text can be found to be read short."""

from __future__ import annotations

import json

import pytest
from recorded_runs import RUN, conversation, record

from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse
from pilothouse.runtime.context.counting import ContextCounter
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.gateway.context_reading import ContextCount, read_run


@pytest.mark.parametrize(
    "more",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 4_000}},
        {"type": "file", "file": {"file_data": "JVBERi0xLjcK" * 4_000}},
    ],
)
def test_a_picture_is_no_text_of_which_less_was_read(more, tmp_path):
    asked = {
        "model": "m-1",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, more]}],
    }
    with Recorder(tmp_path) as log:
        record(log, conversation(1))
        request = ModelRequest(route="/v1/chat/completions", body=json.dumps(asked).encode())
        log.append(RUN, request, call="p")
        log.append(RUN, ModelResponse(status=200, body=b"{}", usage={"input": 900}), call="p")
        log.flush()
        assert read_run(ContextCounter(), log.read(RUN))[0] == ContextCount(unknown=2)


def test_what_a_provider_was_asked_to_shorten_is_no_silent_cut(tmp_path):
    """The agent asked for it in the request: less is read than was sent, and nobody here can see what."""
    pairs = conversation(3)
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    with Recorder(tmp_path) as log:
        for number, (asked, _) in enumerate(pairs):
            body = json.dumps({**asked, "context_management": edits} if number == 2 else asked).encode()
            log.append(RUN, ModelRequest(route="/v1/messages", body=body), call=str(number))
            usage = {"input": 400 if number == 2 else 1_000 + number}
            log.append(RUN, ModelResponse(status=200, body=b"{}", usage=usage), call=str(number))
        log.flush()
        found, _ = read_run(ContextCounter(), log.read(RUN))
    assert (found.inputs, found.cut, found.opaque) == (2, 0, 1)
