"""What a file shows of itself: encoding, delimiter, decimal sign, headers, format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.file.delimited import DelimitedSource
from connectors.file.fec import COLUMNS
from connectors.file.open import open_source
from connectors.page import Source
from mappings.errors import SourceUnreadable
from mappings.language.read import Read

TEXT = "Code;Société;Ville\n1;Œuvre d'été;L'Haÿ-les-Roses\n2;Hôtel “Noël”;Besançon\n3;Où ça – là-bas;Dié\n"
PLAIN = "Code;Société;Ville\n1;Mécanique de l'Orée;Évry\n2;Hôtel Noël;Besançon\n3;Où ça;là-bas n° 3\n"


def opened(folder: Path, content: bytes, name: str = "a.csv", **read: Any) -> Source:
    path = folder / name
    path.write_bytes(content)
    return open_source(path, Read.model_validate(read))


def cells(source: Source) -> list[list[str]]:
    return [list(row) for page in source.pages() for row in page.frame.itertuples(index=False)]


@pytest.mark.parametrize(
    ("encoding", "text", "found"),
    [
        ("utf-8", TEXT, "utf-8"),
        ("utf-8-sig", TEXT, "utf-8"),
        ("cp1252", TEXT, "cp1252"),
        ("iso-8859-1", PLAIN, "cp1252"),  # the same letters; cp1252 has more
        ("iso-8859-15", PLAIN + "4;Sœur;12,50 €\n", "iso8859-15"),
        ("cp850", PLAIN, "cp850"),
        ("utf-16", TEXT, "utf-16-le"),
        ("utf-16-le", TEXT, "utf-16-le"),
        ("utf-16-be", TEXT, "utf-16-be"),
        ("ascii", "Code;Nom\n1;x\n", "utf-8"),
    ],
)
def test_the_encoding_is_found(tmp_path: Path, encoding: str, text: str, found: str):
    source = opened(tmp_path, text.encode(encoding))
    assert source.detected["encoding"] == found
    assert [";".join(row) for row in cells(source)] == text.splitlines()[1:]
    assert list(source.columns) == text.splitlines()[0].split(";")


def test_letters_after_megabytes_of_ascii_still_tell_the_encoding(tmp_path: Path):
    ascii_rows = b"1;plain text without any accent;x\n" * 100_000
    source = opened(tmp_path, b"A;B;C\n" + ascii_rows + "2;Société;été\n".encode("cp1252"))
    assert source.detected["encoding"] == "cp1252"
    assert sum(len(page.damaged) for page in source.pages()) == 0


def test_bytes_that_are_no_letters_do_not_make_a_western_file(tmp_path: Path):
    source = opened(tmp_path, b"A;B\n1;\xfe\xff\n2;x\n")
    assert source.detected["encoding"] == "utf-8"
    assert [len(page.damaged) for page in source.pages()] == [1]


@pytest.mark.parametrize("pinned", ["cp1252", "iso-8859-15", "cp850"])
def test_a_file_of_utf_8_is_not_misread_as_the_pinned_encoding(tmp_path: Path, pinned: str):
    path = tmp_path / "a.csv"
    path.write_text("CODE;NOM\n1;Société Générale\n2;Œuvres\n", "utf-8")
    read = Read.model_validate({"format": {"csv": {"encoding": pinned}}})
    with pytest.raises(SourceUnreadable, match=f"is UTF-8, but encoding: {pinned} is pinned"):
        open_source(path, read)
    path.write_text("CODE;NOM;navette_reason\n1;Société;NOM : « é »\n", "utf-8")
    (page,) = open_source(path, read).pages()
    assert page.frame["NOM"].tolist() == ["Société"], "an export, as a spreadsheet saves it"
    path.write_bytes("CODE;NOM\n1;Société °é\n".encode(pinned, "replace"))
    (page,) = open_source(path, read).pages()
    assert page.frame["NOM"].tolist() == ["Société °é"]


def test_a_pinned_encoding_is_not_told_as_found(tmp_path: Path):
    source = opened(tmp_path, TEXT.encode("cp1252"), format={"csv": {"encoding": "windows-1252", "delimiter": ";"}})
    assert "encoding" not in source.detected
    assert "delimiter" not in source.detected
    assert cells(source)[0][2] == "L'Haÿ-les-Roses"


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_mark_of_another_encoding_than_the_pinned_one_is_refused(tmp_path: Path, mark: str):
    with pytest.raises(SourceUnreadable, match=r"begins with the mark of utf-.*, but encoding: cp1252 is pinned"):
        opened(tmp_path, TEXT.encode(mark), format={"csv": {"encoding": "cp1252", "delimiter": ";"}})
    opened(tmp_path, TEXT.encode("utf-8-sig"), format={"csv": {"encoding": "utf-8", "delimiter": ";"}})


def test_an_export_of_ours_that_a_spreadsheet_saved_with_a_mark_is_what_the_mark_says(tmp_path: Path):
    text = "CODE;NAME;navette_id;navette_reason\n1;Hé;7;\n"
    source = opened(tmp_path, text.encode("utf-8-sig"), format={"csv": {"encoding": "cp1252", "delimiter": ";"}})
    assert cells(source)[0][:2] == ["1", "Hé"]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a;b;c\n1,5;2,5;3,5\n4,5;5,5;6,5\n", ";"),
        ("a,b,c\n1.5,2.5,3.5\n", ","),
        ("a\tb\n1;x\t2\n3;y\t4\n", "\t"),
        ("a|b|c\n1|2;x|3\n", "|"),
        ("a;b\n\"x, y; z\";2\n\"u, v, w\";3\n", ";"),
        ("name;address\nDurand;3, rue A, Paris\nDupont;4, rue B, Lyon\n", ";"),
        ("one\ntwo\nthree\n", ";"),
    ],
)
def test_the_delimiter_is_found(tmp_path: Path, text: str, delimiter: str):
    assert opened(tmp_path, text.encode()).detected["delimiter"] == delimiter


@pytest.mark.parametrize(
    ("values", "sign"),
    [
        (["12,50", "345 016,68"], ","),
        (["12.50", "345016.68", "150000.00000000"], "."),
        (["12,50", "12.50"], None),
        (["12", "13"], None),
        (["99.99", "1,500"], "."),
        (["1,234.50", "1,500"], "."),
        (["1,234,567", "1,500"], "."),
        (["99,99", "1.500"], ","),
        (["1.234,50", "1.500", "12.500"], ","),
        (["0,500", "1.500"], ","),
        (["1,500", "12,750"], None),
        (["1.500", "12.750"], "."),
        (["1.500", "12,750"], None),
        (["22.11.2026", "02.61.91.92.77"], None),
    ],
)
def test_the_decimal_sign_is_found_where_all_numbers_agree(tmp_path: Path, values: list[str], sign: str | None):
    source = opened(tmp_path, ("A;B\n" + "".join(f"x;{value}\n" for value in values)).encode())
    assert source.detected.get("decimal") == sign


@pytest.mark.parametrize(
    ("form", "columns", "first", "line"),
    [
        ({"header": True}, ("title of the report",), ["A;B"], 2),
        ({"header": 2}, ("A", "B"), ["1", "2"], 3),
        ({"skip": 1}, ("A", "B"), ["1", "2"], 3),
        ({"skip": 2, "header": False}, ("1", "2"), ["1", "2"], 3),
        ({"skip": 2, "header": ["X", "Y"]}, ("X", "Y"), ["1", "2"], 3),
        ({"comment": "title"}, ("A", "B"), ["1", "2"], 3),
        ({"comment": ["none", "title"]}, ("A", "B"), ["1", "2"], 3),
    ],
)
def test_the_header_is_where_the_mapping_says(
    tmp_path: Path, form: dict[str, Any], columns: tuple[str, ...], first: list[str], line: int
):
    delimiter = "\t" if form.get("header") is True else ";"
    source = opened(tmp_path, b"title of the report\nA;B\n1;2\n3;4\n", format={"csv": {"delimiter": delimiter, **form}})
    assert source.columns == columns
    assert cells(source)[0] == first
    assert int(next(iter(source.pages())).lines[0]) == line


REPORT = """Confidential
"Account","Amount"
"A1","2"
 Confidential,3
