"""Rows beyond their own line: record types, continuation lines, trailers, fixed places."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.file.open import open_source
from connectors.file.trailer import add_up
from connectors.page import Source
from mappings.errors import ConfigurationError, RunStopped
from mappings.language.read import Read
from mappings.messages import noticed


def opened(
    folder: Path, text: str, name: str = "a.csv", variables: dict[str, str] | None = None, **read: Any
) -> Source:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return open_source(path, Read.model_validate(read), variables=variables or {})


def numbered(source: Source, rows: int = 50_000) -> list[tuple[int, int, list[str]]]:
    """(row, line, cells)."""
    return [
        (int(row), int(line), list(cells))
        for page in source.pages(rows)
        for row, line, cells in zip(page.frame.index, page.lines, page.frame.itertuples(index=False), strict=True)
    ]


def damaged(source: Source, rows: int = 50_000) -> list[tuple[int, int, str]]:
    return [(int(one.row), int(one.line), one.code) for page in source.pages(rows) for one in page.damaged.itertuples()]


TYPES = "H;file of today\nC;C1;Durand;Paris\nE;1;10\nE;2;20\nC;C2;Dupont\nE;3\nX\n"


def test_rows_of_other_types_are_no_rows_and_take_no_numbers(tmp_path: Path):
    form = {"csv": {"delimiter": ";", "header": False}}
    lines = opened(tmp_path, TYPES, format=form, records={"by": 1, "use": "E", "columns": ["kind", "no", "amount"]})
    assert lines.columns == ("kind", "no", "amount")
    assert numbered(lines) == [(1, 3, ["E", "1", "10"]), (2, 4, ["E", "2", "20"])]
    assert damaged(lines) == [(3, 6, "columns")]
    customers = opened(tmp_path, TYPES, format=form, records={"by": 1, "use": "C"})
    assert numbered(customers)[0] == (1, 2, ["C", "C1", "Durand", "Paris"])
    assert damaged(customers) == [(2, 5, "columns")]


def test_several_types_may_be_used_and_a_part_of_the_name_may_tell_which(tmp_path: Path):
    text = "type;no\nA;1\nB;2\nC;3\n"
    source = opened(tmp_path, text, records={"by": "type", "use": ["A", "C"]})
    assert [cells for _, _, cells in numbered(source)] == [["A", "1"], ["C", "3"]]
    named = opened(tmp_path, text, variables={"kind": "B"}, records={"by": "type", "use": "$kind"})
    assert numbered(named) == [(1, 3, ["B", "2"])]


def test_a_column_that_is_not_there_is_a_mistake_of_the_mapping(tmp_path: Path):
    for read in (
        {"records": {"by": "kind", "use": "E"}},
        {"records": {"by": 9, "use": "E"}},
        {"records": {"by": [1, 1], "use": "E"}},
        {"trailer": {"by": "kind", "is": "T"}},
        {"continues": {"blank": ["kind"], "fill": ["no"]}},
    ):
        with pytest.raises(ConfigurationError, match=r"kind|9|\[start, width\]"):
            opened(tmp_path, "a;b\n1;2\n", **read)


SALES = "no;customer;item;qty\n7;C1;A;1\n;;B;2\n; ;C;3\n8;C2;D;4\n;;E;5\n"


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_continuation_lines_take_what_the_line_above_says_across_pages(tmp_path: Path, size: int):
    source = opened(tmp_path, SALES, continues={"blank": ["no", 2], "fill": ["no", "customer"], "number": "line"})
    assert source.columns == ("no", "customer", "item", "qty", "line")
    assert [cells for _, _, cells in numbered(source, size)] == [
        ["7", "C1", "A", "1", "0"], ["7", "C1", "B", "2", "1"], ["7", "C1", "C", "3", "2"],
        ["8", "C2", "D", "4", "0"], ["8", "C2", "E", "5", "1"],
    ]


@pytest.mark.parametrize("size", [1, 2, 50])
def test_lines_that_continue_a_damaged_row_are_damaged_and_never_go_to_the_row_before(tmp_path: Path, size: int):
    text = "no;item\n;orphan\n7;A\n;B\n8;C;too many\n;D\n;E\n9;F\n;G\n"
    source = opened(tmp_path, text, format={"csv": {"delimiter": ";"}}, continues={"blank": ["no"], "fill": ["no"]})
    assert [cells for _, _, cells in numbered(source, size)] == [["7", "A"], ["7", "B"], ["9", "F"], ["9", "G"]]
    assert damaged(source, size) == [
        (1, 2, "continues"), (4, 5, "columns"), (5, 6, "continues"), (6, 7, "continues")
    ]
    params = [json.loads(text) for page in source.pages() for text in page.damaged["params"]]
    assert [one.get("above") for one in params] == [0, None, 5, 5]


FIXED = {
    "format": {"fixed": {"columns": {"kind": [1, 1], "code": [2, 5], "name": [7, 8], "cents": [15, 6]}}},
    "trailer": {"by": [1, 1], "is": "T", "rows": [2, 5], "sum": {"cents": [7, 8]}},
}


def fixed_text(*rows: tuple[str, str, str], count: str = "00002", total: str = "00000350") -> str:
    return "".join(f"D{code:5}{name:8}{cents:>6}\r\n" for code, name, cents in rows) + f"T{count}{total}\r\n"


def test_fixed_places_are_cut_by_character_and_the_trailer_is_checked(tmp_path: Path):
    text = fixed_text(("C1", "Dupré", "000100"), ("C2", "Été", "250"))
    source = opened(tmp_path, text, "a.txt", **FIXED)
    assert numbered(source) == [(1, 1, ["D", "C1", "Dupré", "000100"]), (2, 2, ["D", "C2", "Été", "250"])]
    for wrong in ({"count": "00003"}, {"total": "00000351"}):
        cut = opened(tmp_path, fixed_text(("C1", "Dupré", "000100"), ("C2", "Été", "250"), **wrong), "b.txt", **FIXED)
        with pytest.raises(RunStopped, match="trailer"):
            numbered(cut)


@pytest.mark.parametrize(("cents", "total"), [
    ("00150-", "0000100-"), ("(150)", "   (100)"), ("-00150", "-0000100"), ("", "00000050"),
])
def test_signs_behind_and_brackets_add_up_in_fixed_places_too(tmp_path: Path, cents: str, total: str):
    rows = (("C1", "a", cents), ("C2", "b", "000050"))
    source = opened(tmp_path, fixed_text(*rows, total=total), "a.txt", **FIXED)
    assert len(numbered(source)) == 2
    assert source.notices == {}
    with pytest.raises(RunStopped, match=r"sum of cents of '00000101', the file has (-100|50)\n"):
        numbered(opened(tmp_path, fixed_text(*rows, total="00000101"), "b.txt", **FIXED))


def test_an_amount_in_fixed_places_that_cannot_be_read_leaves_the_sum_unsure_and_the_rows_counted(tmp_path: Path):
    rows = (("C1", "a", "000050"), ("C2", "b", "00x150"))
    source = opened(tmp_path, fixed_text(*rows), "a.txt", **FIXED)
    assert len(numbered(source)) == 2
    told = source.notices["trailer"]
    assert (told["unread"], told["rows"], told["line"]) == (1, 2, 2)
    with pytest.raises(RunStopped, match="row count of '00003'"):
        numbered(opened(tmp_path, fixed_text(*rows, count="00003"), "b.txt", **FIXED))


def test_the_first_line_without_an_amount_is_told_across_blocks_and_only_for_the_sums_that_lack_it(tmp_path: Path):
    text = "k;a;b\nD;1;1\nD;x;2\nD;3;3\nD;x;4\nT;9;10\n"
    read = {"trailer": {"by": "k", "is": "T", "sum": {"a": "a", "b": "b"}}}
    for size in (8, 1 << 20):
        source = replace(opened(tmp_path, text, **read), block_bytes=size)  # type: ignore[type-var]
        numbered(source)
        (told,) = noticed([{"code": code, "params": params} for code, params in source.notices.items()])
        assert "sum of a was not compared: no amount could be read in 2 of 4 rows, the first on line 3;" in told
    with pytest.raises(RunStopped, match="sum of b of '11', the file has 10"):
        numbered(opened(tmp_path, text.replace("T;9;10", "T;9;11"), **read))


@pytest.mark.parametrize(("sign", "amounts", "total"), [
    (",", ["1.234", "1,5"], "1235.5"), (".", ["1,234", "1.5"], "1235.5"), (",", ["1.5", "1,5"], "3"),
    (None, ["1.234", "1,5"], "2.734"), (None, ["0." + "0" * 29 + "1", "9" * 30, ""], "9" * 30 + "." + "0" * 29 + "1"),
    (None, ["1e3", "+5", "1 000"], "2005"),
])
def test_amounts_are_read_as_decimals_are(sign: str | None, amounts: list[str], total: str):
    assert str(add_up(pa.chunked_array([amounts], pa.large_string()), sign)[0].normalize(Context(prec=70))) == total


def test_sums_of_many_digits_are_exact_across_blocks(tmp_path: Path):
    text = "k;a\nD;" + "9" * 29 + "\nD;0.01\nT;" + "9" * 29 + ".01\n"
    read = {"trailer": {"by": "k", "is": "T", "sum": {"a": "a"}}}
    assert len(numbered(replace(opened(tmp_path, text, **read), block_bytes=8))) == 2  # type: ignore[type-var]
    with pytest.raises(RunStopped, match=r"the file has 9{29}\.01"):
        numbered(opened(tmp_path, text.replace(".01\n", ".02\n").replace("0.02\n", "0.01\n"), **read))


def test_what_cannot_be_added_up_is_left_out_and_told():
    amounts = ["1", "n/a", None, " ", "1e40", "9" * 31, "0." + "0" * 30 + "1", "0" * 40 + "2." + "0" * 40]
    total, unread = add_up(pa.chunked_array([amounts[:3], amounts[3:]], pa.large_string()), ".")
    assert (total, unread.tolist()) == (3, [False, True, False, False, True, True, True, False])


def test_fixed_places_may_be_cut_in_bytes_in_the_middle_of_a_character(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("Forê".encode()[:4].ljust(4) + b"tx\n" + "été".encode()[:4] + "é\n".encode() + b"a\n")
    read = Read.model_validate(
        {"format": {"fixed": {"columns": {"a": [1, 4], "b": [5, 2]}, "bytes": True, "encoding": "utf-8"}}}
    )
    assert [cells for _, _, cells in numbered(open_source(path, read))] == [["For", "tx"], ["ét", "é"], ["a", ""]]


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "iso-8859-15", "utf-8"])
def test_places_count_the_bytes_of_the_file_whatever_its_encoding(tmp_path: Path, encoding: str):
    path = tmp_path / "a.txt"
    path.write_bytes("été".encode(encoding).ljust(6) + "ça".encode(encoding).ljust(4) + b"xyz\nabcdefghijxyz\n")
    form = {"columns": {"a": [1, 6], "b": [7, 4], "c": [11, 3]}, "bytes": True, "encoding": encoding, "short": "reject"}
    source = open_source(path, Read.model_validate({"format": {"fixed": form}}))
    assert [cells for _, _, cells in numbered(source)] == [["été", "ça", "xyz"], ["abcdef", "ghij", "xyz"]]
    assert damaged(source) == []


def test_places_cannot_count_the_bytes_of_an_encoding_that_is_read_as_another(tmp_path: Path):
    form = {"columns": {"a": [1, 4]}, "bytes": True, "encoding": "shift_jis"}
    with pytest.raises(ConfigurationError, match="cannot be with shift_jis"):
        opened(tmp_path, "abc\n", "a.txt", format={"fixed": form})


def test_a_short_line_is_padded_unless_the_mapping_rejects_it(tmp_path: Path):
    form: dict[str, Any] = {"columns": {"a": [1, 3], "b": [4, 3]}}
    padded = opened(tmp_path, "abcdef\nab\n\nabcdefgh\n", "a.txt", format={"fixed": form})
    assert [cells for _, _, cells in numbered(padded)] == [["abc", "def"], ["ab", ""], ["abc", "def"]]
    strict = opened(tmp_path, "abcdef\nab\n\nabcdefgh\n", "a.txt", format={"fixed": {**form, "short": "reject"}})
    assert damaged(strict) == [(2, 2, "width")]
    assert [row for row, _, _ in numbered(strict)] == [1, 3]


def test_fixed_width_without_columns_is_a_mistake_of_the_mapping(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="needs its columns"):
        opened(tmp_path, "abc\n", "a.txt", format="fixed")


def test_html_entities_are_characters_before_lines_are_split(tmp_path: Path):
    text = "A;B;C\nCaf&eacute;;x &amp; y;&quot;q&#59; r&quot;\n&unknown;;&#38;;z\n"
    source = opened(tmp_path, text, format={"csv": {"delimiter": ";", "html": True}})
    assert [cells for _, _, cells in numbered(source)] == [["Café", "x & y", '"q; r"']]
    assert damaged(source) == [(2, 3, "columns")]
