# SPDX-License-Identifier: Apache-2.0
"""Imports point down only; vendors stay in the rooms that are named for them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import ROOT, modules

pytestmark = pytest.mark.xdist_group("source_tree")  # one worker reads and parses the tree, not each

LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"
LISTED = re.compile(r"^\| `(?P<package>[a-z0-9_.-]+)` \| (?P<rooms>[^|]+) \|", re.MULTILINE)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT_IMPORTS), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


PLANTED = {
    "core/charter/planted_os.py": "import os",
    "core/evidence/planted_verdict.py": "from pilothouse.core.verdict import verdict",
    "lake/planted_ledger.py": "from pilothouse import ledger",
    "interfaces/cli/planted_web.py": "from pilothouse.interfaces import web",
}


@pytest.mark.slow
def test_import_linter_names_each_planted_offence(tmp_path):
    """That the tree itself is clean is what `make lint` asks."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room, line in PLANTED.items():
        (tmp_path / "src" / "pilothouse" / room).write_text(f'"""Planted."""\n{line}\n', encoding="utf-8")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert [room for room in PLANTED if Path(room).stem not in done.stdout] == []


def rooms_by_package() -> dict[str, tuple[str, ...]]:
    text = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    return {
        match["package"]: tuple(room.strip(" `") for room in match["rooms"].split(","))
        for match in LISTED.finditer(text)
    }


def test_each_third_party_package_is_imported_only_in_its_rooms():
    allowed = rooms_by_package()
    assert allowed, "the table of dependencies was not found"
    offences = []
    for module in modules():
        for node in ast.walk(module.tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                if top in sys.stdlib_module_names or top == "pilothouse":
                    continue
                rooms = allowed.get(top)
                where = module.name.removeprefix("pilothouse.")
                if rooms is None:
                    offences.append(
                        f"{module.shown}:{node.lineno}: {top!r} is not in docs/decisions/0002-dependencies.md"
                    )
                elif not any(where == room or where.startswith(room + ".") for room in rooms):
                    offences.append(f"{module.shown}:{node.lineno}: {top!r} may be imported in {rooms} only")
    assert not offences, "\n".join(offences)


def test_the_command_tree_is_there_before_any_heavy_package():
    heavy = "{'numpy', 'scipy', 'pydantic', 'aiohttp', 'duckdb', 'sqlalchemy'}"
    code = f"import sys, pilothouse.app as app; app.command_tree(); print(sorted(set(sys.modules) & {heavy}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n", (
        "each command of each test and user would pay for it: import it where it is used"
    )


LATE = re.compile(
    r"^(?:import|from) (?:(?:anthropic|openai|scipy\.stats|scipy\.signal)\b.*|scipy import .*\b(?:stats|signal)\b.*)",
    re.MULTILINE,
)
"""Half a second to two of CPU each, which every worker would pay to collect what one of them runs."""


def test_no_worker_imports_a_heavy_client_to_collect_tests():
    """The core's tests need scipy all over, and have workers of their own."""
    offences = [
        f"{file.relative_to(ROOT)}: {found[0]}"
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if not file.is_relative_to(ROOT / "tests" / "unit" / "core")
        for found in LATE.finditer(file.read_text(encoding="utf-8"))
    ]
    assert not offences, "\n".join([*offences, "tests/stubs/late_module.py imports it when a test uses it"])


def test_processes_of_tests_find_no_pandas_as_in_an_installation():
    done = subprocess.run(
        [sys.executable, "-c", "import pandas"], capture_output=True, text=True, check=False
    )
    assert "no dependency of the server" in done.stderr
    assert not re.search(r"^pandas\b", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
