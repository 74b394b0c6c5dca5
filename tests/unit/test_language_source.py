
"""YAML is read with places, and whatever is wrong with it becomes a Problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.language.node import walk
from mappings.language.project import dump
from mappings.language.source import parse_yaml, read_yaml


def only_problem(text: str) -> str:
    _, problems = parse_yaml(text.encode(), "f.yaml")
    assert len(problems) == 1
    return str(problems[0])


def values(text: str) -> object:
    node, problems = parse_yaml(text.encode(), "f.yaml")
    assert problems == []
    assert node is not None
    return node.plain()


def test_a_scalar_is_a_number_only_if_it_is_written_like_one():
    written = "a: [1, -3, 0.5, 12.25, true, false, null, ~, ]\nb: [007, 1.10, 1e5, +3, 0x1F, 1_000, -0, 99999999999999999]"
    assert values(written) == {
        "a": [1, -3, 0.5, 12.25, True, False, None, None],
        "b": ["007", "1.10", "1e5", "+3", "0x1F", "1_000", "-0", "99999999999999999"],
    }


def test_words_that_older_yaml_turns_into_booleans_and_dates_stay_text():
    assert values("on: yes\nday: 2026-01-31\nnone: NULL\nsure: True\nbase60: 12:30:45") == {
        "on": "yes", "day": "2026-01-31", "none": "NULL", "sure": "True", "base60": "12:30:45",
    }


def test_keys_are_text_as_written():
    assert values("01: a\ntrue: b\n1.10: c\n~: d") == {"01": "a", "true": "b", "1.10": "c", "~": "d"}


def test_every_key_and_value_knows_its_place():
    node, _ = parse_yaml(b"into:\n  - entity: company\n    fields: {name: NOM}\n", "flows/a.yaml")
    assert node is not None
    value, key, _ = walk(node, ("into", 0, "fields", "name"))
    assert (value.spot.file, value.spot.line, value.spot.column) == ("flows/a.yaml", 3, 20)
    assert (key.line, key.column) == (3, 14)


def test_a_byte_order_mark_and_windows_line_ends_are_fine():
    node, problems = parse_yaml(b"\xef\xbb\xbfa: 1\r\nb: x\r\n", "f.yaml")
    assert problems == []
    assert node is not None
    assert node.plain() == {"a": 1, "b": "x"}


def test_anchors_and_merge_keys_work_within_a_file():
    assert values("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x") == {
        "a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}, "c": {"p": 1, "q": 2},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab; YAML is indented with spaces"),
        ("a: b: c\n", "f.yaml:1:5: a colon is not expected here: check the indentation, or put text that holds ': ' in quotes"),
        ("values: @x\n", "f.yaml:1:9: text that begins with @ needs quotes"),
        ("files: *.csv\n", 'f.yaml:1:8: *.csv refers to an anchor &.csv that is not above; as text, put it in quotes: "*.csv"'),
        ("files: {company}.csv\n", "f.yaml:1:17: unexpected '.csv': put the whole text in quotes (double an apostrophe inside '…')"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2:2: the [ of line 1, column 4 is not closed, or a comma is missing"),
        ("a: 'x\nb: y\n", "f.yaml:1:4: a quote is opened here and never closed"),
        ("a:\n  b: 1\n c: 2\n", "f.yaml:3:2: the indentation fits no line above"),
        ('a: "\\q"\n', "f.yaml:1:6: unknown escape character 'q': inside \"…\" write \\\\ for a backslash, or use '…'"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: 'a' stands twice; the first is on line 1"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document begins here; one file holds one (remove the ---)"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: tags are not used here (found 'python/object:os.system'); remove it"),
        ("a: \x01", "f.yaml:1:4: the character U+0001 cannot stand in YAML"),
        ('a: "\\ud800"', "f.yaml:1:4: holds a character that no text may hold (NUL or half a surrogate pair)"),
        ("a:b", "f.yaml:1:1: expected `key: value` lines; a colon needs a space after it"),
        ("", "f.yaml:1:1: the file is empty"),
        ("# nothing\n", "f.yaml:1:1: the file is empty"),
        ("- a\n", "f.yaml:1:1: expected `key: value` lines"),
        ("{a: b}: c", "f.yaml:1:1: a key must be plain text; put the value in quotes if it begins with [ or {"),
        ("<<: 3", "f.yaml:1:5: << takes a mapping, or a list of mappings"),
        (": x", "f.yaml:1:1: a key is missing before the colon"),
    ],
)
def test_mistakes_are_told_in_plain_words_where_they_stand(text: str, said: str):
    assert only_problem(text) == said


def test_a_bomb_of_aliases_is_refused():
    lines = ["a: &a [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"{new}: &{new} [{','.join(['*' + old] * 10)}]" for old, new in zip("abcdefg", "bcdefgh", strict=True)]
    assert only_problem("\n".join(lines)) == "f.yaml:6:4: stands for more than 200000 values once its aliases are followed"


def test_a_bomb_of_merge_keys_is_refused():
    lines = ["a: &a {" + ", ".join(f"k{n}: 1" for n in range(100)) + "}"]
    lines += [f"{new}: &{new} {{<<: [{','.join(['*' + old] * 20)}]}}" for old, new in zip("abcdefg", "bcdefgh", strict=True)]
    assert "stands for more than" in only_problem("\n".join(lines))


def test_an_alias_inside_its_own_anchor_is_refused():
    assert "refers to an anchor &x that is not above" in only_problem("a: &x\n  b: *x\n")


def test_deep_nesting_is_refused():
    assert only_problem("a: " + "[" * 60 + "]" * 60) == "f.yaml:1:54: nested deeper than 50 levels"
    assert only_problem("[" * 50_000) == "f.yaml:1:52: nested deeper than 50 levels"


def test_a_byte_that_is_not_utf8_is_told_with_its_place():
    _, problems = parse_yaml(b"a: b\nc: \xe9t\xe9", "f.yaml")
    assert [str(problem) for problem in problems] == ["f.yaml:2:4: byte 0xE9 is not UTF-8; save the file as UTF-8"]


def test_files_that_cannot_be_read_are_told(tmp_path: Path):
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"a: 1\n" * 500_000)
    assert "larger than 2 MB" in str(read_yaml(huge, "huge.yaml")[1][0])
    assert "cannot be read: No such file" in str(read_yaml(tmp_path / "none.yaml", "none.yaml")[1][0])
    assert "cannot be read: Is a directory" in str(read_yaml(tmp_path, "dir.yaml")[1][0])


PIECES = ["a", ":", ": ", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "&x ", "*x", "<<", "|", ">", "'", '"', "\\", "#",
          "?", "!", "!!str ", "%", "@", "---", "...", "é", "\ufeff", "\x00", "\x85", "\u2028", "1", "~", "${", "}"]


@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(lambda p: "".join(p).encode())))
@settings(max_examples=500, deadline=None)
def test_no_bytes_make_a_traceback(content: bytes):
    node, problems = parse_yaml(content, "f.yaml")
    assert (node is None) <= bool(problems)
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
        str(problem).encode()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
    | st.sampled_from(["007", "1.10", "yes", "NULL", "1e5", "2026-01-31", "true", "~", "", "0x1F", ":0", ":", "? a", "- a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc01é ", min_size=1, max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "01", "true", "x y"]), plain, min_size=1))
@settings(max_examples=200, deadline=None)
def test_what_dump_writes_reads_back_as_the_same(written: dict[str, object]):
    def as_read(value: object) -> object:
        """Numbers too long for a number come back as their text."""
        if isinstance(value, dict):
            return {key: as_read(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [as_read(inner) for inner in value]
        return str(value) if isinstance(value, int) and len(str(abs(value))) > 15 else value

    node, problems = parse_yaml(dump(written).encode(), "f.yaml")
    assert problems == []
    assert node is not None
    assert node.plain() == as_read(written)
