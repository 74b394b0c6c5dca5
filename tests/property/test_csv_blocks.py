"""However a delimited file is cut into blocks and pages, the same rows and the same damaged lines come out."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from connectors.file.delimited import DelimitedSource
from connectors.file.encoding import readable
from connectors.file.open import open_source
from connectors.file.record import Grammar, judge, line_end
from connectors.page import Source
from mappings.errors import SourceUnreadable
from mappings.language.read import CsvFormat, Each, Format, Read, Records

HEADER = b"A;B;C\n1;2;3\n"
PIECES = (
    b"a", b"bc", b"\xc3\xa9", b";", b";", b";", b'"', b'"', b'""', b'";"', b"\n", b"\n", b"\r\n", b"\r", b" ", b"#",
    b"\\", b"1;2;3\n", b'"x";"y";"z"\r\n', b'"two\nlines";;q\n',
    b"\xff", b"\0", b"\n\n", b'1;"a "b" c";3\n', b'k;"1/2"";z\n',
)
bodies = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
dialects = st.sampled_from(
    [
        CsvFormat(delimiter=";", encoding="utf-8"),
        CsvFormat(delimiter=";", encoding="utf-8", comment=("#", "bc")),
        CsvFormat(delimiter=";", encoding="utf-8", escape="\\"),
        CsvFormat(delimiter=";", encoding="utf-8", quote=None),
        CsvFormat(delimiter=";", encoding="cp1252"),
        CsvFormat(delimiter=";", encoding="utf-8", header=("A", "B"), skip=1),
    ]
)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def seen(source: Source, rows: int) -> list[tuple[object, ...]]:
    """Every row and every damaged line with its numbers, in order."""
    found: list[tuple[object, ...]] = []
    for page in source.pages(rows):
        good = zip(page.frame.index, page.lines, page.frame.itertuples(index=False), strict=True)
        found += [(int(row), int(line), *cells) for row, line, cells in good]
        found += [
            (int(one.row), int(one.line), one.code, one.params, one.raw) for one in page.damaged.itertuples(index=False)
        ]
        numbers = pd.concat([page.frame.index.to_series(), page.damaged["row"]])
        assert numbers.is_unique
        assert len(page) <= rows
    return sorted(found, key=lambda one: one[0])


manners = st.sampled_from(
    [
        {},
        {"continues": Each(blank=(1,), fill=(1, 2), number="line")},
        {"records": Records(by=1, use=("1", "x", ""))},
        {"records": Records(by=2, use="2"), "continues": Each(blank=(1,), fill=(1,))},
    ]
)


@settings(max_examples=150, deadline=None)
@given(body=bodies, form=dialects, manner=manners, sizes=st.tuples(st.integers(1, 60), st.integers(1, 7)))
@example(b";;\na\n", CsvFormat(delimiter=";", encoding="utf-8"), {}, (3, 1))
def test_blocks_and_pages_of_any_size_give_the_same_rows(
    folder: Path, body: bytes, form: CsvFormat, manner: dict[str, Any], sizes: tuple[int, int]
):
    path = folder / "any.csv"
    path.write_bytes(HEADER + body)
    try:
        source = open_source(path, Read(format=Format(csv=form), **manner))
    except SourceUnreadable as unread:
        assume("is UTF-8" not in unread.message)  # what is pinned would misread every letter
        raise
    assert isinstance(source, DelimitedSource)
    whole = seen(source, 50_000)
    pieces = seen(replace(source, block_bytes=sizes[0]), sizes[1])
    assert pieces == whole
    assert [row[0] for row in whole] == list(range(1, len(whole) + 1))


def one_by_one(body: bytes, grammar: Grammar, width: int) -> list[tuple[object, ...]]:
    """The grammar's own reading, a record at a time: slow, and without arrays."""
    found: list[tuple[object, ...]] = []
    start, line = 0, 2
    while start < len(body):
        stop, following = line_end(body, start)
        verdict = judge(grammar, body, start, width=width, final=True, passes=lambda _: False)
        assert verdict is not None
        comment = body.startswith((*grammar.comments, *(b'"' + begin for begin in grammar.comments)), start)
        if comment or not body[start:stop].strip(b" \t\x1a\x0b\x0c"):
            line, start = line + 1, following
            continue
        raw = body[start : verdict.end]
        bad = b"\0" in raw or b"\xff" in raw
        if verdict.cells is None or bad:
            code = "nul" if b"\0" in raw else "bytes" if bad else verdict.code
            found.append((len(found) + 1, line, code, readable(raw.rstrip(b"\r\n"))))
        else:
            found.append((len(found) + 1, line, *(cell.decode() for cell in verdict.cells)))
        line += raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
        start = verdict.end
    while len(found[-1]) == 2 + width and not any(found[-1][2:]):
        found.pop()  # rows of nothing at the end
    return found