"Page
Confidential, 2 of 3",4
"Confidential, 2 of 3"
confidential,5

Grand Totals,14
"Grand Totals",14,,"
Copyright (c) 2026 "Example, Inc."
Generated By: the "reports" of today, 08:00, who
"""


@pytest.mark.parametrize("size", [1 << 20, 7])
def test_lines_that_begin_with_one_of_several_texts_are_no_rows(tmp_path: Path, size: int):
    comment = ["Confidential", "Grand Totals", "Copyright (c)", "Generated By"]
    source = opened(tmp_path, REPORT.encode(), format={"csv": {"delimiter": ",", "comment": comment}})
    assert isinstance(source, DelimitedSource)
    source = replace(source, block_bytes=size)
    assert all(page.damaged.empty for page in source.pages())
    assert source.columns == ("Account", "Amount")
    assert cells(source) == [["A1", "2"], [" Confidential", "3"], ["Page\nConfidential, 2 of 3", "4"], ["confidential", "5"]]


def test_a_header_over_several_lines_is_one_name(tmp_path: Path):
    source = opened(tmp_path, b'Code;"Nom\nusuel"\n1;x\n', format={"csv": {"delimiter": ";"}})
    assert source.columns == ("Code", "Nom usuel")
    assert [int(line) for page in source.pages() for line in page.lines] == [3]


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.txt", b'{"a": 1}\n', "jsonl"),
        ("a.json", b'\xef\xbb\xbf {"a": 1}\n', "jsonl"),
        ("a.txt", b"Code;Nom\n1;x\n", "csv"),
        ("a.tsv", b"Code\tNom\n1\tx\n", "csv"),
    ],
)
def test_the_format_is_told_by_the_content(tmp_path: Path, name: str, content: bytes, found: str):
    assert opened(tmp_path, content, name).detected["format"] == found


@pytest.mark.parametrize(
    ("delimiter", "form", "end"), [("\t", "{}", "\r\n"), ("|", "{}", "\r"), ("|", '"{}"', "\n"), ("\t", "{}", "mixed")]
)
def test_the_accounting_file_is_known_in_all_its_shapes(tmp_path: Path, delimiter: str, form: str, end: str):
    first = ["JOURNALCODE", *COLUMNS[1:11], "Montant", "Sens", *COLUMNS[13:16], "MontantDevise", "IDEVISE"]
    headers = [*first, "DateRglt", "ModeRglt", "NatOp", "IdClient"]
    row = ["VT", 'Journal "ventes"', *["x"] * 9, "1234,50", "D", *[""] * 9]
    shown = [delimiter.join(form.format(cell.replace('"', '""') if form != "{}" else cell) for cell in cells_)
             for cells_ in (headers, row, row)]
    text = f"{shown[0]}\r{shown[1]}\r\n{shown[2]}" if end == "mixed" else end.join(shown) + end
    source = opened(tmp_path, b"\xef\xbb\xbf" + text.encode(), "123456789FEC20261231.txt")
    assert source.detected["format"] == "fec"
    assert source.detected["decimal"] == ","
    assert source.columns[0] == "JournalCode"
    assert source.columns[16] == "Montantdevise"
    assert len(source.columns) == 22
    assert [row_[1] for row_ in cells(source)] == ['Journal "ventes"'] * 2
    assert cells(source)[0][11] == "1234,50"
