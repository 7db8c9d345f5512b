# SPDX-License-Identifier: Apache-2.0
"""`pilothouse up`: take in telemetry, verify outcomes and show the pages, on one port."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import hint_console
from pilothouse.interfaces.cli.options import Home
from pilothouse.interfaces.cli.services import ServeRequest, ServerRole, Services
from pilothouse.settings import GRPC_PORT_DEFAULT, load_settings

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `up` to the command tree."""

    @cli.command("up")
    def up(  # noqa: PLR0917 - the options of a command
        charter: Annotated[
            list[Path] | None,
            typer.Option(
                "--charter",
                help="Charter to put into force and to watch; may be repeated. Default: ./charter.yaml if it is there.",
            ),
        ] = None,
        demo: Annotated[
            bool, typer.Option("--demo", help="Serve the demo's data; runs the demo first if there are none.")
        ] = False,
        home: Home = None,
        host: Annotated[str | None, typer.Option(help="Loopback address to listen on.")] = None,
        port: Annotated[int | None, typer.Option(help="Port; 0 lets the system choose.")] = None,
        grpc_port: Annotated[
            int,
            typer.Option(
                min=0,
                max=65_535,
                help="Port for OTLP over gRPC, where grpcio is installed; 0 lets the system choose.",
            ),
        ] = GRPC_PORT_DEFAULT,
        role: Annotated[
            ServerRole,
            typer.Option(
                help="`gateway` answers model calls in a process of its own, beside the server of the same data folder."
            ),
        ] = ServerRole.ALL,
        until_ends: Annotated[
            int | None,
            typer.Option(
                metavar="PID",
                help="Of a gateway: stop when this process has ended. `pilothouse run` starts one so where no server runs.",
            ),
        ] = None,
    ) -> None:
        """Start Pilothouse: OTLP in, pages out, on one port (4318, where OpenTelemetry exporters send by default)."""
        console = hint_console()
        settings = load_settings(home=home, host=host, port=port)
        if until_ends is not None and role is not ServerRole.GATEWAY:
            raise UsageError(
                "only a gateway stops with another process: who else sends here would lose what it sends",
                remedy=f"`pilothouse up --role gateway --until-ends {until_ends}`",
                subject="until-ends",
            )
        if demo:
            settings = services.prepare_demo(settings)
        charters = tuple(charter or ())
        if not charters and not demo and Path("charter.yaml").is_file():
            charters = (Path("charter.yaml"),)

        def ready(address: str, grpc_address: str | None) -> None:
            if role is ServerRole.GATEWAY:
                console.print(f"The gateway is up. Data in {settings.home}")
                console.print(f"  OpenAI     {address}/gw/v1  (base URL)")
                console.print(f"  Anthropic  {address}/gw  (base URL)")
                console.print("  stop with Ctrl-C")
                return
            console.print(f"Pilothouse is up. Data in {settings.home}")
            console.print(f"  pages      {address}/")
            if demo:
                console.print(
                    f"  tour       {address}/tour  (five people, what each opens and what it says now)"
                )
                console.print(f"  commands   pilothouse verdict --home {settings.home}")
            console.print(
                f"  telemetry  {address}/v1/traces  (OTLP/HTTP; set OTEL_EXPORTER_OTLP_ENDPOINT={address})"
            )
            if grpc_address:
                console.print(f"  telemetry  {grpc_address}  (OTLP/gRPC)")
            console.print("  stop with Ctrl-C")

        services.serve(
            ServeRequest(
                settings=settings,
                charters=charters,
                grpc_port=grpc_port,
                role=role,
                until_ends=until_ends,
                on_ready=ready,
                on_note=console.print,
            )
        )
        console.print("Stopped; everything acknowledged is on disk.")
