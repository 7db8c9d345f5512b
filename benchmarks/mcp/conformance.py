# SPDX-License-Identifier: Apache-2.0
"""The MCP project's own conformance scenarios against a server, once direct and once through `/mcp`: equal or not.

    make bench-mcp-conformance CONFORMANCE=/tmp/mcpconf/node_modules/@modelcontextprotocol/conformance NODE=node

The scenarios call tools by the server's names; the proxy has ours. A client takes names from `tools/list`, these do not,
so names are changed on the way, and the key is added; nothing else is touched. Exit 1 when a scenario about tools
ends otherwise through the proxy than direct.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "stubs"))

SCENARIOS = (
    "server-initialize", "ping", "tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio",
    "tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-error", "tools-call-with-progress",
    "json-schema-2020-12", "server-sse-multiple-streams", "dns-rebinding-protection",
)  # fmt: skip
"""What a proxy of tools carries; resources, prompts, sampling and elicitation are not for it."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
PLAIN = {"type": "object", "properties": {}}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}
TOOLS = {
    "test_simple_text": PLAIN,
    "test_image_content": PLAIN,
    "test_audio_content": PLAIN,
    "test_embedded_resource": PLAIN,
    "test_multiple_content_types": PLAIN,
    "test_error_handling": PLAIN,
    "test_tool_with_progress": PLAIN,
    "json_schema_2020_12_tool": SCHEMA,
}


def made_server():
    from mcp.server.lowlevel import Server
    from mcp_types import (
        AudioContent,
        CallToolResult,
        EmbeddedResource,
        ImageContent,
        ListToolsResult,
        TextContent,
        TextResourceContents,
        Tool,
    )

    text = TextContent(type="text", text="This is a simple text response for testing.")
    image = ImageContent(type="image", data=PIXEL, mime_type="image/png")
    resource = EmbeddedResource(
        type="resource",
        resource=TextResourceContents(
            uri="test://embedded-resource",
            mime_type="text/plain",
            text="This is an embedded resource content.",
        ),
    )
    mixed = EmbeddedResource(
        type="resource",
        resource=TextResourceContents(
            uri="test://mixed-content-resource",
            mime_type="application/json",
            text='{"test":"data","value":123}',
        ),
    )
    answers = {
        "test_image_content": [image],
        "test_audio_content": [AudioContent(type="audio", data=SOUND, mime_type="audio/wav")],
        "test_embedded_resource": [resource],
        "test_multiple_content_types": [
            TextContent(type="text", text="Multiple content types test:"),
            image,
            mixed,
        ],
    }
    tools = [Tool(name=name, description="For tests.", input_schema=schema) for name, schema in TOOLS.items()]

    async def on_list(_context, _params):
        return ListToolsResult(tools=tools)

    async def on_call(context, params):
        if params.name == "test_error_handling":
            said = "This tool intentionally returns an error for testing"
            return CallToolResult(content=[TextContent(type="text", text=said)], is_error=True)
        if params.name == "test_tool_with_progress":
            for done in (0, 50, 100):
                await context.session.report_progress(done, 100, f"{done} of 100")
                await asyncio.sleep(0.05)
        return CallToolResult(content=answers.get(params.name, [text]))

    return Server("conformance", version="1.0.0", on_list_tools=on_list, on_call_tool=on_call), tools


def write_tools(folder, url, tools):
    """Write the demo's charter with exactly these tools."""
    from mcp_site import write_charter

    from pilothouse.core.charter.contract import file_digest
    from pilothouse.runtime.tools.mcp_listing import manifest_of

    path = write_charter(folder, url)
    text = path.read_text(encoding="utf-8")
    entries = []
    for tool in tools:
        pin = {"server": "erp", "tool": tool.name, "manifest_hash": manifest_of(tool)}
        contract = {
            "name": tool.name, "version": 1, "description": tool.description, "input": tool.input_schema,
            "output": {"type": "object"}, "attempts": 1, "polling": True, "upstream": pin,
        }  # fmt: skip
        file = folder / "contracts" / f"{tool.name}.json"
        file.write_text(json.dumps(contract), encoding="utf-8")
        args = {name: {"role": "neutral", "type": "text"} for name in tool.input_schema["properties"]}
        entries.append(
            f"  {tool.name}@1:\n    integration: erp\n    effect: read\n    task_types: [po_invoice]\n"
            f"    contract: contracts/{tool.name}.json\n    manifest_hash: {file_digest(file.read_bytes())}\n"
            f"    args: {json.dumps(args)}\n    examples:\n      allow: [{{rule: entitled, given: {{args: {{}}}}}}]\n"
            "      deny: [{rule: entitled, given: {task_type: credit_note, args: {}}}]\n"
        )
    begin, end = text.index("tools:\n  find_po@1"), text.index("\nmodel:")
    path.write_text(text[:begin] + "tools:\n" + "".join(entries) + text[end:], encoding="utf-8")
    return path


