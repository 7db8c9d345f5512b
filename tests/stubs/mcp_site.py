# SPDX-License-Identifier: Apache-2.0
"""An ERP behind MCP, and an installation that serves it at `/mcp`: both over real HTTP, in the loop of the test."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fresh_ledger import ledger_url
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

from pilothouse.app.mcp import SERVERS_FILE, mcp_endpoint
from pilothouse.app.runs import open_run_log
from pilothouse.core.charter.contract import file_digest
from pilothouse.interfaces.http.joined_writes import JoinedWritesProtocol
from pilothouse.interfaces.http.server import compose, only_says
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.credentials import SqlCredentials
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.gateway.key_book import KeyBook
from pilothouse.runtime.tools.mcp_listing import manifest_of
from pilothouse.settings import load_settings
from pilothouse.workflows.controls.controls import ControlsCache
from pilothouse.workflows.gateway.directory import DirectoryCache
from pilothouse.workflows.gateway.keys import add_key
from pilothouse.workflows.people.credentials import add_credential
from pilothouse.workflows.verdict.accept import accept_file

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
AGENT = "ap-invoice-triage"

_TEXT = {"type": "string"}
FIND = Tool(
    name="find",
    description="Find a purchase order.",
    input_schema={"type": "object", "properties": {"po_number": _TEXT}, "required": ["po_number"]},
)
ROUTE = Tool(
    name="route",
    description="Route a document.",
    input_schema={"type": "object", "properties": {"document": _TEXT, "queue": _TEXT, "po_number": _TEXT}},
)


class Erp:
    """The MCP server of a made-up ERP; keeps what it was sent."""

    def __init__(self):
        self.calls, self.headers = [], []
        self.waits, self.given_up = asyncio.Event(), asyncio.Event()
        self.tools = [FIND, ROUTE]
        self.accepts = None
        self.server = Server("erp", on_list_tools=self._list, on_call_tool=self._call)

    async def _list(self, _context, _params):
        return ListToolsResult(tools=self.tools)

    async def _call(self, context, params):
        args = dict(params.arguments or {})
        self.calls.append((params.name, args))
        self.headers.append(dict(context.request.headers))
        if args.get("po_number") == "slow":
            self.waits.set()
            try:
                await asyncio.sleep(3_600)
            finally:
                self.given_up.set()
        if args.get("po_number") == "echo":
            args["po_number"] = f"you sent {context.request.headers['authorization']}"
        if args.get("po_number") == "steps":
            await context.session.report_progress(1, 2, "half")
        return CallToolResult(
            content=[TextContent(type="text", text="found")],
            structured_content={"po": args.get("po_number", ""), "done": params.name},
            _meta={"erp/row": 7},
        )


@asynccontextmanager
async def served(app, **how):
    """Serve an ASGI application on a free port of loopback; gives its address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", ws="none", **how)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[listener])


@asynccontextmanager
async def erp_site(erp):
    """Serve an ERP; gives the address of its MCP endpoint."""
    manager = StreamableHTTPSessionManager(erp.server)

    async def app(scope, receive, send):
        sent = dict(scope["headers"]).get(b"authorization", b"").decode()
        if erp.accepts is None or sent == erp.accepts:
            await manager.asgi_app(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"no"})

    async with manager.run(), served(app) as origin:
        yield f"{origin}/mcp"


def write_charter(folder, url, **server):
    """Write the demo's charter with its tools behind an MCP server; returns its path."""
    shutil.copytree(DEMO, folder, dirs_exist_ok=True)
    charter = (folder / "charter.yaml").read_text(encoding="utf-8")
    for name, tool in (("find_po", FIND), ("route_invoice", ROUTE)):
        file = folder / "contracts" / f"{name}.json"
        before = file.read_bytes()
        contract = json.loads(before)
        # The demo's ERP allows 10 calls a second; here nobody waits for a place.
        contract |= {"rate_per_s": 1_000, "burst": 100}
        contract["upstream"] = {"server": "erp", "tool": tool.name, "manifest_hash": manifest_of(tool)}
        file.write_text(json.dumps(contract), encoding="utf-8")
        charter = charter.replace(file_digest(before), file_digest(file.read_bytes()))
    (folder / "charter.yaml").write_text(charter, encoding="utf-8")
    servers = {"mcpServers": {"erp": {"url": url, **server}}}
    (folder / SERVERS_FILE).write_text(json.dumps(servers), encoding="utf-8")
    return folder / "charter.yaml"


class Site:
    """An installation with one agent whose tools stand at `/mcp`."""

    def __init__(self, home, held):
        home.mkdir(parents=True, exist_ok=True)
        self.settings = load_settings(home=home)
        self.ledger = held.enter_context(open_ledger(ledger_url(home)))
        self.store = SqlGatewayStore(self.ledger.database)
        self.run_log = held.enter_context(open_run_log(self.settings))
        self.directory = None
        self.notes = []

    def accept(self, charter):
        accept_file(self.ledger, charter, datetime.now(UTC), actor="test")
        if self.directory is not None:
            self.directory.refresh()

    def key(self, agent=AGENT):
        return add_key(
            self.store,
            agent,
            environment=None,
            models=(),
            spans=False,
            life=None,
            actor="test",
            now=datetime.now(UTC),
        ).key

    def credential(self, name, *, now=None, **fields):
        add_credential(
            SqlCredentials(self.ledger.database),
            name,
            **{"variable": None, "file": None, "host": None, "expires_at": None} | fields,
            actor="test",
            now=now or datetime.now(UTC),
        )

    def endpoint(self):
        self.directory = DirectoryCache(self.ledger, self.store, now=lambda: datetime.now(UTC))
        return mcp_endpoint(
            self.ledger,
            self.settings,
            keys=KeyBook(self.directory.directory, self.directory.refresh),
            controls=ControlsCache(SqlControls(self.ledger.database)),
            run_log=self.run_log,
            on_note=self.notes.append,
        )


@asynccontextmanager
async def mcp_site(folder, **server):
    """Serve an installation before an ERP; gives the site, the ERP and the installation's address."""
    erp = Erp()
    with ExitStack() as held:
        site = Site(folder / "home", held)
        async with erp_site(erp) as url:
            site.accept(write_charter(folder / "charter", url, **server))
            endpoint = site.endpoint()
            nothing = only_says("nothing")
            app = compose(otlp=nothing, pages=nothing, metrics=str, health=dict, mounts={"mcp": endpoint.app})
            try:
                how = {"http": JoinedWritesProtocol, "proxy_headers": False, "server_header": False}
                async with served(app, **how) as origin:  # as our own server
                    site.erp_host = url.split("/")[2]
                    yield site, erp, origin
            finally:
                await endpoint.close()


@asynccontextmanager
async def client_of(origin, key, *, mode="auto", **headers):
    """Give the official client of an address, with a key and headers."""
    said = {
        "authorization": f"Bearer {key}",
        **{name.replace("_", "-"): one for name, one in headers.items()},
    }
    async with (
        create_mcp_http_client(headers=said) as http,
        Client(streamable_http_client(f"{origin}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client
