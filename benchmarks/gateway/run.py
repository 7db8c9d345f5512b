# SPDX-License-Identifier: Apache-2.0
"""The gateway beside the direct call, a bare proxy and two peers: added latency, CPU per request, memory.

Every system gets the same provider, the same requests and the same clients, in turns. Ours is
`pilothouse up --role gateway` as a user starts it, with a charter in force (pin, budget) and the run log on.
CPU and memory of a system are those of its process, background threads included, and of all that it starts. Every request begins a run of its own,
which is the most that the run log can be asked for.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
MODEL = "acme-large-2026-04-12"
AGENT = "ap-invoice-triage"
TICK = os.sysconf("SC_CLK_TCK")
CHAT = "/v1/chat/completions"
MARKS = itertools.count()
SOAK_STEPS = 50
CORES = {"system": None, "others": None}
"""Where what is measured runs and where everybody else does; None for wherever the kernel likes. See `pin`."""


def pin():
    """Give what is measured a core of its own, and another one to client and provider."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("--pinned needs two cores")
    CORES["system"], CORES["others"] = {cores[0]}, {cores[1]}
    os.sched_setaffinity(0, CORES["others"])


def started(words, **named):
    """Start a system on its core; what it starts itself stays there."""
    if CORES["system"] is None:
        return subprocess.Popen(words, **named)
    os.sched_setaffinity(0, CORES["system"])  # it begins where its parent is, with every thread that it makes
    try:
        return subprocess.Popen(words, **named)
    finally:
        os.sched_setaffinity(0, CORES["others"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, said=None, timeout_s=240):
    """Wait until somebody listens; a peer takes a minute of CPU to start, and one that ends says why in its file `said`."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    status = process.poll()
    process.kill()
    told = "" if said is None else said.read_text(errors="replace")[-2_000:]
    raise SystemExit(f"nothing listens on {port} (status {status})\n{told}")


def tree(pid):
    """Return a process and those that it has started, which are part of what it costs."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


def cpu_s(pid):
    total = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mb(pid):
    """Return the memory of a process, and what those that it has started hold for themselves beside it."""
    first, *others = tree(pid)
    shown = Path(f"/proc/{first}/status").read_text().splitlines()
    for one in others:
        shown += Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
    kept = [line.split() for line in shown if line.startswith(("VmRSS:", "Private_"))]
    return sum(int(words[1]) for words in kept) / 1024


class System:
    """A running process that answers model calls."""

    def __init__(self, name, port, process, *, path=CHAT, key="none", headers=None):
        self.name, self.port, self.process = name, port, process
        self.path, self.key, self.headers = path, key, headers or {}

    def load(self, *, requests, clients=1, stream=False, rate=None, chunks=None):
        plan = {
            "port": self.port,
            "path": self.path,
            "key": self.key,
            "headers": self.headers,
            "model": MODEL,
            "requests": requests,
            "clients": clients,
            "stream": stream,
            "rate": rate,
            "chunks": chunks,
            "mark": chr(97 + next(MARKS) % 26),
        }
        before = cpu_s(self.process.pid)
        out = subprocess.run(
            [sys.executable, str(HERE / "load.py"), json.dumps(plan)], capture_output=True, check=True
        ).stdout
        found = json.loads(out)
        if set(found["statuses"]) != {"200"}:
            raise SystemExit(f"{self.name} answered {found['statuses']}")
        time.sleep(2.0)  # what is still written in the background is part of the cost
        found["cpu_ms"] = (cpu_s(self.process.pid) - before) * 1e3 / requests
        return found


def start_upstream():
    process = subprocess.Popen([sys.executable, str(HERE / "upstream.py")], stdout=subprocess.PIPE)
    return System("direct", int(process.stdout.readline()), process)


def start_bare(upstream, folder=None):
    """Start the least proxy; with a folder it keeps a run log there as ours does, and nothing else."""
    port = free_port()
    words = [str(HERE / "bare.py"), str(upstream.port), str(port), *([] if folder is None else [str(folder)])]
    process = started([sys.executable, *words])
    wait_for(port, process)
    return System("bare proxy" if folder is None else "bare + run log", port, process)


def start_floor(upstream):
    """Start what only joins sockets: what a chunk of a stream costs below it is the kernel's."""
    port = free_port()
    process = started([sys.executable, str(HERE / "floor.py"), str(upstream.port), str(port)])
    wait_for(port, process)
    return System("kernel alone", port, process)


def start_ours(upstream, folder, *, role, program=None):
    """Start `pilothouse up` with a charter in force: pin, budget, run log.

    As `gateway` it is the process that a call goes through, nothing else; the agent has telemetry of its own. As `all`
    it is everything in one process: lake, ledger, pages, background work, and a span for each call.
    """
    port, home = free_port(), folder / f"home-{role}"
    charter = folder / f"charter-{role}"
    shutil.copytree(REPOSITORY / "src/pilothouse/demo/charter", charter)
    command = [str(Path(sys.executable).with_name("pilothouse"))]
    env = {**os.environ, "PILOTHOUSE_HOME": str(home), "ACME_KEY": "sk-none"}

    def run(*words):
        return subprocess.run([*command, *words], env=env, check=True, capture_output=True, text=True).stdout

    text = (charter / "charter.yaml").read_text()
    limits = "  limits: {usd_per_day: 1000000, tokens_per_day: 100000000000, calls_per_run: 50}\n"
    text = text.replace("  require_evidence: true\n", f"  require_evidence: true\n{limits}", 1)
    text = re.sub(r"(?m)^guardrails:.*", 'guardrails: "?"', text)
    (charter / "charter.yaml").write_text(text)
    address = f"http://127.0.0.1:{upstream.port}/v1"
    run("provider", "add", "acme", address, "--credential-env", "ACME_KEY", "--region", "eu")
    run("price", "acme", MODEL, "--input", "1", "--output", "4", "--source", "benchmark")
    key = run("key", "add", AGENT, *(["--no-spans"] if role == "gateway" else [])).strip()
    words = [
        "--role",
        role,
        "--port",
        str(port),
        "--grpc-port",
        "0",
        "--charter",
        str(charter / "charter.yaml"),
    ]
    process = started([*(program or command), "up", *words], env=env, stderr=subprocess.DEVNULL)
    wait_for(port, process)
    time.sleep(3)
    name = {"gateway": "pilothouse", "all": "all in one"}[role]
    return System(name, port, process, path=f"/gw{CHAT}", key=key)


def start_litellm(upstream, binary, folder):
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        json.dumps(
            {
                "model_list": [
                    {
                        "model_name": MODEL,
                        "litellm_params": {
                            "model": f"openai/{MODEL}",
                            "api_base": f"http://127.0.0.1:{upstream.port}/v1",
                            "api_key": "none",
                        },
                    }
                ]
            }
        )
    )
    # Without a key of its own it refuses to start; its list of prices would come from the network.
    key = f"sk-{secrets.token_hex(32)}"
    env = {**os.environ, "LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    words = [binary, "--config", str(config), "--port", str(port), "--num_workers", "1"]
    process = start_peer(words, said := folder / "litellm.log", env=env)
    wait_for(port, process, said)
    time.sleep(5)
    return System("LiteLLM 1.109.1", port, process, key=key)


def start_peer(words, said, env=None):
    with said.open("w") as out:
        return started(words, stdout=out, stderr=out, env=env)


def start_portkey(upstream, folder, scratch):
    port = free_port()
    node = Path(folder) / "node_modules/node/bin/node"
    node = str(node) if node.exists() else "node"
    script = Path(folder) / "node_modules/@portkey-ai/gateway/build/start-server.js"
    process = start_peer([node, str(script), f"--port={port}", "--headless"], said := scratch / "portkey.log")
    wait_for(port, process, said)
    time.sleep(3)
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream.port}/v1",
    }
    return System("Portkey 1.15.2", port, process, headers=headers)


