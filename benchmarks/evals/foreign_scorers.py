# SPDX-License-Identifier: Apache-2.0
"""Scorers of autoevals, Inspect, pydantic-evals, DeepEval and Ragas in one run, beside what each gives alone.

`python benchmarks/evals/foreign_scorers.py --peers FOLDER` installs them there once, into one environment with
Pilothouse (needs a package index), and runs the contract test in it. Exit 1 when a value differs by more than 1e-9.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARIES = ("autoevals", "inspect-ai==0.3.285", "pydantic-evals==2.62.0", "deepeval==4.3.1", "ragas")
NEEDED_BY_RAGAS = "langchain-community<0.4"
"""Ragas 0.4.3 imports a module that later releases no longer have, and does not say so."""

NEEDED_BY_TESTS = ("pytest>=9", "pytest-timeout", "hypothesis")


def prepare(folder: Path) -> Path:
    """Make the environment, once."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                *LIBRARIES,
                NEEDED_BY_RAGAS,
                *NEEDED_BY_TESTS,
                "-e",
                ROOT,
            ],
            check=True,
        )
    return python


def main() -> int:
    """Run the contract; a library that is not there would be skipped, so skips fail here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="folder for the environment")
    python = prepare(parser.parse_args().peers.absolute() / "scorers")
    done = subprocess.run(
        [
            python, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:asyncio", "-o", "addopts=--import-mode=importlib -rs",
            "tests/contract/test_foreign_scorers.py",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    print(done.stdout)
    names = ", ".join(one.split("=")[0] for one in LIBRARIES)
    print(subprocess.run(
        [python, "-c", "import sys; from importlib.metadata import version as v; print(*(f'{n} {v(n)}' for n in sys.argv[1:]), sep=', ')",
         *(one.split("=")[0] for one in LIBRARIES)], capture_output=True, text=True, check=True,
    ).stdout.strip())  # fmt: skip
    if done.returncode or "SKIPPED" in done.stdout:
        print(f"missed: not every scorer of {names} gave its own value")
        return 1
    print("all values equal to native to 1e-9, five libraries in one run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
