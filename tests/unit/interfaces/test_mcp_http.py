# SPDX-License-Identifier: Apache-2.0
"""`/mcp` with the official client on both sides: known by a key, decided, recorded, and nothing else passes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from mcp_site import client_of, mcp_site

from pilothouse.app.boundary import audit_log
from pilothouse.errors import UsageError
from pilothouse.interfaces.http.mcp import OPENING_BYTES_MAX
from pilothouse.runtime.tools.mcp_metadata import TASK_HEADER
from pilothouse.runtime.tools.mcp_servers import read_addresses

pytestmark = pytest.mark.slow

RUN = "a" * 32


def on_site(work, tmp_path, **server):
    async def main():
        async with mcp_site(tmp_path, **server) as (site, erp, origin):
            return await work(site, erp, origin)

    return asyncio.run(main())


def decisions(site):
    log = audit_log(site.ledger, site.settings)
    return [one for one in log.records() if one.kind == "call.decided"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_key_names_the_agent_and_each_call_is_decided_and_recorded(tmp_path, mode):
    async def work(site, erp, origin):
        async with client_of(origin, site.key(), mode=mode, x_pilothouse_task_type="po_invoice") as client:
            listed = await client.list_tools()
            steps = []

            async def on_progress(*said):
                steps.append(said)

            found = await client.call_tool("find_po@1", {"po_number": "steps"}, progress_callback=on_progress)
            wrong = await client.call_tool("find_po@1", {"po_number": 7})
            asked = await client.call_tool(
                "route_invoice@1", {"document": "D-1", "queue": "approval", "po_number": ""}
            )
        return listed, found, steps, wrong, asked, erp.calls

    listed, found, steps, wrong, asked, calls = on_site(work, tmp_path)
    assert sorted(tool.name for tool in listed.tools) == ["find_po_V1", "route_invoice_V1"]
    assert found.structured_content == {"po": "steps", "done": "find"}
    assert found.meta["erp/row"] == 7
    assert steps == [(1, 2, "half")]
    assert wrong.structured_content["error"] == "invalid_input"
    assert asked.structured_content["error"] == "held"
    assert calls == [("find", {"po_number": "steps"})]


def test_what_has_no_key_gets_no_further(tmp_path):
    async def work(site, _erp, origin):
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        stranger = site.key("somebody-else")
        async with httpx2.AsyncClient() as http:

            async def ask(key="", path="/mcp", **more):
                said = {**headers, "x-api-key": key, **more}
                return await http.post(origin + path, json=ping, headers=said)

            good = site.key()
            return {
                "none": await ask(),
                "foreign": await ask("sk-proj-1"),
                "no charter": await ask(stranger),
                "page": await ask(good, origin="http://evil.example"),
                "no address": await ask(good, origin="http://["),
                "elsewhere": await ask(good, path="/mcp/else"),
                "good": await ask(good, origin=origin),
                "huge": await http.post(
                    f"{origin}/mcp", content=b"x" * (5 << 20), headers={**headers, "x-api-key": good}
                ),
            }

    answers = on_site(work, tmp_path)
    codes = {name: answer.status_code for name, answer in answers.items()}
    assert codes == {
        "none": 401,
        "foreign": 401,
        "no charter": 403,
        "page": 403,
        "no address": 403,
        "elsewhere": 404,
        "good": 200,
        "huge": 413,
    }
    assert "pilothouse key add" in answers["none"].json()["error"]["remedy"]


def test_an_opened_task_proves_what_its_requester_typed(tmp_path):
    async def work(site, erp, origin):
        key = site.key()
        opening = {
            "run": RUN,
            "task_type": "po_invoice",
            "requester": "ana",
            "segments": [{"text": "please route it", "source": "typed"}],
        }
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http:
            made = await http.post(f"{origin}/mcp/tasks", json=opening)
            twice = await http.post(f"{origin}/mcp/tasks", json=opening)
            broken = await http.post(f"{origin}/mcp/tasks", json={"task_type": "po_invoice"})
            long = {**opening, "segments": [{"text": "x" * OPENING_BYTES_MAX, "source": "quoted"}]}
            assert (await http.post(f"{origin}/mcp/tasks", json=long)).status_code == 413
        call = "route_invoice@1", {"document": "D-1", "queue": "approval", "po_number": ""}
        async with client_of(origin, key, **{TASK_HEADER: made.json()["token"]}) as client:
            asked = await client.call_tool(*call)
        async with client_of(origin, key, **{TASK_HEADER: "forged"}) as client:
            forged = await client.call_tool(*call)
        before = len(decisions(site))
        trace = {"traceparent": f"00-{RUN}-{'b' * 16}-01"}
        async with client_of(origin, key, x_pilothouse_task_type="po_invoice", **trace) as client:
            nameless = await client.call_tool("find_po@1", {"po_number": "PO-1"})
        assert nameless.structured_content["error"] == "permission"
        assert TASK_HEADER in nameless.structured_content["advice"]
        assert len(decisions(site)) == before
        return made, twice, broken, asked, forged, erp.calls, decisions(site)

    made, twice, broken, asked, forged, calls, decided = on_site(work, tmp_path)
    assert (made.status_code, twice.status_code, broken.status_code) == (201, 409, 422)
    assert made.json()["run"] == RUN
    assert asked.structured_content["error"] == "held"
    assert forged.structured_content["error"] == "permission"
    assert len(decided) == 1
    assert RUN in decided[0].text
    assert calls == []


def test_a_task_is_opened_by_a_whole_request_only(tmp_path):
    opening = {"run": RUN, "task_type": "po_invoice", "requester": "ana", "segments": []}
    body = json.dumps(opening).encode()

    async def work(site, _erp, origin):
        key, (host, port) = site.key(), origin.removeprefix("http://").split(":")
        head = f"POST /mcp/tasks HTTP/1.1\r\nhost: {host}:{port}\r\nx-api-key: {key}\r\ncontent-length: {len(body) + 1}"
        _reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}\r\n\r\n".encode() + body)
        await writer.drain()
        await asyncio.sleep(0.5)
        writer.close()
        await asyncio.sleep(0.5)
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http:
            return await http.post(f"{origin}/mcp/tasks", content=body)

    assert on_site(work, tmp_path).status_code == 201


def test_a_caller_that_gives_up_is_given_up_at_the_server_too(tmp_path):
    async def work(site, erp, origin):
        async with client_of(origin, site.key(), x_pilothouse_task_type="po_invoice") as client:
            going = asyncio.create_task(client.call_tool("find_po@1", {"po_number": "slow"}))
            await asyncio.wait_for(erp.waits.wait(), 20.0)
            going.cancel()
            await asyncio.wait_for(erp.given_up.wait(), 20.0)
            return await client.call_tool("find_po@1", {"po_number": "next"})

    assert on_site(work, tmp_path).structured_content["po"] == "next"


def test_a_changed_charter_holds_from_the_next_request_on(tmp_path):
    async def work(site, erp, origin):
        key = site.key()
        async with client_of(origin, key, x_pilothouse_task_type="po_invoice") as client:
            before = await client.list_tools()
            folder = tmp_path / "charter"
            text = (folder / "charter.yaml").read_text(encoding="utf-8")
            begin, end = text.index("  route_invoice@1:"), text.index("  escalate@1:")
            (folder / "charter.yaml").write_text(text[:begin] + text[end:], encoding="utf-8")
            site.accept(folder / "charter.yaml")
            after = await client.list_tools()
        return [sorted(tool.name for tool in one.tools) for one in (before, after)]

    assert on_site(work, tmp_path) == [["find_po_V1", "route_invoice_V1"], ["find_po_V1"]]


def test_a_credential_reaches_its_system_and_nothing_else(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("erp-canary-81f2c7", encoding="utf-8")

    async def work(site, erp, origin):
        erp.accepts = "Bearer erp-canary-81f2c7"
        seen = {}

        async def find(name, number="PO-1"):
            async with client_of(origin, key, x_pilothouse_task_type="po_invoice") as client:
                answer = await client.call_tool("find_po@1", {"po_number": number})
            seen[name] = answer.structured_content

        key = site.key()
        await find("unknown")
        site.credential("erp-read", file=secret, host="elsewhere.example:443")
        await asyncio.sleep(1.1)
        await find("for another host")
        site.credential("erp-read", file=secret, host=site.erp_host)
        await asyncio.sleep(1.1)
        await find("good")
        await find("sent back", "echo")
        secret.write_text("erp-canary-other", encoding="utf-8")
        await find("not accepted")
        secret.write_text("erp-canary-81f2c7", encoding="utf-8")
        last = datetime(2026, 1, 1, tzinfo=UTC)
        site.credential(
            "erp-read", file=secret, host=site.erp_host, expires_at=last, now=last - timedelta(days=9)
        )
        await asyncio.sleep(1.1)
        await find("expired")
        return seen, erp.headers, site.notes

    seen, headers, notes = on_site(work, tmp_path, headers={"Authorization": "Bearer ${credential:erp-read}"})
    assert {name: one.get("error") for name, one in seen.items()} == {
        "unknown": "auth",
        "for another host": "auth",
        "good": None,
        "sent back": None,
        "not accepted": "auth",
        "expired": "auth",
    }
    assert seen["sent back"]["po"] == "you sent Bearer [credential erp-read]"
    assert {one["authorization"] for one in headers} == {"Bearer erp-canary-81f2c7"}
    assert [note.partition(": ")[2] for note in notes] == [
        "nobody has said where it stands",
        f"it is not for {headers[0]['host']}",
        "the system does not accept it",
        "it expired on 1 Jan 2026",
    ]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert b"erp-canary" not in kept


@pytest.mark.parametrize(
    ("url", "headers", "said"),
    [
        ("https://erp.example/mcp", {"Authorization": "Bearer abc"}, "holds a secret"),
        ("https://erp.example/mcp", {"X-Any": "sk-proj-0123456789abcdef0123"}, "holds a secret"),
        ("http://erp.example/mcp", {"Authorization": "Bearer ${credential:erp}"}, "without TLS"),
    ],
)
def test_a_list_of_servers_with_a_secret_in_it_is_refused(url, headers, said):
    document = {"mcpServers": {"erp": {"url": url, "headers": headers}}}
    with pytest.raises(UsageError, match=said):
        read_addresses(document, file="mcp-servers.json")


def test_a_task_outlives_a_change_of_the_charter(tmp_path):
    async def work(site, erp, origin):
        key = site.key()
        opening = {
            "task_type": "po_invoice",
            "requester": "ana",
            "segments": [{"text": "please find PO-1", "source": "typed"}],
        }
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http:
            token = (await http.post(f"{origin}/mcp/tasks", json=opening)).json()["token"]
        async with client_of(origin, key, **{TASK_HEADER: token}) as client:
            await client.call_tool("find_po@1", {"po_number": "PO-1"})
            folder = tmp_path / "charter"
            text = (folder / "charter.yaml").read_text(encoding="utf-8")
            begin, end = text.index("  route_invoice@1:"), text.index("  escalate@1:")
            (folder / "charter.yaml").write_text(text[:begin] + text[end:], encoding="utf-8")
            site.accept(folder / "charter.yaml")
            return await client.call_tool("find_po@1", {"po_number": "PO-2"})

    assert on_site(work, tmp_path).structured_content == {"po": "PO-2", "done": "find"}


def test_a_contract_that_is_not_the_pinned_one_is_named_in_the_answer(tmp_path):
    """Over HTTP the agent's author reads nothing else; the words alone that they differ name neither tool nor difference."""

    async def work(site, _erp, origin):
        contract = tmp_path / "charter" / "contracts" / "find_po.json"
        contract.write_text(contract.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        opening = {"task_type": "po_invoice", "requester": "ana"}
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {site.key()}"}) as http:
            return await http.post(f"{origin}/mcp/tasks", json={**opening, "segments": []})

    answer = on_site(work, tmp_path)
    assert answer.status_code == 403
    said = answer.json()["error"]["message"]
    assert "charter and tool contracts do not agree: tools.find_po@1: the contract file is sha256:" in said
    assert "pinned is sha256:" in said
