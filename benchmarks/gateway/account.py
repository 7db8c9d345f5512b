# SPDX-License-Identifier: Apache-2.0
"""Where the CPU of a call goes: an account by stage that adds up to what the processes used.

`python benchmarks/gateway/account.py` starts `pilothouse up --role gateway` as `run.py` does, with a clock of the answering
thread around each stage. A stage's time is its own: what it calls, and what runs while it waits, is somebody else's. What no
stage has is the loop's: reading sockets, waiting, handing on. The clock itself is measured and taken off.

`--rate 300` asks at that rate. What kept calls is told either way: stages that took more than a millisecond, whether they
worked or were kept from working, and how long the answering thread was ready to run and had no processor.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import types
from collections import defaultdict
from pathlib import Path

LOOP = "loop: sockets, waiting, callbacks"
BETWEEN = "gateway: the way between the stages"
PARSER = "provider: parse the answer"
PART = "stream: a part on its way"
WRITER = "process that writes the run log"

STAGES = {
    "server: read and parse the request": [
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.data_received"
    ],
    "server: a task and a cycle for each request": [
        "uvicorn.protocols.http.httptools_impl:RequestResponseCycle.run_asgi"
    ],
    "server: make the answer": [
        "uvicorn.protocols.http.httptools_impl:RequestResponseCycle.send",
        "pilothouse.interfaces.http.joined_writes:JoinedWritesProtocol.answer",
    ],
    "write to the client's socket": [
        "pilothouse.interfaces.http.joined_writes:_JoinedWrites.flush",
        "pilothouse.interfaces.http.joined_writes:_JoinedWrites.write_now",
    ],
    BETWEEN: ["pilothouse.runtime.gateway.gateway:Gateway.handle"],
    "admission: path, key, headers": [
        "pilothouse.runtime.gateway.gateway:find_place",
        "pilothouse.runtime.gateway.key_book:KeyBook.holder",
        "pilothouse.runtime.gateway.gateway:identify",
        "pilothouse.runtime.gateway.gateway:kept_request_headers",
    ],
    "run identity: read the conversation, find and learn": [
        "pilothouse.runtime.linkage:Conversation.__init__",
        "pilothouse.runtime.linkage:CallLinker.find",
        "pilothouse.runtime.linkage:CallLinker.learn",
    ],
    "pin, chain, window": [
        "pilothouse.runtime.gateway.gateway:read_request",
        "pilothouse.runtime.gateway.chain:ChainBuilder.members",
        "pilothouse.runtime.gateway.admission:ContextAdmission.admit",
        "pilothouse.runtime.gateway.admission:ContextAdmission.learn",
    ],
    "budget: reserve and settle": [
        "pilothouse.runtime.gateway.meter:Meter.reserve",
        "pilothouse.runtime.gateway.meter:Meter.settle",
    ],
    "attempts: limits, breaker, retries": ["pilothouse.runtime.gateway.exchange:Exchange.run"],
    "provider: connection, head": ["pilothouse.runtime.gateway.upstream:Upstream.open"],
    "write to the provider's socket": ["pilothouse.runtime.gateway.connection:Connection.send"],
    PARSER: ["pilothouse.runtime.gateway.connection:Connection.data_received"],
    "relay: model, usage, headers": ["pilothouse.runtime.gateway.relay:Relay.take"],
    PART: ["pilothouse.runtime.gateway.passage:Passage._take"],
    "stream: put together for the record": ["pilothouse.runtime.gateway.passage:Passage.finish"],
    "record: hand over to the writer": ["pilothouse.runtime.runlog.call_sink:RunLogSink.keep"],
}
LATE_S = 0.001


class Account:
    """CPU of one thread by stage."""

    def __init__(self) -> None:
        self.spent, self.calls = defaultdict(float), defaultdict(int)
        self.stack, self.last, self.wall = [LOOP], time.thread_time(), time.perf_counter()
        self.late = []

    def turn(self):
        now, wall = time.thread_time(), time.perf_counter()
        stage, worked = self.stack[-1], now - self.last
        self.spent[stage] += worked
        if wall - self.wall > LATE_S and (
            stage != LOOP or worked > LATE_S
        ):  # else the loop had nothing to do
            self.late.append((stage, wall - self.wall, worked))
        self.last, self.wall = now, wall

    def enter(self, stage):
        self.turn()
        self.calls[stage] += 1
        self.stack.append(stage)

    def leave(self):
        self.turn()
        self.stack.pop()

    def around(self, function, stage):
        """Return the function with the clock around it; one that waits is timed between its waits."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed(*args, **named):
                return await self.drive(function(*args, **named), stage)
        else:

            @functools.wraps(function)
            def timed(*args, **named):
                self.enter(stage)
                try:
                    return function(*args, **named)
                finally:
                    self.leave()

        return timed

    @types.coroutine
    def drive(self, coroutine, stage):
        step = functools.partial(coroutine.send, None)
        while True:
            self.enter(stage)
            try:
                waited_for = step()
            except StopIteration as over:
                return over.value
            finally:
                self.leave()
            try:
                step = functools.partial(coroutine.send, (yield waited_for))
            except BaseException as error:  # whatever the loop throws in
                step = functools.partial(coroutine.throw, error)

    def patch(self):
        for stage, places in STAGES.items():
            for place in places:
                module, _, name = place.partition(":")
                owner = importlib.import_module(module)
                *path, last = name.split(".")
                for part in path:
                    owner = getattr(owner, part)
                setattr(owner, last, self.around(getattr(owner, last), stage))

    def cost_s(self):
        """Return what the clock adds to the stage inside it and to the one around it, seconds a call."""
        probe = Account()
        timed, many = probe.around(lambda: None, "x"), 20_000
        for _ in range(many):
            timed()
        probe.turn()
        return probe.spent["x"] / many, probe.spent[LOOP] / many


