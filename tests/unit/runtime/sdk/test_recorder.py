# SPDX-License-Identifier: Apache-2.0
"""The recorder of an agent's process outlives whoever answers at its address."""

from __future__ import annotations

import socket
import threading

import pytest

from pilothouse.runtime.sdk.recorder import Recorder

ROW = ("a" * 32, "b" * 16, None, "invoke_agent", 1, 2, False, {"n": 1})


@pytest.mark.parametrize(
    "said", [b"220 mail.corp.example ESMTP\r\n", b"", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"]
)
def test_a_program_that_speaks_no_http_is_another_time(said):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            near, _ = listener.accept()
            with near:
                near.recv(65_536)
                near.sendall(said)

        stranger = threading.Thread(target=answer)
        stranger.start()
        recorder = Recorder(f"http://127.0.0.1:{listener.getsockname()[1]}", {})
        sent = recorder._send([ROW])
        stranger.join(10)
    assert (sent, recorder.dropped) == (said.startswith(b"HTTP"), 0)
