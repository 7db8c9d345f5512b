# SPDX-License-Identifier: Apache-2.0
"""What the MCP proxy adds to a call over HTTP: the same client and server, once direct, once through `/mcp`, in turn.

Client, proxy and server share one process and one loop, of the kind that our server runs on. So the difference is
everything that the proxy costs: its HTTP server and client, contract, permission, record. Exit 1 when the median adds
more than 2 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "stubs"))

ADDED_MAX_MS = 2.0
CALLS_OF_A_TASK = 10


def stopwatch():
    """Begin a call; the function that is returned ends it and says what it took, wall and CPU, ms."""
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    return lambda: ((time.perf_counter_ns() - wall) / 1e6, (time.process_time_ns() - cpu) / 1e6)


async def measure(calls, begin=stopwatch):
    """Make each call direct and through `/mcp`, in turn; return what `begin` measured of each."""
    from mcp_site import client_of, mcp_site

    took = {"direct": [], "proxied": []}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            mcp_site(Path(folder)) as (site, _erp, origin),
            client_of(f"http://{site.erp_host}", "none") as direct,
            client_of(origin, site.key(), x_pilothouse_task_type="po_invoice") as proxied,
        ):
            doors = (("direct", direct, "find"), ("proxied", proxied, "find_po_V1"))
            for number in range(calls + 20):
                # A task of its own every few calls, as agents have them: what belongs to none is in no run log.
                meta = {"traceparent": f"00-{number // CALLS_OF_A_TASK + 1:032x}-{number + 1:016x}-01"}
                for name, client, tool in doors:
                    end = begin()
                    # Another number each time: the same call over and over is a loop, and loops end.
                    answer = await client.call_tool(tool, {"po_number": f"PO-{number}"}, meta=meta)
                    said = end()
                    assert not answer.is_error, answer
                    if number >= 20:
                        took[name].append(said)
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    took = uvloop.run(measure(parser.parse_args().calls))
    print(
        f"{'':10}{'p50 wall':>10}{'p95 wall':>10}{'p50 CPU':>10}   ms for one call, all parts in one process"
    )
    middle = {}
    for name, pairs in took.items():
        wall, cpu = sorted(one[0] for one in pairs), sorted(one[1] for one in pairs)
        middle[name] = (statistics.median(wall), statistics.median(cpu))
        print(f"{name:10}{middle[name][0]:10.2f}{wall[len(wall) * 95 // 100]:10.2f}{middle[name][1]:10.2f}")
    wall, cpu = (after - before for before, after in zip(middle["direct"], middle["proxied"], strict=True))
    times = middle["proxied"][1] / middle["direct"][1]
    print(f"{'added':10}{wall:10.2f}{'':10}{cpu:10.2f}   {times:.2f} times the CPU of a direct call")
    return int(cpu > ADDED_MAX_MS)


if __name__ == "__main__":
    sys.exit(main())
