# SPDX-License-Identifier: Apache-2.0
"""Gives the demo its stores, its intake of telemetry, and the command line, at simulated moments."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from pilothouse.app.control_room import open_control_room
from pilothouse.app.gateway import open_gateway_store
from pilothouse.app.opening import SystemClock, at_simulated, open_installation, open_intake
from pilothouse.app.people import open_workbench

if TYPE_CHECKING:
    import typer

    from pilothouse.demo.parts import DemoParts, Step, Typed
    from pilothouse.settings import Settings

__all__ = ["demo_parts", "prepare_demo", "receive_telemetry"]

STOP_WAIT_S = 10.0
ANSWER_COLUMNS = 400
"""Wider than any first line; what is shown of it is for the teller to cut."""


def demo_parts(tree: Callable[[], typer.Typer]) -> DemoParts:
    """Return the parts of the installation that the demo uses.

    Args:
        tree: The command line with every part wired.
    """
    from pilothouse.demo.parts import DemoParts

    def type_command(words: Sequence[str], moment: datetime) -> Typed:
        return _type(tree(), words, moment)

    return DemoParts(
        clock=SystemClock(),
        open_installation=open_installation,
        open_intake=open_intake,
        open_control_room=open_control_room,
        open_workbench=open_workbench,
        open_gateway_store=open_gateway_store,
        receive_telemetry=receive_telemetry,
        type_command=type_command,
        at_simulated=at_simulated,
    )


def prepare_demo(settings: Settings, parts: DemoParts) -> Settings:
    """Make sure the demo's data exist and return the settings that point to them."""
    from pilothouse.demo.gateway import keep_provider
    from pilothouse.demo.place import DemoPlace
    from pilothouse.demo.story import prepare_demo as prepare

    def tell(step: Step) -> None:
        sys.stderr.write(f"  {step.line}\n")

    ready = prepare(settings, parts, on_step=tell)
    keep_provider(DemoPlace(settings=ready), parts)
    return ready


def _type(tree: typer.Typer, words: Sequence[str], moment: datetime) -> Typed:
    """Run one command line in this process, as of a simulated moment."""
    from pilothouse.demo.parts import Typed
    from pilothouse.demo.variables import with_variables
    from pilothouse.interfaces.cli.main import run_cli
    from pilothouse.interruption import INTERRUPTED

    said, hints, status = io.StringIO(), io.StringIO(), 0
    # Answers are one line each, for the story shows their first.
    with (
        with_variables({"COLUMNS": str(ANSWER_COLUMNS)}),
        at_simulated(moment),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(hints),
    ):
        try:
            run_cli(tree, words)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
    if status == INTERRUPTED:
        raise KeyboardInterrupt  # whoever stopped the command means the story
    return Typed(words=tuple(words), status=status, said=said.getvalue(), hints=hints.getvalue())


@contextmanager
def receive_telemetry(settings: Settings) -> Iterator[str]:
    """Take OTLP in over HTTP by the server's own road, and yield the address.

    Recurring work does not run meanwhile: its clock would be the wall's, and the story's is not.
    """
    import uvicorn

    from pilothouse.interfaces.http import server
    from pilothouse.interfaces.http.otlp import otlp_app
    from pilothouse.lake.node import open_node
    from pilothouse.lake.prices import priced_by
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.gateway.price_list import PriceList

    with open_ledger(settings.ledger_url) as ledger, server.bind(settings.host, 0) as listener:
        node = open_node(settings.lake_folder, SystemClock(), prices=priced_by(PriceList(ledger).read))
        node.reprice(since_ns=0)  # as a server does when it starts: a price may have been added since
        app = server.compose(
            otlp=otlp_app(node),
            pages=server.only_says("The demo is running; its pages come with `pilothouse up --demo`.\n"),
            metrics=str,
            health=dict,
        )
        config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", ws="none")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            host, port = listener.getsockname()[:2]
            yield f"http://{host}:{port}"
        finally:
            running.should_exit = True
            thread.join(STOP_WAIT_S)
            # Nothing more comes: what is complete is folded now instead of after its quiet time.
            node.settle()
            node.stop(drain=True)