def cpu_s(task, *, field=0):
    """Return what a thread has used, seconds, or with field 1 how long it was ready and had no processor."""
    return int(Path(f"{task}/schedstat").read_text().split()[field]) / 1e9


def serve(words):
    """Be the gateway, and write the account at each SIGUSR1."""
    from pilothouse.app import main

    account = Account()
    inside, around = account.cost_s()
    account.patch()
    account.last = time.thread_time()

    def tell(*_):
        account.turn()
        used = resource.getrusage(resource.RUSAGE_THREAD)
        threads = {thread.native_id: thread.name for thread in threading.enumerate()}
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for thread in threads:
            children += Path(f"/proc/self/task/{thread}/children").read_text().split()
        record = {
            "spent": account.spent,
            "calls": account.calls,
            "clock": [inside, around],
            "late": account.late,
            "ready": cpu_s(f"/proc/self/task/{os.getpid()}", field=1),
            "kernel": used.ru_stime,
            "threads": {name: cpu_s(f"/proc/self/task/{ident}") for ident, name in threads.items()},
            "writer": sum(
                cpu_s(task) for one in set(children) for task in Path(f"/proc/{one}/task").iterdir()
            ),
        }
        out = Path(os.environ["ACCOUNT"])
        out.with_suffix(".new").write_text(json.dumps(record))
        out.with_suffix(".new").replace(out)

    signal.signal(signal.SIGUSR1, tell)
    sys.argv = ["pilothouse", *words]
    main()


def taken(system, path):
    """Ask the gateway for its account."""
    path.unlink(missing_ok=True)
    system.process.send_signal(signal.SIGUSR1)
    while not path.exists():
        time.sleep(0.05)
    return json.loads(path.read_text())


