# SPDX-License-Identifier: Apache-2.0
"""Starts a gateway that lives as long as this process, whatever this process becomes: for a launch where no server runs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pilothouse.durable_file import replace_file
from pilothouse.errors import StorageUnavailable
from pilothouse.own_process import last_words, own_command

__all__ = ["note_launched", "start_gateway"]

START_S_MAX = 60.0
"""Until it answers: two seconds on an idle machine, and a ledger that is brought up to date may take longer."""

LOOK_EVERY_S = 0.05


def note_launched(home: Path, process: int, url: str) -> None:
    """Write down where the gateway of a process listens, for the one who waits for it.

    Args:
        home: Data folder.
        process: Process id for which it was started.
        url: Base address.
    """
    replace_file(_note(home, process), json.dumps({"url": url}).encode())


def start_gateway(home: Path, charter: Path | None) -> str:
    """Start a gateway on a free port that stops when this process has ended, and return its base address.

    It is no child of this process, which becomes the agent: agents wait for children of their own. Nor does a terminal's Ctrl-C reach it,
    so the agent's last calls are answered.

    Args:
        home: Data folder.
        charter: Charter to put into force, or None.

    Raises:
        StorageUnavailable: It did not start; the message has its own words.
    """
    process = os.getpid()
    note, said = _note(home, process), home / f"launched-{process}.log"
    note.unlink(missing_ok=True)
    words = ["up", "--role", "gateway", "--port", "0", "--home", str(home), "--until-ends", str(process)]
    ended = _start_apart([*words, *(() if charter is None else ("--charter", str(charter)))], said)
    try:
        until = time.monotonic() + START_S_MAX
        while time.monotonic() < until:
            if note.exists():
                return str(json.loads(note.read_text(encoding="utf-8"))["url"])
            if select.select([ended], [], [], LOOK_EVERY_S)[0]:
                break
        told = last_words(said.read_bytes())
    finally:
        os.close(ended)
        note.unlink(missing_ok=True)
        said.unlink(missing_ok=True)
    raise StorageUnavailable(
        f"no Pilothouse server runs, and a gateway for this launch did not start: {told or 'it said nothing'}",
        remedy="Mend that or start `pilothouse up`; `pilothouse run --no-gateway -- CMD` starts the agent with nothing between it and its provider.",
        subject=str(home),
    )


def _note(home: Path, process: int) -> Path:
    return home / f"launched-{process}.json"


def _start_apart(words: Sequence[str], said: Path) -> int:
    """Start our program as nobody's child, and return what can be read once it has ended."""
    ended, alive = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            subprocess.Popen(  # noqa: S603 - our own program
                own_command(*words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said.open("wb"),
                pass_fds=(alive,),
                start_new_session=True,
            )
        finally:
            os._exit(0)
    os.close(alive)
    os.waitpid(between, 0)
    return ended
