# SPDX-License-Identifier: Apache-2.0
"""Docs are true: links lead somewhere, Python blocks run, shell blocks name real commands and options."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex

import pytest
import typer.main
from source_tree import ROOT

from pilothouse.app import command_tree
from pilothouse.interfaces.http.otlp import STATUS

DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FORBIDDEN = ("/home/", "/root/", "/Users/")


def blocks(kinds):
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            info = match["info"].strip().split()
            if info and info[0] in kinds:
                line = text[: match.start()].count("\n") + 1
                yield pytest.param(match["body"], id=f"{path.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_the_page_leads_to_a_place(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    broken = []
    for target in LINK.findall(text):
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if "://" in name:
            continue
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert not broken, broken


@functools.cache
def anchors(file):
    """The headings of a page, as links write them."""
    text = FENCE.sub("", file.read_text(encoding="utf-8"))
    named = re.findall(r'<a (?:id|name)="([^"]+)"', text)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {*named, *(re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings)}


def test_the_reference_names_every_answer_to_telemetry():
    page = (ROOT / "docs/reference/telemetry.md").read_text(encoding="utf-8")
    assert [status for status in STATUS.values() if f"\n| {status} " not in page] == []


def test_the_map_of_the_code_names_what_is_there():
    page = ROOT / "docs" / "concepts" / "code.md"
    named = re.findall(r"\]\(([^)]+\.py)\): `(\w+)`", page.read_text(encoding="utf-8"))
    assert len(named) >= 10
    for file, name in named:
        text = (page.parent / file).read_text(encoding="utf-8")
        assert re.search(rf"^(?:def |class |){name}\b", text, re.MULTILINE), f"{file} has no {name}"


@pytest.mark.parametrize("room", ["how-to", "reference", "concepts"])
def test_every_page_of_a_room_can_be_reached_from_its_index(room):
    folder = ROOT / "docs" / room
    index = (folder / "README.md").read_text(encoding="utf-8")
    above = (ROOT / "docs" / "README.md").read_text(encoding="utf-8").replace(f"{room}/", "")
    reached = {target.split("#")[0] for target in LINK.findall(index + above)}
    assert {path.name for path in folder.glob("*.md")} - {"README.md"} <= reached


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "how-to").glob("*.md")), ids=lambda path: path.name)
def test_a_how_to_says_first_what_one_gets_from_it(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    assert lines[0].startswith("# ")
    assert lines[1][0].isalpha(), "a sentence, before any heading, table or command"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_page_names_no_path_of_a_developers_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not [word for word in FORBIDDEN if word in text]


@pytest.mark.parametrize("body", list(blocks({"python"})))
def test_every_python_block_runs(body, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(body, "<docs>", "exec"), {"__name__": "docs"})


def pilothouse_calls(body):
    joined = body.replace("\\\n", " ")
    for raw in joined.splitlines():
        line = raw.strip().removeprefix("$ ").strip()
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words and words[0] == "pilothouse":
            yield words[1:]


@functools.cache
def commands():
    return typer.main.get_command(command_tree())


def check_call(words):
    command = commands()
    path = ["pilothouse"]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        child = command.commands.get(words[0])
        assert child is not None, f"no command {' '.join([*path, words[0]])!r}"
        path.append(words[0])
        command, words = child, words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    known |= {"--help", "-h"}
    for word in words:
        if word == "--":
            break
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{' '.join(path)} has no option {word}"


@pytest.mark.parametrize("body", list(blocks({"sh", "console", "bash"})))
def test_every_shell_block_names_real_commands_and_options(body):
    for words in pilothouse_calls(body):
        check_call(words)


def test_a_misspelt_command_or_option_in_a_block_is_found():
    with pytest.raises(AssertionError, match="no command"):
        check_call(["chekc"])
    with pytest.raises(AssertionError, match="no option"):
        check_call(["verdict", "--jsno"])


@pytest.mark.parametrize("page", ["commands", "settings"])
def test_the_reference_of_commands_and_settings_is_the_program_itself(page):
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text(encoding="utf-8")
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert text == generate.PAGES[f"{page}.md"](), "run `make docs`"