@settings(max_examples=200, deadline=None)
@given(body=bodies, escape=st.sampled_from([None, b"\\"]), comments=st.sampled_from([(), ("#",), ("bc", "x", "two\n")]))
@example(b";;\na", None, ())  # a blank row is not at the end while a damaged line follows
@example(b";;\na;b;c;d\n;;", None, ())
@example(b'k;"two\nbc;z\n"\n"bc";\xff', None, ("bc",))  # within a cell nothing is a comment
def test_the_fast_way_reads_what_the_grammar_reads(
    folder: Path, body: bytes, escape: bytes | None, comments: tuple[str, ...]
):
    path = folder / "same.csv"
    path.write_bytes(HEADER + body)
    form = CsvFormat(
        delimiter=";", encoding="utf-8", escape=escape.decode() if escape else None,
        comment=comments,
    )
    source = open_source(path, Read(format=Format(csv=form)))
    assert isinstance(source, DelimitedSource)
    told = [
        row if len(row) != 5 or row[2] not in ("columns", "quote", "bytes", "nul") else (row[0], row[1], row[2], row[4])
        for row in seen(source, 50_000)
    ]
    grammar = Grammar(b";", b'"', escape, tuple(begin.encode() for begin in comments))
    assert told == one_by_one(b"1;2;3\n" + body, grammar, len(source.columns))


fixed_pieces = st.sampled_from(
    (
        b"D", b"T", b"ab", "é".encode(), b" ", b"\n", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"Dabcdef\n",
        b"Xlonger line\n",
    )
)
FIXED = Read.model_validate(
    {
        "format": {"fixed": {"columns": {"a": [2, 2], "b": [4, 3]}, "encoding": "utf-8", "short": "reject"}},
        "records": {"by": [1, 1], "use": "D"},
    }
)


@settings(max_examples=100, deadline=None)
@given(body=st.lists(fixed_pieces, max_size=30).map(b"".join), size=st.integers(1, 40), cut_bytes=st.booleans())
def test_fixed_width_in_blocks_of_any_size_gives_the_same_rows(folder: Path, body: bytes, size: int, cut_bytes: bool):
    path = folder / "any.txt"
    path.write_bytes(b"Dxxyyy\n" + body)
    form = FIXED.format.fixed.model_copy(update={"bytes": cut_bytes})
    source = open_source(path, FIXED.model_copy(update={"format": Format(fixed=form)}))
    whole = seen(source, 50_000)
    assert seen(replace(source, block_bytes=size), 3) == whole
    assert [row[0] for row in whole] == list(range(1, len(whole) + 1))


json_pieces = st.sampled_from(
    (
        b'{"a": 1}', b'{"a": {"b": "x"}}', b"[1]", b"{", b"\n", b"\n", b"\r\n", b"\xff", b" ",
        b'{"a": 1.2345678901234567}',
    )
)


@settings(max_examples=100, deadline=None)
@given(body=st.lists(json_pieces, max_size=30).map(b"".join), size=st.integers(1, 40))
def test_json_lines_in_blocks_of_any_size_give_the_same_rows(folder: Path, body: bytes, size: int):
    path = folder / "any.jsonl"
    path.write_bytes(b'{"a": 0}\n' + body)
    source = open_source(path, Read(), columns_wanted=["a", "a.b"])
    whole = [tuple(map(str, row)) for row in seen(source, 50_000)]
    pieces = seen(replace(source, block_bytes=size), 3)
    assert [tuple(map(str, row)) for row in pieces] == whole
