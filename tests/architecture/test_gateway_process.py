# SPDX-License-Identifier: Apache-2.0
"""A process that only answers model calls loads nothing that only judges: arrays alone are 25 MB of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

APP = Path(__file__).parents[2] / "src/pilothouse/app"
HEAVY = ("numpy", "scipy", "pyarrow", "duckdb", "deltalake")


def imported_by(module: str) -> set[str]:
    """Return the modules of ours that a module imports, also those that it imports when it runs."""
    tree = ast.parse((APP / f"{module}.py").read_text())
    typing = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    for_types = {id(inner) for node in typing for inner in ast.walk(node)}
    return {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.startswith("pilothouse.")
        and id(node) not in for_types
    }


def test_the_process_of_the_gateway_loads_no_arrays_and_no_tables():
    modules = sorted(imported_by("gateway_process") | imported_by("gateway") | imported_by("runs"))
    modules = [one for one in modules if "replay" not in one]  # a command of its own, never this process
    assert "pilothouse.workflows.gateway.directory" in modules
    code = f"import sys, {', '.join(modules)}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
