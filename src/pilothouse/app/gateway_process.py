# SPDX-License-Identifier: Apache-2.0
"""Runs the model gateway in a process of its own, beside the server of the same data folder.

It has neither lake nor pages in it, so it stays small and nobody's queries stand in the way of a call. Its spans go to
the server over HTTP; keys, charters, pauses and spending are in the ledger, runs in the run log, as always.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from pilothouse import __version__
from pilothouse.app.control_room import running_controls
from pilothouse.app.gateway import running_gateway
from pilothouse.app.interpreter import tune_interpreter
from pilothouse.app.opening import SystemClock
from pilothouse.app.runs import open_run_log
from pilothouse.connectors.launched_gateway import note_launched
from pilothouse.connectors.own_server import (
    GATEWAY_PROGRAM,
    forget_gateway,
    is_running,
    note_gateway,
    read_server,
)
from pilothouse.interfaces.cli.services import ServeRequest

if TYPE_CHECKING:
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.workflows.ground.background import Tick

__all__ = ["accept_charters", "serve_gateway"]


LOOK_EVERY_S = 1.0
"""Between two looks whether the process that a gateway works for still runs."""


def serve_gateway(request: ServeRequest) -> None:
    """Answer model calls until a signal asks to stop."""
    from pilothouse.connectors.own_intake import OwnServerIntake
    from pilothouse.interfaces.http import server
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.gateway.price_list import PRICES_EVERY_S, PriceList
    from pilothouse.workflows.ground.background import Background, Tick

    settings = request.settings
    with (
        server.bind(settings.host, settings.port) as listener,
        open_ledger(settings.ledger_url) as ledger,
        running_controls(ledger, request.on_note) as controls,
        open_run_log(settings, request.on_note) as run_log,
    ):
        accept_charters(request, ledger)
        prices = PriceList(ledger)
        with running_gateway(
            ledger,
            prices,
            controls,
            OwnServerIntake(settings.home),
            run_log,
            shared=settings.shared_ids,
            on_note=request.on_note,
        ) as gateway:
            background = Background(
                (
                    Tick(name="prices", every_s=PRICES_EVERY_S, run=prices.refresh),
                    *gateway.ticks,
                    *_end_with(request.until_ends),
                ),
                SystemClock(),
                lambda name, text: request.on_note(f"{name}: {text}"),
            )
            host, port = listener.getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

            def ready() -> None:
                tune_interpreter()
                background.start()
                if request.until_ends is None:
                    note_gateway(settings.home, address)
                else:  # nobody else may come to rely on it
                    note_launched(settings.home, request.until_ends, address)
                request.on_ready(address, None)
                if read_server(settings.home) is None:
                    request.on_note(
                        "No server of this data folder runs: calls are recorded, their spans wait for none."
                    )

            nothing = server.only_says(
                f"This process is the gateway of {settings.home.name}: it answers under /gw. "
                "Pages and telemetry: `pilothouse up`.\n"
            )
            try:
                server.serve(
                    server.compose(
                        otlp=nothing,
                        pages=nothing,
                        mounts={"gw": gateway.app},
                        metrics=gateway.metrics,
                        health=lambda: {
                            "program": GATEWAY_PROGRAM,
                            "version": __version__,
                            "gateway": gateway.counters(),
                        },
                        further_hosts=settings.allowed_hosts,
                    ),
                    listener,
                    ready,
                    on_stop=gateway.close,
                )
            finally:
                forget_gateway(settings.home)
                background.stop()


def _end_with(process: int | None) -> tuple[Tick, ...]:
    """Return the tick that asks this process to stop once another one has ended; none where it works for nobody in particular."""
    from pilothouse.workflows.ground.background import Tick

    def look(_: object) -> None:
        if process is not None and not is_running(process):
            os.kill(os.getpid(), signal.SIGTERM)

    return () if process is None else (Tick(name="launch", every_s=LOOK_EVERY_S, run=look),)


def accept_charters(request: ServeRequest, ledger: SqlLedger) -> None:
    """Put the charters given at the start into force; an invalid file leaves the charter in force unchanged.

    Raises:
        CharterInvalid: A charter is wrong and none of its agent is in force yet.
    """
    from pilothouse.errors import CharterInvalid
    from pilothouse.workflows.verdict.accept import accept_file

    for path in request.charters:
        try:
            accept_file(ledger, path, SystemClock().now(), actor="pilothouse up")
        except CharterInvalid as error:
            if ledger.charter(error.subject or "") is None:
                raise
            request.on_note(f"{error.message}. {error.remedy}")
