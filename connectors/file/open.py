"""Opens a file as a source: the format that the mapping pins, or the one that the file shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connectors.file.delimited import DelimitedSource
from connectors.file.dialect import lay_out
from connectors.file.excel import open_excel
from connectors.file.fec import open_fec
from connectors.file.fixed import open_fixed
from connectors.file.jsonl import open_jsonl
from connectors.file.series import Series
from connectors.file.sniff import FormatName, readable_file, told_by_bytes, told_by_text
from connectors.page import Source
from mappings.errors import ConfigurationError, NavetteError, SourceUnreadable
from mappings.language.read import CsvFormat, Read


def open_source(
    path: Path, read: Read, *, columns_wanted: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Source:
    """The file as a source of pages.

    `columns_wanted`: paths that the mapping reads, for formats without headers of their own (JSON lines).
    `variables`: parts of the file's name, usable as $part in `records.use` and `sheet`.
    Raises SourceUnreadable if the file cannot be read as that format, ConfigurationError if the mapping cannot be.
    """
    head = readable_file(path)
    pinned = _pinned(read)
    shown = told_by_bytes(head, path)
    if pinned is None:
        name = shown or told_by_text(head, path)
    else:
        name = pinned
        if (name == "excel") != (shown == "excel"):
            told = "a spreadsheet or zip archive" if shown else "text"
            raise SourceUnreadable(
                f"the mapping says format: {name}, the file is {told}", where=str(path),
                todo="correct `format`, or leave it out",
            )
    try:
        source = OPENERS[name](path, _filled(read, variables or {}), tuple(columns_wanted))
    except NavetteError:
        raise
    except OSError as error:
        raise SourceUnreadable(
            f"reading failed: {error.strerror or error}", where=str(path), todo="check the file and the disk"
        ) from error
    if pinned is None:
        source.detected.setdefault("format", name)
    return source


def _pinned(read: Read) -> FormatName | None:
    if read.format is None:
        return None
    named: list[FormatName] = [name for name in OPENERS if getattr(read.format, name) is not None]
    if len(named) > 1:
        raise ConfigurationError(f"`format` names {' and '.join(named)}", todo="name one format")
    return named[0] if named else None


def _filled(read: Read, variables: Mapping[str, str]) -> Read:
    """The mapping with $part replaced in `records.use` and in the name of the sheet."""

    def value(text: str) -> str:
        return variables.get(text[1:], text) if text.startswith("$") else text

    if read.records is not None:
        use = (read.records.use,) if isinstance(read.records.use, str) else read.records.use
        records = read.records.model_copy(update={"use": tuple(value(one) for one in use)})
        read = read.model_copy(update={"records": records})
    if read.format is not None and read.format.excel is not None and isinstance(read.format.excel.sheet, str):
        excel = read.format.excel.model_copy(update={"sheet": value(read.format.excel.sheet)})
        read = read.model_copy(update={"format": read.format.model_copy(update={"excel": excel})})
    return read


def _csv(path: Path, read: Read, _: tuple[str, ...]) -> Source:
    form = read.format.csv if read.format and read.format.csv else CsvFormat()
    layout = lay_out(path, form, read)
    return DelimitedSource(path, layout, Series.of(read, layout.columns, str(path), export=layout.own is not None))


OPENERS: dict[FormatName, Callable[[Path, Read, tuple[str, ...]], Source]] = {
    "csv": _csv, "fixed": open_fixed, "excel": open_excel, "jsonl": open_jsonl, "fec": open_fec,
}
