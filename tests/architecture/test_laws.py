# SPDX-License-Identifier: Apache-2.0
"""Every module keeps the laws of the house; every law finds an offence that is planted for it."""

from __future__ import annotations

import ast

import laws
import pytest
from source_tree import ROOT, Module, modules

pytestmark = pytest.mark.xdist_group("source_tree")  # one worker reads and parses the tree, not each


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_no_module_breaks_the_law(law):
    offences = [offence for module in modules() for offence in law(module)]
    assert not offences, "\n".join(offences)


GOOD = '# SPDX-License-Identifier: Apache-2.0\n"""One idea."""\n__all__ = ["f"]\ndef f():\n    """Say."""\n'
PLANTED = {
    laws.spdx_missing: GOOD.split("\n", 1)[1],
    laws.first_sentence_missing: GOOD.replace('"""One idea."""\n', ""),
    laws.all_is_not_the_public_names: GOOD.replace('["f"]', '["g"]'),
    laws.docstring_missing: GOOD.replace('    """Say."""\n', "    return 1\n"),
    laws.banned_name: GOOD.replace("def f(", "def load_utils(").replace('["f"]', '["load_utils"]'),
    laws.core_reads_the_world: GOOD + "    import datetime\n    return datetime.datetime.now()\n",
    laws.ignore_without_reason: GOOD + "    return 1  # type: ignore[misc]\n",
    laws.file_too_long: GOOD + "\n" * 601,
    laws.percentage_by_hand: GOOD + '    return f"{1 / 3:6.1%}"\n',
    laws.console_of_its_own: GOOD + "    return Console()\n",
}


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_the_law_finds_a_planted_offence_and_passes_a_good_file(law):
    path = ROOT / "src" / "pilothouse" / "core" / "planted.py"
    good, bad = GOOD, PLANTED[law]
    assert not law(Module(path, ast.parse(good), good))
    assert law(Module(path, ast.parse(bad), bad))


@pytest.mark.parametrize(
    "line",
    [
        "import random\nx = random.random()",
        "import numpy as np\nx = np.random.default_rng()",
        "open('x')",
        "print(1)",
    ],
)
def test_each_door_to_the_world_is_seen(line):
    path = ROOT / "src" / "pilothouse" / "core" / "planted.py"
    text = GOOD + line + "\n"
    found = laws.core_reads_the_world(Module(path, ast.parse(text), text))
    assert bool(found) is (not line.startswith("import random")), (
        "import-linter sees `import random`, this law sees the rest"
    )
