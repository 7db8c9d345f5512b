# SPDX-License-Identifier: Apache-2.0
import pytest

from pilothouse.connectors.charter_file import (
    CHARTER_BYTES_MAX,
    DEPTH_MAX,
    NODES_MAX,
    REFERENCED_BYTES_MAX,
    look_at_files,
    read_charter_file,
    read_charter_text,
    read_text_of,
)
from pilothouse.core.charter.located import Mark
from pilothouse.errors import CharterSyntaxError, UsageError


def read(text):
    return read_charter_text(text, file="c.yaml")


def problem(text):
    tree = read(text)
    assert tree.value is None
    assert len(tree.problems) == 1
    return tree.problems[0]


def test_every_key_and_item_has_its_line_and_column():
    tree = read("a: 1\nb:\n  - x\n  - {c: 2}\n")
    assert tree.value == {"a": 1, "b": ("x", {"c": 2})}
    assert tree.marks == {
        ("a",): Mark(line=1, column=1),
        ("b",): Mark(line=2, column=1),
        ("b", 0): Mark(line=3, column=5),
        ("b", 1): Mark(line=4, column=5),
        ("b", 1, "c"): Mark(line=4, column=6),
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"), ("no", "no"), ("Yes", "Yes"), ("true", True), ("false", False), ("True", "True"),
        ("~", None), ("null", None), ("", None), ("2026-06-01", "2026-06-01"), ("12:30", "12:30"), ("0o17", "0o17"),
        ("0x1f", "0x1f"), ("1_000", "1_000"), ("7", 7), ("-7", -7), ("0", 0), ("0.95", 0.95), (".5", 0.5), ("5.", 5.0),
        ("+7", "+7"), ("007", "007"), ("-07", "-07"), ("-0", "-0"), ("+0", "+0"), ("00", "00"), ("+0.5", 0.5),
        ("1e3", 1000.0), ("1e999", "1e999"), (".nan", ".nan"), (".inf", ".inf"), ("'7'", "7"), ('"true"', "true"),
        ("123456789012345", 123456789012345), ("1234567890123456", "1234567890123456"), ("?x", "?x"), ('"?"', "?"), ("30d", "30d"),
    ],
)  # fmt: skip
def test_scalars_are_read_by_the_rules_of_yaml_1_2(written, value):
    assert read(f"k: {written}").value["k"] == value
    assert type(read(f"k: {written}").value["k"]) is type(value)


def test_a_block_of_text_stays_text():
    assert read("k: |\n  7\n").value == {"k": "7\n"}


@pytest.mark.parametrize(
    ("text", "words", "line", "column"),
    [
        ("a: [1, 2", "flow sequence that begins on line 1", 2, 1),
        ("a: 1\n\tb: 2", "tab", 2, 1),
        ("a: &x 1", "anchor &x; aliases are refused", 1, 4),
        ("a: &x {b: 1}", "anchor &x", 1, 4),
        ("a: *x", "alias *x; aliases are refused", 1, 4),
        ("a: !!python/object:os.system x", "tags are refused", 1, 4),
        ("a: !secret {b: 1}", "tags are refused", 1, 4),
        ("a: 1\n---\nb: 2", "a second document begins here", 2, 1),
        ("{a: 1}: 2", "a key must be one word", 1, 1),
        ("? [a]\n: 2", "a key must be one word", 1, 3),
        ("a: 1\nb: \x07", "a character that YAML does not allow", 2, 4),
        ("a: 1\nb: \x00", "a character that YAML does not allow", 2, 4),
        ("a: " + "[" * (DEPTH_MAX + 2), "nested deeper", 1, 3 + DEPTH_MAX),
        ("a: " + "[" * 100_000, "nested deeper", 1, 3 + DEPTH_MAX),
        ("- " * 5_000, "nested deeper", 1, 2 * DEPTH_MAX + 1),
        ("%YAML 9.9\n---\na: 1", "", 1, 1),
        ("a: 'open", "", 1, 9),
        ("@a: 1", "", 1, 1),
        ("a: b: c", "", 1, 5),
    ],
)
def test_what_no_charter_needs_is_refused_with_its_place(text, words, line, column):
    found = problem(text)
    assert words in found.problem
    assert found.mark.line == line
    assert abs(found.mark.column - column) <= 2


def test_a_key_that_stands_twice_keeps_its_first_value_and_is_told():
    tree = read("a: 1\nb: {x: 1, x: 2}\na: 3\n")
    assert tree.value == {"a": 1, "b": {"x": 1}}
    assert [(p.problem, p.mark.line) for p in tree.problems] == [
        ("key x stands twice, first on line 2", 2),
        ("key a stands twice, first on line 1", 3),
    ]


def test_more_keys_and_values_than_any_charter_has_are_not_read():
    pairs = NODES_MAX // 2 - 1  # the mapping itself is one
    assert read("k: 1\n" * pairs).value == {"k": 1}
    found = problem("k: 1\n" * (pairs + 1))
    assert "more than 40,000 keys and values" in found.problem
    assert found.mark.line == pairs + 1


def test_nothing_at_all_is_no_value():
    for text in ("", "# only a comment\n", "---\n"):
        assert read(text).value is None


def test_a_file_is_read_with_its_own_path_and_without_its_byte_order_mark(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_bytes(b"\xef\xbb\xbfagent: a-b-c\r\n")
    tree = read_charter_file(path)
    assert tree.value == {"agent": "a-b-c"}
    assert str(tree.place(("agent",))) == f"{path}:1:1"


def test_a_file_that_is_not_there_or_a_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        read_text_of(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_text_of(tmp_path)


def test_a_file_beyond_one_mebibyte_is_refused(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_bytes(b"#" * (CHARTER_BYTES_MAX + 1))
    with pytest.raises(CharterSyntaxError, match="larger than 1024 KiB"):
        read_text_of(path)


def test_a_file_that_is_no_utf8_names_the_line(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(CharterSyntaxError) as caught:
        read_text_of(path)
    assert (caught.value.place.line, caught.value.place.column) == (2, 4)


def test_files_are_looked_at_beside_the_charter_and_nowhere_else(tmp_path):
    home = tmp_path / "agent"
    home.mkdir()
    (home / "full.md").write_text("text")
    (home / "blank.md").write_text(" \n")
    (tmp_path / "outside.md").write_text("text")
    (home / "link.md").symlink_to(tmp_path / "outside.md")
    (home / "big.md").write_bytes(b"x" * (REFERENCED_BYTES_MAX + 1))
    names = [
        "full.md",
        "blank.md",
        "none.md",
        "../outside.md",
        "link.md",
        ".",
        "big.md",
        "a\x00b",
        "x" * 5_000,
    ]
    facts = look_at_files(home, names)
    assert {name for name in names if facts[name].is_there} == {"full.md"}
    assert facts["blank.md"].is_empty


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ('{"input": {"properties": {"a": {}, "b": {}}}}', ("a", "b")),
        ('{"input": {}}', None), ('{"input": 5}', None), ("[]", None), ("{", None), ("[" * 50_000, None),
    ],
)  # fmt: skip
def test_a_contract_tells_its_arguments(tmp_path, content, arguments):
    (tmp_path / "c.json").write_text(content)
    assert look_at_files(tmp_path, ["c.json"])["c.json"].arguments == arguments


def test_only_json_files_are_contracts(tmp_path):
    (tmp_path / "c.md").write_text('{"input": {"properties": {"a": {}}}}')
    assert look_at_files(tmp_path, ["c.md"])["c.md"].arguments is None
