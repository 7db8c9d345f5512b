# SPDX-License-Identifier: Apache-2.0
"""A verifier is loaded from the charter's folder, and whatever is wrong with it is said with its place."""

from __future__ import annotations

import hashlib
import sys

import pytest

from pilothouse.connectors.verifier_loader import load_verifier
from pilothouse.errors import ExtensionError
from pilothouse.testing import example_task

TASK = example_task()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "verifiers").mkdir()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("_pilothouse_charter_"):
            del sys.modules[name]


def write(folder, text, name="erp"):
    file = folder / "verifiers" / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_function_of_a_file_beside_the_charter_is_loaded(folder):
    file = write(folder, "def matches(task):\n    return task.trace_id\n")
    loaded = load_verifier("verifiers.erp:matches", folder)
    assert loaded.ask(TASK) == TASK.trace_id
    assert loaded.file == file
    assert loaded.identity == f"verifiers.erp:matches@sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_nobody_elses_imports_change(folder):
    path, names = list(sys.path), set(sys.modules)
    write(folder, "def matches(task):\n    return True\n")
    load_verifier("verifiers.erp:matches", folder)
    assert sys.path == path
    assert all(name.startswith("_pilothouse_charter_") for name in set(sys.modules) - names)
    assert "verifiers" not in sys.modules


def test_two_charters_may_have_verifiers_of_one_name(tmp_path):
    answers = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        (folder / "verifiers").mkdir(parents=True)
        write(folder, f"def matches(task):\n    return {number}\n")
        answers.append(load_verifier("verifiers.erp:matches", folder))
    assert [loaded.ask(TASK) for loaded in answers] == [1, 2]


def test_a_neighbour_is_imported_relatively_also_inside_the_function(folder):
    write(folder, "ANSWER = 'verified'\n", name="db")
    write(folder, "LATER = 'pending'\n", name="later")
    write(
        folder,
        "from .db import ANSWER\n\ndef matches(task):\n    from .later import LATER\n    return ANSWER, LATER\n",
    )
    assert load_verifier("verifiers.erp:matches", folder).ask(TASK) == ("verified", "pending")


def test_a_package_and_a_module_at_the_top_are_loaded_too(folder):
    (folder / "truth").mkdir()
    (folder / "truth" / "__init__.py").write_text("from .inner import matches\n", encoding="utf-8")
    (folder / "truth" / "inner.py").write_text("def matches(task):\n    return 1\n", encoding="utf-8")
    (folder / "single.py").write_text("def matches(task):\n    return 2\n", encoding="utf-8")
    assert load_verifier("truth:matches", folder).ask(TASK) == 1
    assert load_verifier("single:matches", folder).ask(TASK) == 2


def test_a_changed_file_is_loaded_anew_and_an_unchanged_one_keeps_its_state(folder):
    write(folder, "calls = []\ndef matches(task):\n    calls.append(1)\n    return len(calls)\n")
    write(folder, "def other(task):\n    return 'other'\n", name="mail")
    first = load_verifier("verifiers.erp:matches", folder)
    assert first.ask(TASK) == 1
    load_verifier("verifiers.mail:other", folder)
    assert load_verifier("verifiers.erp:matches", folder).ask(TASK) == 2
    write(folder, "def matches(task):\n    return 'b'\n")
    changed = load_verifier("verifiers.erp:matches", folder)
    assert changed.ask(TASK) == "b"
    assert changed.source_digest != first.source_digest


def test_a_changed_neighbour_is_another_form_of_the_verifier(folder):
    """What it confirmed through `db.py` of yesterday went on to be said, under the digest of an unchanged file."""
    verifier = write(
        folder,
        "from .db import ANSWER\n\ndef matches(task):\n    from . import later\n    return ANSWER, later.SAID\n",
    )
    write(folder, "from .deep import ANSWER\n", name="db")
    write(folder, "ANSWER = 1\n", name="deep")
    write(folder, "SAID = 1\n", name="later")
    write(folder, "def other(task):\n    return 'other'\n", name="mail")
    first = load_verifier("verifiers.erp:matches", folder)
    assert first.ask(TASK) == (1, 1)
    write(folder, "ANSWER = 2\n", name="deep")
    second = load_verifier("verifiers.erp:matches", folder)
    assert second.ask(TASK) == (2, 1)
    write(folder, "SAID = 2\n", name="later")
    third = load_verifier("verifiers.erp:matches", folder)
    assert third.ask(TASK) == (2, 2)
    write(folder, "def other(task):\n    return 'changed'\n", name="mail")
    assert load_verifier("verifiers.erp:matches", folder).source_digest == third.source_digest
    assert len({first.source_digest, second.source_digest, third.source_digest}) == 3
    assert third.file == verifier


