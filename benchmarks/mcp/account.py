# SPDX-License-Identifier: Apache-2.0
"""Where the CPU goes that the MCP proxy adds: a call's stages in the order it passes them, which add up to the whole.

Client, proxy and server share a thread and one call is under way at a time, so a mark at each door between two stages
divides the thread's CPU among them without a rest. What other threads use meanwhile (run log, decisions that follow) is
the process's CPU less the thread's. Medians of one run; `direct` is the same client and server without us.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import statistics
import time
from collections import defaultdict

import uvloop
from run import measure
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pilothouse.interfaces.http.joined_writes import _JoinedWrites
from pilothouse.runtime.gateway.connection import Connection
from pilothouse.runtime.permissions.desk import PermissionDesk
from pilothouse.runtime.tools import mcp_http, mcp_plain, mcp_stateless
from pilothouse.runtime.tools.mcp_proxy import McpProxy
from pilothouse.runtime.tools.recording import RunRecord

CLIENT = "client: make the request, read the answer"
SERVER = "second hop: the tool's own server"
STAGES = (
    CLIENT,
    "our server: read HTTP, a task for the request",
    "our server: route, know the key",
    "read the call: JSON, headers, the SDK's rules",
    "door: arguments, guards, slot, deadline, pin",
    "decide",
    "record",
    "upstream client: send the request",
    SERVER,
    "upstream client: read the answer",
    "check the answer against the revision",
    "make the answer",
    "our server: write HTTP",
)


class Marks:
    """Charges the thread's CPU since the last mark to the stage that was going on."""

    def __init__(self):
        self.take()

    def pass_to(self, stage):
        now = time.thread_time_ns()
        self.spent[self.stage] += now - self.at
        before, self.stage, self.at = self.stage, stage, time.thread_time_ns()
        return before

    def take(self):
        """Give what was spent since, and begin a call."""
        if self.stage is not None:
            self.pass_to(CLIENT)
        spent, self.spent = self.spent, defaultdict(int)
        self.stage, self.after_server, self.at = CLIENT, CLIENT, time.thread_time_ns()
        return spent

    stage, spent = None, None


MARKS, NEXT = Marks(), object()


def divide(owner, name, stage, then=None):
    """Mark where a function begins and where it ends: with `then`, or with the stage before where it is None.

    `stage` may be a function of whose function it is. `then` is `NEXT` where whoever is next marks the end.
    """
    inner = getattr(owner, name)

    def begin(args):
        return MARKS.pass_to(stage(args[0]) if callable(stage) else stage)

    def end(before):
        if then is not NEXT:
            MARKS.pass_to(then() if callable(then) else then or before)

    if inspect.iscoroutinefunction(inner):

        @functools.wraps(inner)
        async def marked(*args, **more):
            before = begin(args)
            try:
                return await inner(*args, **more)
            finally:
                end(before)
    else:

        @functools.wraps(inner)
        def marked(*args, **more):
            before = begin(args)
            try:
                return inner(*args, **more)
            finally:
                end(before)

    setattr(owner, name, marked)


def mark_all():
    """Put a mark at each door between two stages."""
    client, http, route, read, door, decide, record, _, server, back, check, make, write = STAGES

    def is_ours(protocol):
        return isinstance(protocol.transport, _JoinedWrites)

    divide(HttpToolsProtocol, "data_received", lambda self: http if is_ours(self) else server)
    divide(RequestResponseCycle, "run_asgi", lambda self: route if is_ours(self) else server, NEXT)
    divide(mcp_http, "_taken", client, route)
    divide(mcp_http, "read_plain", read)
    divide(McpProxy, "called", door, make)
    for name in ("decide_read", "observe", "filled"):
        divide(PermissionDesk, name, decide)
    for name in ("before", "after"):
        divide(RunRecord, name, record)
    divide(mcp_stateless.StatelessCalls, "call", _sending, door)
    divide(HttpToolsProtocol, "on_response_complete", server, lambda: MARKS.after_server)
    divide(Connection, "data_received", back, NEXT)
    divide(mcp_stateless, "serialize_server_result", check, back)
    divide(mcp_plain._Line, "say", write, client)


def _sending(_calls):
    MARKS.after_server = STAGES[9]
    return STAGES[7]


def begin():
    """Begin a call; the function that is returned ends it and says what each stage and the process took, ns."""
    MARKS.take()
    cpu = time.process_time_ns()
    return lambda: (MARKS.take(), time.process_time_ns() - cpu)


def middle(pairs):
    """Return the median of each stage and of the whole, us."""
    stages = {one: statistics.median(spent[one] for spent, _ in pairs) / 1e3 for one in STAGES}
    others = statistics.median(cpu - sum(spent.values()) for spent, cpu in pairs) / 1e3
    return stages, others, statistics.median(cpu for _, cpu in pairs) / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    calls = parser.parse_args().calls
    mark_all()
    took = uvloop.run(measure(calls, begin))
    (direct, direct_others, direct_all), (proxied, others, whole) = map(middle, took.values())
    print(f"{'us of CPU, medians of ' + str(calls):54}{'direct':>9}{'through /mcp':>14}")
    for stage in STAGES:
        print(f"{stage:54}{direct[stage]:9.0f}{proxied[stage]:14.0f}")
    print(f"{'other threads: run log, decisions that follow':54}{direct_others:9.0f}{others:14.0f}")
    print(f"{'together':54}{sum(direct.values()) + direct_others:9.0f}{sum(proxied.values()) + others:14.0f}")
    print(f"{'measured as one':54}{direct_all:9.0f}{whole:14.0f}")


if __name__ == "__main__":
    main()