def renamed(app, key):
    """Change names of tools on the way, and show a key."""

    async def through(scope, receive, send):
        headers = [one for one in scope["headers"] if one[0] != b"content-length"]
        headers += [(b"authorization", f"Bearer {key}".encode()), (b"x-pilothouse-task-type", b"po_invoice")]
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        for name in TOOLS:
            body = body.replace(f'"{name}"'.encode(), f'"{name}_V1"'.encode())
        headers.append((b"content-length", str(len(body)).encode()))
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def given():
            return parts.pop() if parts else await receive()

        async def answered(message):
            if message["type"] == "http.response.start":
                kept = [one for one in message["headers"] if one[0].lower() != b"content-length"]
                message = {**message, "headers": kept}
            else:
                message = {**message, "body": message.get("body", b"").replace(b'_V1"', b'"')}
            await send(message)

        await app({**scope, "headers": headers}, given, answered)

    return through


def read_checks(folder):
    return [json.loads(one.read_text()) for one in Path(folder).rglob("checks.json")]


async def results(node, package, url):
    """Run each scenario; return its checks that passed and failed."""
    found = {}
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            run = await asyncio.create_subprocess_exec(
                node, f"{package}/dist/index.js", "server", "--url", url, "--scenario", scenario, "-o", folder,
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            await run.wait()
            checks = await asyncio.to_thread(read_checks, folder)
        found[scenario] = sorted((one["id"], one["status"]) for part in checks for one in part)
    return found


async def compare(node, package):
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings
    from mcp_site import Site, served

    from pilothouse.interfaces.http.server import compose, only_says

    server, tools = made_server()
    guard = TransportSecuritySettings(
        allowed_hosts=["127.0.0.1:*", "localhost:*"],
        allowed_origins=["http://127.0.0.1:*", "http://localhost:*"],
    )
    # Without sessions on both sides: the proxy keeps none, and a scenario about them would compare two designs.
    manager = StreamableHTTPSessionManager(server, stateless=True, security_settings=guard)
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        folder = Path(name)
        site = Site(folder / "home", held)
        async with manager.run(), served(manager.asgi_app) as direct:
            site.accept(write_tools(folder / "charter", f"{direct}/mcp", tools))
            endpoint = site.endpoint()
            nothing = only_says("nothing")
            app = compose(
                otlp=nothing, pages=nothing, metrics=str, health=dict,
                mounts={"mcp": renamed(endpoint.app, site.key())},
            )  # fmt: skip
            try:
                async with served(app) as proxied:
                    return [await results(node, package, f"{one}/mcp") for one in (direct, proxied)]
            finally:
                await endpoint.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", help="Folder of @modelcontextprotocol/conformance.")
    parser.add_argument("--node", default="node", help="Node 22 or newer.")
    args = parser.parse_args()
    direct, proxied = asyncio.run(compare(args.node, args.package))
    differ = 0
    for scenario in SCENARIOS:
        one, other = direct[scenario], proxied[scenario]
        passed = [sum(status == "SUCCESS" for _, status in checks) for checks in (one, other)]
        mark = "equal" if one == other and one else "DIFFERS" if one else "NOT RUN"
        differ += mark != "equal"
        print(f"{scenario:32} direct {passed[0]}/{len(one)}   through /mcp {passed[1]}/{len(other)}   {mark}")
        if one != other:
            print(f"    direct: {one}\n    /mcp:   {other}")
    print(f"{len(SCENARIOS) - differ} of {len(SCENARIOS)} scenarios equal")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
