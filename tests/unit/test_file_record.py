"""The grammar of a delimited record, line by line: what is a cell, what is damaged, where the next record begins."""

from __future__ import annotations

import pytest

from connectors.file.record import LOOK_AHEAD, Grammar, Verdict, judge

PLAIN = Grammar(b";")
ESCAPED = Grammar(b";", escape=b"\\")


def read(text: str, width: int, grammar: Grammar = PLAIN, *, final: bool = True) -> Verdict | None:
    return judge(grammar, text.encode(), 0, width=width, final=final, passes=lambda _: False)


def cells(text: str, width: int, grammar: Grammar = PLAIN) -> list[str] | str:
    verdict = read(text, width, grammar)
    assert verdict is not None
    return verdict.code if verdict.cells is None else [cell.decode() for cell in verdict.cells]


@pytest.mark.parametrize(
    ("text", "width", "found"),
    [
        ("a;b\n", 2, ["a", "b"]),
        ("a;b", 2, ["a", "b"]),
        (";\r\n", 2, ["", ""]),
        ('"a;b";c\n', 2, ["a;b", "c"]),
        ('"";""\n', 2, ["", ""]),
        ('"a ""b"" c";d\n', 2, ['a "b" c', "d"]),
        ('"abc "def" ghi";d\n', 2, ['abc "def" ghi', "d"]),
        ('tube 12";d\n', 2, ['tube 12"', "d"]),
        ('"tube 12"";d\n', 2, ['tube 12"', "d"]),
        ('"tube 12""";d\n', 2, ['tube 12"', "d"]),
        ('"a\nb";c\n', 2, ["a\nb", "c"]),
        ('"a\r\n\r\nb";c\r\n', 2, ["a\r\n\r\nb", "c"]),
        ('"a;b\n', 2, "quote"),
        ('"a;b\n"c";d\n', 2, "quote"),
        ("a\n", 2, "columns"),
        ("a;b;c\n", 2, "columns"),
        ('1;"open;x\n2;b;y\n3;tube 12";z\n', 3, "quote"),
        ('1;"one;two\nthree";x\n', 3, ["1", "one;two\nthree", "x"]),
    ],
)
def test_a_record_is_read_as_its_columns_say(text: str, width: int, found: list[str] | str):
    assert cells(text, width) == found


@pytest.mark.parametrize(
    ("text", "width", "found"),
    [
        (r"a\;b;c" + "\n", 2, ["a;b", "c"]),
        (r'"a \"b\" c";d' + "\n", 2, ['a "b" c', "d"]),
        (r"C:\new\\x;d" + "\n", 2, [r"C:\new\x", "d"]),
        ("two\\\nlines;d\n", 2, ["two\nlines", "d"]),
        (r'"doubled "" too";d' + "\n", 2, ['doubled " too', "d"]),
    ],
)
def test_an_escape_character_takes_the_meaning_of_what_has_one_and_of_nothing_else(
    text: str, width: int, found: list[str]
):
    assert cells(text, width, ESCAPED) == found


def test_after_a_damaged_record_the_next_physical_line_begins_a_new_one():
    text = '1;"open\n2;x\n'
    verdict = read(text, 2)
    assert verdict == Verdict(text.index("2"), None, "quote", {})


def test_a_record_that_may_go_on_beyond_the_text_waits_for_more():
    assert read('1;"open\n2;x\n', 2, final=False) is None
    long = '1;"open\n' + "2;x\n" * LOOK_AHEAD
    verdict = read(long, 2, final=False)
    assert verdict is not None
    assert verdict.code == "quote"
