# SPDX-License-Identifier: Apache-2.0
"""CPU of one tool call through the door, beside the bare function, and what of it is what."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "stubs"))


def cpu_us(work, calls, blocks=5):
    work(200)
    found = []
    for _ in range(blocks):
        began = time.process_time_ns()
        work(calls)
        found.append((time.process_time_ns() - began) / calls / 1_000)
    return statistics.median(found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2_000)
    calls = parser.parse_args().calls

    from tool_world import ARGS, Kept, governed, tool_call

    from pilothouse.app.opening import SystemClock
    from pilothouse.app.runs import open_run_log
    from pilothouse.core.charter.systems import Tool
    from pilothouse.ledger.audit import SqlAuditLog
    from pilothouse.ledger.audit_keys import load_keys
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.ledger.permission_book import SqlPermissionBook
    from pilothouse.ledger.steady_clock import SteadyClock
    from pilothouse.ledger.tool_calls import SqlToolCalls
    from pilothouse.ports.approvals import UsedSoFar
    from pilothouse.ports.controls import ControlState
    from pilothouse.runtime.permissions.desk import PermissionDesk, PolicyInForce
    from pilothouse.runtime.permissions.engine import CompiledTool
    from pilothouse.runtime.permissions.guard import PermissionGuard
    from pilothouse.runtime.sdk import recorder
    from pilothouse.runtime.sdk.opening import set_runtime
    from pilothouse.runtime.sdk.tool import tool
    from pilothouse.runtime.tools.door import Door
    from pilothouse.runtime.tools.guards import PauseGuard
    from pilothouse.runtime.tools.pipeline import call_through
    from pilothouse.runtime.tools.recording import RunRecord
    from pilothouse.runtime.tools.runtime import ToolRuntime
    from pilothouse.runtime.tools.steps import drive, drive_async
    from pilothouse.settings import load_settings

    class Few(Kept):
        def after(self, record):
            self.records[:] = [record]

        def before(self, call):
            self.announced[:] = [call]

    class Book:
        """Decides in memory: what a disk costs is the audit log's benchmark."""

        def settle(self, _proposal, decide):
            return decide(UsedSoFar())

        def follow(self, _proposal, _decision):
            return True

    class Running:
        """A kill switch that stops nothing."""

        def state(self):
            return ControlState()

    limits = {"rate_per_s": 10.0**6, "burst": 1_000, "polling": True, "breaker": {"slow_after_s": 1.0}}
    governed_tool = governed(**limits)
    runs = iter(f"{number:032x}" for number in range(10**9))
    neutral = {"role": "neutral", "type": "text"}
    policy = Tool.model_validate(
        {
            "integration": "erp",
            "effect": "read",
            "task_types": ("po_invoice",),
            "contract": "c.json",
            "manifest_hash": "sha256:" + "0" * 64,
            "args": {"invoice_id": neutral, "queue": neutral},
            "examples": {"allow": (), "deny": ()},
        }
    )
    compiled = {governed_tool.name: CompiledTool(governed_tool.name, policy)}
    desk = PermissionDesk(
        PolicyInForce(agent="triage", tools=compiled, charter="charter-1", policy="policy-1"), Book()
    )
    door = Door(guards=(PauseGuard(Running()), PermissionGuard(desk)), observers=(Few(),))
    answer = {"ok": True}

    def blocking(count):
        for _ in range(count):
            drive(call_through(door, governed_tool, tool_call(governed_tool, run=next(runs))), lambda: answer)

    def asynchronous(count):
        async def function():
            return answer

        async def go():
            for _ in range(count):
                await drive_async(
                    call_through(door, governed_tool, tool_call(governed_tool, run=next(runs))), function
                )

        asyncio.run(go())

    recorder._SINK[:] = [recorder.Recorder("http://127.0.0.1:9", {})]
    set_runtime(
        ToolRuntime(
            agent="triage",
            version="v1",
            tools={governed_tool.name: governed_tool},
            door=door,
        )
    )

    @tool("erp.route@1")
    def route(**_fields):
        return answer

    @tool("erp.route@1")
    async def route_async(**_fields):
        return answer

    def sdk(count):
        for _ in range(count):
            route(**ARGS)

    def sdk_async(count):
        async def go():
            for _ in range(count):
                await route_async(**ARGS)

        asyncio.run(go())

    held = ExitStack()
    settings = load_settings(home=Path(held.enter_context(TemporaryDirectory())))
    ledger = held.enter_context(open_ledger(settings.ledger_url))
    log = SqlAuditLog(ledger.database, load_keys(settings.keys_folder), SystemClock())
    book = SqlPermissionBook(log, SteadyClock(SystemClock(), None))
    disk_desk = PermissionDesk(
        PolicyInForce(agent="triage", tools=compiled, charter="charter-1", policy="policy-1"), book
    )
    on_disk = Door(
        guards=(PauseGuard(Running()), PermissionGuard(disk_desk)),
        observers=(RunRecord(held.enter_context(open_run_log(settings))),),
        store=SqlToolCalls(ledger.database, log.keys.wrapper),
    )
    held.callback(book.close)

    def kept(count):
        async def function():
            return answer

        async def go():
            for _ in range(count):
                call = tool_call(governed_tool, run=next(runs))
                await drive_async(call_through(on_disk, governed_tool, call), function)
                # An agent waits for its tools and its model: without that, records wait longer than the writer may.
                if len(book._following._waiting) > 2_000:
                    await asyncio.sleep(0.3)

        asyncio.run(go())
        while book._following._waiting:
            time.sleep(0.05)

    def spans_only(count):
        out = recorder._SINK[0]
        for _ in range(count):
            _, _, opened = out.open("execute_tool", None)
            out.close(opened, "execute_tool", failed=False, attributes={"a": "b", "c": "d" * 300})

    def otel(count):
        from opentelemetry.sdk.trace import TracerProvider

        tracer = TracerProvider().get_tracer("x")
        for _ in range(count):
            with tracer.start_as_current_span("execute_tool") as span:
                span.set_attributes({"a": "b", "c": "d" * 300})

    rows = [
        ("bare function call", lambda count: [answer for _ in range(count)]),
        ("door, asynchronous function", asynchronous),
        ("door, blocking function (handed to a thread, so that it can be left behind)", blocking),
        ("@tool, asynchronous, span and door", sdk_async),
        ("@tool, blocking, span and door", sdk),
        ("door, asynchronous, decisions and run log on disk", kept),
        ("our span alone", spans_only),
        ("OpenTelemetry SDK span alone, no processor", otel),
    ]
    figures = {name: cpu_us(work, calls) for name, work in rows}
    held.close()
    width = max(map(len, figures))
    for name, figure in figures.items():
        print(f"{name:<{width}}  {figure:8.1f} µs CPU")
    ours, theirs = figures["our span alone"], figures["OpenTelemetry SDK span alone, no processor"]
    print(f"our span / OpenTelemetry's: {ours / theirs:.2f}")
    limit = 150.0
    worst = max(figure for name, figure in figures.items() if name.startswith("@tool"))
    print(f"worst @tool {worst:.0f} µs, limit {limit:.0f} µs: {'holds' if worst <= limit else 'MISSED'}")
    imports = []
    for code in ("import pilothouse; pilothouse.tool", "import opentelemetry.trace", "pass"):
        done = [
            json.loads(
                subprocess.run(
                    [
                        sys.executable,
                        "-c",
                        f"import time; b=time.process_time()\n{code}\nprint(time.process_time()-b)",
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(5)
        ]
        imports.append(min(done) * 1_000)
    print(f"import of what agents use: {imports[0]:.1f} ms CPU; opentelemetry.trace: {imports[1]:.1f} ms")


if __name__ == "__main__":
    main()
