"""The same rows in every format that is read: what each reader of the contract suite is tried with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import xlsxwriter

from connectors.file.fec import COLUMNS
from mappings.language.read import Read

HEADERS = ("CODE", "NOM", "VILLE", "SOLDE")
Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Shape:
    """A format: how to write rows in it, the mapping that reads them, the name of a file."""

    name: str
    file: str
    read: Read
    write: Callable[[Path, Rows], None]
    lines: Callable[[int], int]  # the physical line of row n (from 1), where no cell holds a line break
    breaks: bool = True  # cells may hold line breaks
    wanted: tuple[str, ...] = ()
    headers: tuple[str, ...] = HEADERS


def _csv(path: Path, rows: Rows, *, delimiter: str = ";", encoding: str = "utf-8", end: str = "\r\n",
         headers: Sequence[str] = HEADERS) -> None:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in f'{delimiter}"\r\n') else text

    lines = [*([headers] if headers else []), *rows]
    path.write_bytes("".join(delimiter.join(map(cell, row)) + end for row in lines).encode(encoding, "replace"))


def _fixed(path: Path, rows: Rows) -> None:
    lines = ("".join(cell.ljust(30) for cell in row) + "\n" for row in rows)
    path.write_bytes("".join(lines).encode())


def _excel(path: Path, rows: Rows) -> None:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate([HEADERS, *rows]):
            for place, cell in enumerate(row):
                sheet.write_string(at, place, cell)


def _jsonl(path: Path, rows: Rows) -> None:
    path.write_bytes(b"".join(orjson.dumps(dict(zip(HEADERS, row, strict=True))) + b"\n" for row in rows))


def _fec(path: Path, rows: Rows) -> None:
    wide = [[*row, *([""] * (len(COLUMNS) - len(row)))] for row in rows]
    text = "".join("\t".join(row) + "\r\n" for row in [COLUMNS, *wide])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())


SHAPES = (
    Shape("csv", "a.csv", Read(), _csv, lambda row: row + 1),
    Shape(
        "csv without headers", "b.csv", Read.model_validate({"format": {"csv": {"header": HEADERS, "delimiter": "|"}}}),
        lambda path, rows: _csv(path, rows, delimiter="|", end="\n", headers=()), lambda row: row,
    ),
    Shape(
        "csv in UTF-16", "c.csv", Read.model_validate({"format": "csv"}),
        lambda path, rows: _csv(path, rows, delimiter="\t", encoding="utf-16"), lambda row: row + 1,
    ),
    Shape(
        "fixed width", "d.txt",
        Read.model_validate(
            {"format": {"fixed": {"columns": {name: [at * 30 + 1, 30] for at, name in enumerate(HEADERS)}}}}
        ),
        _fixed, lambda row: row, breaks=False,
    ),
    Shape("excel", "e.xlsx", Read.model_validate({"format": "excel"}), _excel, lambda row: row + 1),
    Shape("JSON lines", "f.jsonl", Read(), _jsonl, lambda row: row, wanted=HEADERS),
    Shape(
        "FEC", "g.txt", Read.model_validate({"format": "fec"}), _fec, lambda row: row + 1, breaks=False,
        headers=COLUMNS,
    ),
)
