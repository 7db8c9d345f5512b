# SPDX-License-Identifier: Apache-2.0
"""Our runner beside other harnesses on the same stub, each in its own environment; one table and the ratios.

`python benchmarks/evals/run.py --peers FOLDER` installs the peers there once (needs a package index) and reuses
them. Without --peers only the bare loop and ours run. CPU per case is the robust number on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PEERS = {
    "pydantic_evals": ("pydantic-evals==2.62.0", "aiohttp"),
    "inspect_ai": ("inspect-ai==0.3.285", "openai"),
    "deepeval": ("deepeval==4.3.1", "aiohttp"),
}
LATENCY_S = 0.05
AT_ONCE = 50
CPU_MS_MAX = 1.5
CASES_PER_S_MIN = 500
RSS_MB_MAX = 100


def prepare(name: str, folder: Path) -> Path:
    """Make the environment of a peer, once."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        venv.create(folder / name, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS[name]], check=True)
    return python


def run(python: Path | str, name: str, url: str, cases: int) -> dict:
    """Run a harness in its own process."""
    done = subprocess.run(
        [python, HERE / "harnesses.py", name, url, str(cases), str(AT_ONCE)],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"harness": name, "error": done.stderr.strip().splitlines()[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1]) | {"cases": cases}


def show(row: dict, ours: dict | None) -> dict:
    """Print one row as soon as it is there; return it."""
    if "error" in row:
        print(f"{row['harness']:<16} failed: {row['error']}", flush=True)
        return row
    ratio = row["cpu_ms_per_case"] / (ours or row)["cpu_ms_per_case"]
    print(
        f"{row['harness']:<16}{row['cases']:>7}{row['good']:>7}{row['cases'] / row['seconds']:>9.0f}"
        f"{row['cpu_ms_per_case']:>13.2f}{row['rss_mb']:>8.0f}{ratio:>17.1f}",
        flush=True,
    )
    return row


def main() -> int:
    """Print the table; exit 1 when a bar of ours is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="folder for the peers' environments")
    parser.add_argument("--cases", type=int, default=1000)
    options = parser.parse_args()
    stub = subprocess.Popen(
        [sys.executable, HERE / "stub.py", str(LATENCY_S)], stdout=subprocess.PIPE, text=True
    )
    print(f"stub {1000 * LATENCY_S:.0f} ms, {AT_ONCE} connections; times include imports")
    print(
        f"{'harness':<16}{'cases':>7}{'right':>7}{'cases/s':>9}{'CPU ms/case':>13}{'RSS MB':>8}{'CPU, times ours':>17}",
        flush=True,
    )
    try:
        url = stub.stdout.readline().strip()
        ours = show(run(sys.executable, "pilothouse", url, options.cases), None)
        many = show(run(sys.executable, "pilothouse", url, 10 * options.cases), ours)
        show(run(sys.executable, "bare", url, options.cases), ours)
        for name in PEERS if options.peers else ():
            show(run(prepare(name, options.peers), name, url, options.cases), ours)
    finally:
        stub.kill()
    if "error" in ours or "error" in many:
        return 1
    missed = [
        text
        for text, bad in (
            (f"CPU at most {CPU_MS_MAX} ms a case", ours["cpu_ms_per_case"] > CPU_MS_MAX),
            (f"at least {CASES_PER_S_MIN} cases/s", ours["cases"] / ours["seconds"] < CASES_PER_S_MIN),
            (f"at most {RSS_MB_MAX} MB at {many['cases']} cases", many["rss_mb"] > RSS_MB_MAX),
            ("every answer scored right", ours["good"] != ours["cases"]),
        )
        if bad
    ]
    print("all bars met" if not missed else "missed: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