def rows(before, after, requests):
    """Return the CPU of a call by stage of the answering thread, of that thread, and of whatever else worked for it, µs."""

    def per_call(one, other):
        return {name: (value - other.get(name, 0)) / requests * 1e6 for name, value in one.items()}

    spent, calls = per_call(after["spent"], before["spent"]), per_call(after["calls"], before["calls"])
    inside, around = after["clock"]
    for name in spent:
        spent[name] -= inside * calls.get(name, 0)
    # What the clock adds around a stage falls to whoever called it: the parser of what the provider says for a part of a
    # stream, the part for its write to the socket, the way between the stages for most others.
    parts = calls.get(PART, 0)
    for caller, times in ((PARSER, parts), (PART, parts), (BETWEEN, sum(calls.values()) - 2 * parts)):
        spent[caller] = spent.get(caller, 0.0) - around * times
    threads = per_call(after["threads"], before["threads"])
    thread = threads.pop("MainThread") - (inside + around) * sum(calls.values())
    writer = (after["writer"] - before["writer"]) / requests * 1e6
    return spent, thread, {**threads, WRITER: writer}


def table(before, after, requests, stream):
    spent, thread, others = rows(before, after, requests)
    kernel = (after["kernel"] - before["kernel"]) / requests * 1e6
    writer = others.pop(WRITER)
    print(f"| {'stream' if stream else 'whole answers'}: stage | µs a call |\n|---|---|")
    for name, value in sorted(spent.items(), key=lambda one: -one[1]):
        print(f"| {name} | {value:.0f} |")
    print(f"| **the thread that answers** (in the kernel {kernel:.0f}) | **{thread:.0f}** |")
    for name, value in sorted(others.items(), key=lambda one: -one[1]):
        if value >= 0.5:
            print(f"| thread {name} | {value:.0f} |")
    print(f"| {WRITER} | {writer:.0f} |")
    print(f"| **all** | **{thread + writer + sum(others.values()):.0f}** |")


def tell_late(before, after, requests):
    late = after["late"][len(before["late"]) :]
    at_work = [one for one in late if one[2] > one[1] / 2]
    lost = sum(wall - worked for _, wall, worked in late)
    ready = after["ready"] - before["ready"]
    print(
        f"\n{len(late)} stages of {requests} calls took more than 1 ms: {len(at_work)} at work, the others kept from it."
    )
    print(
        f"They were kept for {lost * 1e3:.0f} ms; the thread was ready without a processor for {ready * 1e3:.0f} ms in all."
    )
    for stage, wall, worked in sorted(at_work, key=lambda one: -one[2])[:5]:
        print(f"  at work {worked * 1e3:.1f} of {wall * 1e3:.1f} ms: {stage}")
    for stage, wall, worked in sorted(late, key=lambda one: one[2] - one[1])[:5]:
        print(f"  kept {(wall - worked) * 1e3:.1f} of {wall * 1e3:.1f} ms: {stage}")


def main():
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2:])
        return
    import run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--chunks", type=int, help="of a stream; else 52")
    parser.add_argument("--rate", type=float, help="requests a second; else as many as can be")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "account.json"
        os.environ["ACCOUNT"] = str(path)
        upstream = run.start_upstream()
        systems = [upstream, run.start_bare(upstream)]
        try:
            systems.append(
                run.start_ours(
                    upstream, Path(name), role="gateway", program=[sys.executable, __file__, "--serve"]
                )
            )
            bare, ours = systems[1:]
            asked = {
                "clients": options.clients,
                "stream": options.stream,
                "rate": options.rate,
                "chunks": options.chunks,
            }
            for system in (bare, ours):
                system.load(requests=400, clients=options.clients, stream=options.stream)
            least = bare.load(requests=options.requests, **asked)
            before = taken(ours, path)
            found = ours.load(requests=options.requests, **asked)
            after = taken(ours, path)
            table(before, after, options.requests, options.stream)
            tell_late(before, after, options.requests)
            print(
                f"\nbare proxy of the same run: {least['cpu_ms'] * 1e3:.0f} µs, p99 {least['p99_ms']:.1f} ms"
            )
            print(f"with the clocks around it p99 was {found['p99_ms']:.1f} ms")
        finally:
            run.stop(systems)


if __name__ == "__main__":
    main()