def measure(systems, *, requests, rounds):
    found = {system.name: {"one": [], "many": [], "half": [], "stream": []} for system in systems}
    for system in systems:
        system.load(requests=min(200, requests), clients=4)
    for _ in range(rounds):
        for system in systems:
            slow = "LiteLLM" in system.name
            count = requests // 10 if slow else requests
            row = found[system.name]
            row["one"].append(system.load(requests=count // 2))
            many = system.load(requests=count, clients=16)
            row["many"].append(many)
            rate = count / many["took_s"] / 2
            row["half"].append(system.load(requests=count // 2, clients=16, rate=rate))
            row["stream"].append(_stream(system, max(20, count // 20)))
    return found


def _stream(system, requests):
    """Measure streams; a peer that cannot pass ours on has no figure, ours must."""
    try:
        return system.load(requests=requests, clients=4, stream=True)
    except SystemExit as refused:
        if system.name in {"pilothouse", "all in one", "bare proxy", "kernel alone"}:
            raise
        print(f"no streams of {system.name}: {refused}")
        return {"cpu_ms": float("nan")}


def median(rows, name):
    return statistics.median(row[name] for row in rows)


def report(systems, found):
    base = found["direct"]["one"]
    print(
        f"{'system':18}{'p50 +ms':>9}{'p99 +ms':>9}{'half p99':>10}{'CPU ms':>9}{'req/core-s':>12}{'stream CPU ms':>15}{'RSS MB':>8}"
    )
    for system in systems:
        row = found[system.name]
        cpu = median(row["many"], "cpu_ms")
        print(
            f"{system.name:18}"
            f"{median(row['one'], 'p50_ms') - median(base, 'p50_ms'):9.2f}"
            f"{median(row['one'], 'p99_ms') - median(base, 'p99_ms'):9.2f}"
            f"{median(row['half'], 'p99_ms'):10.2f}{cpu:9.3f}{1e3 / cpu:12,.0f}"
            f"{median(row['stream'], 'cpu_ms'):15.2f}{rss_mb(system.process.pid):8.0f}"
        )
    ours = median(found["pilothouse"]["many"], "cpu_ms")
    for system in systems:
        if system.name not in {"pilothouse", "direct"}:
            print(f"CPU of {system.name} / ours: {median(found[system.name]['many'], 'cpu_ms') / ours:.2f}")


def stop(systems):
    """End what was started; what does not end is killed."""
    for system in systems:
        system.process.send_signal(signal.SIGTERM)
    for system in systems:
        try:
            system.process.wait(30)
        except subprocess.TimeoutExpired:
            system.process.kill()


def soak(system, requests):
    """Many requests in steps, with the memory after each: a leak is a slope."""
    step, seen = max(1, requests // SOAK_STEPS), []
    for _ in range(SOAK_STEPS):
        system.load(requests=step, clients=16)
        seen.append(rss_mb(system.process.pid))
        print(f"  {step * len(seen):>9,} requests  {seen[-1]:.0f} MB", flush=True)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000, help="requests of one block")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=int, default=200_000, help="requests of the memory run; 0 for none")
    parser.add_argument(
        "--pinned", action="store_true", help="a core for what is measured, one for all others"
    )
    parser.add_argument("--all-in-one", action="store_true", help="the server with everything in it, too")
    parser.add_argument("--bare-log", action="store_true", help="a bare proxy that keeps a run log, too")
    parser.add_argument("--litellm", help="path of a `litellm` program in an environment of its own")
    parser.add_argument("--portkey", help="folder with @portkey-ai/gateway in node_modules")
    options = parser.parse_args()
    if options.pinned:
        pin()
    systems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            upstream = start_upstream()
            ours = start_ours(upstream, folder, role="gateway")
            systems += [upstream, start_floor(upstream), start_bare(upstream), ours]
            if options.bare_log:
                systems.append(start_bare(upstream, folder / "bare-runs"))
            if options.all_in_one:
                systems.append(start_ours(upstream, folder, role="all"))
            if options.litellm:
                systems.append(start_litellm(upstream, options.litellm, folder))
            if options.portkey:
                systems.append(start_portkey(upstream, options.portkey, folder))
            report(systems, measure(systems, requests=options.requests, rounds=options.rounds))
            if options.soak:
                print(f"memory of pilothouse over {options.soak:,} requests")
                soak(ours, options.soak)
        finally:
            stop(systems)


if __name__ == "__main__":
    main()