@pytest.mark.parametrize(
    "text", ["from ....x import y", "from .erp import matches", "from .gone import x", "import os"]
)
def test_an_import_that_leads_out_of_the_folder_or_nowhere_is_not_followed(folder, text):
    write(folder, f"def matches(task):\n    {text}\n    return True\n")
    loaded = load_verifier("verifiers.erp:matches", folder)
    assert loaded.source_digest == hashlib.sha256(loaded.file.read_bytes()).hexdigest()


def test_an_installed_function_is_loaded_when_the_folder_has_none(folder):
    loaded = load_verifier("pilothouse.core.evidence.claim:says_done", folder)
    assert loaded.file.name == "claim.py"
    assert loaded.ask(TASK) is True


def refusal(folder, use="verifiers.erp:matches"):
    with pytest.raises(ExtensionError) as caught:
        load_verifier(use, folder)
    return caught.value


@pytest.mark.parametrize(
    "use", ["verifiers.erp", "verifiers/erp.py:matches", "", "..erp:matches", "a:b:c", "os:"]
)
def test_a_name_of_another_form_is_refused(folder, use):
    assert "package.module:function" in refusal(folder, use).remedy


def test_a_missing_file_is_named_with_the_path_to_write(folder):
    error = refusal(folder, "verifiers.absent:matches")
    assert "no file verifiers/absent.py" in error.message
    assert str(folder / "verifiers" / "absent.py") in error.remedy


def test_a_misspelt_function_gets_the_nearest_one(folder):
    file = write(folder, "def routing_matches(task):\n    return True\n")
    error = refusal(folder, "verifiers.erp:routing_match")
    assert "Did you mean 'routing_matches'?" in error.message
    assert error.place.file == str(file)


def test_a_syntax_error_has_its_line(folder):
    write(folder, "x = 1\ndef matches(task)\n    return True\n")
    error = refusal(folder)
    assert "SyntaxError" in error.message
    assert error.place.line == 2


def test_an_error_while_importing_has_the_line_in_the_file(folder):
    write(folder, "import os\n\nTOKEN = os.environ['NO_SUCH_TOKEN_HERE']\n")
    error = refusal(folder)
    assert "KeyError" in error.message
    assert error.place.line == 3
    write(folder, "def matches(task):\n    return True\n")
    assert load_verifier("verifiers.erp:matches", folder).ask(TASK) is True


def test_a_file_that_wants_to_exit_does_not_end_the_program(folder):
    write(folder, "raise SystemExit(3)\n")
    assert "SystemExit" in refusal(folder).message


def test_an_absolute_import_of_a_neighbour_gets_the_relative_one_as_remedy(folder):
    write(folder, "X = 1\n", name="db")
    write(folder, "from verifiers.db import X\n\ndef matches(task):\n    return X\n")
    assert "from .db import" in refusal(folder).remedy


def test_a_library_that_is_not_installed_is_named(folder):
    write(folder, "import no_such_library_here\n")
    assert "pip install no_such_library_here" in refusal(folder).remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("matches = 3\n", "no function but int"),
        ("async def matches(task):\n    return True\n", "`async`"),
        ("def matches():\n    return True\n", "cannot be called with one task"),
        ("def matches(task, database):\n    return True\n", "cannot be called with one task"),
        ("def matches(*, task):\n    return True\n", "cannot be called with one task"),
    ],
)
def test_what_cannot_be_asked_about_one_task_is_refused(folder, text, said):
    write(folder, text)
    error = refusal(folder)
    assert said in error.message
    assert "def name(task)" in error.remedy


def test_a_file_beyond_the_limit_is_refused(folder):
    write(folder, "#" * 1_000_001)
    assert "1,000,000" in refusal(folder).message
