"""Opens the writer of an outbound file: the format that the mapping names, csv where it names none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from connectors.file.outbound.delimited import DelimitedWriter
from connectors.file.outbound.encoded import Encoding
from connectors.file.outbound.fixed import FixedWriter
from connectors.file.outbound.jsonl import JsonlWriter
from connectors.file.outbound.port import FileWriter
from connectors.file.outbound.sheet import SheetWriter
from mappings.errors import ConfigurationError
from mappings.language.read import CsvFormat, Format
from mappings.language.write import Write


def open_writer(file: BinaryIO, write: Write, columns: Sequence[str], *, folder: Path, where: str,
                plain: frozenset[str] = frozenset(), lists: frozenset[str] = frozenset()) -> FileWriter:
    """A writer of `columns`, in this order, that has written what stands before the first row.

    `plain`: columns of numbers and truths, `lists`: of JSON lists, which JSON lines write as such. `folder`: for what a
    workbook keeps meanwhile. Raises ConfigurationError for an encoding that there is not.
    """
    form = write.format or Format(csv=CsvFormat())
    if form.csv is not None:
        return DelimitedWriter(file, form.csv, columns, Encoding.of(form.csv.encoding, where))
    if form.fixed is not None:
        own = write.records.columns if write.records and isinstance(write.records.columns, dict) else None
        by = write.records.by if write.records is not None else None
        kind = (by, used(write)) if isinstance(by, tuple) else None
        return FixedWriter(file, form.fixed, own or form.fixed.columns, Encoding.of(form.fixed.encoding, where), kind)
    if form.jsonl is not None:
        return JsonlWriter(file, columns, Encoding.of(form.jsonl.encoding, where), plain, lists)
    if form.excel is not None:
        return SheetWriter(file, form.excel, columns, folder)
    raise ConfigurationError("fec is only read", where=where, todo="write.format: csv, fixed, excel or jsonl")


def used(write: Write) -> str:
    """The record type that every line carries; '' where there is none."""
    use = write.records.use if write.records is not None else ""
    return use if isinstance(use, str) else use[0]
