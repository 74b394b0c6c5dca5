"""Source columns: which a mapping names, and which there are where the mapping itself says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mappings.check.places import FlowPlace, Problems, Step
from mappings.codecs.formula import names_in
from mappings.errors import Problem
from mappings.language.derived import Derived, is_part
from mappings.language.field import FieldMap, Part
from mappings.language.file_pattern import FilePattern
from mappings.language.flow import Into
from mappings.language.read import Read
from mappings.language.strict import Column, Place
from mappings.language.text import Text
from mappings.language.words import did_you_mean, listed


def known_columns(read: Read) -> Sequence[str] | None:
    """The columns of the source, where the mapping says them all; None where only the file can tell."""
    form = read.format
    added = (read.continues.number,) if read.continues and read.continues.number else ()
    if read.records is not None and read.records.columns is not None:
        return (*read.records.columns, *added)
    if form is None:
        return None
    if form.fixed is not None:
        return (*form.fixed.columns, *added)
    if form.csv is not None and isinstance(form.csv.header, tuple):
        return (*form.csv.header, *added)
    return None


def without_header(read: Read) -> bool:
    """Whether columns go by position only."""
    form = read.format
    named = read.records is not None and read.records.columns is not None
    return not named and form is not None and any(
        part is not None and part.header is False for part in (form.csv, form.excel)
    )


def check_columns(place: FlowPlace, pattern: FilePattern | None) -> Problems:
    """Every column named in the flow is there, as far as the mapping tells; every $variable is a part of the name."""
    read = place.flow.read
    known, positions = known_columns(read), without_header(read)
    variables = [part.name for part in pattern.parts] if pattern else []
    added = read.continues.number if read.continues else None
    for path, text in _texts(read):
        if text.startswith("$") and text[1:] not in variables:
            yield _no_part(place, path, text, variables)
    for whose, path, column in _named(place):
        spot = whose.value(*path)
        if isinstance(column, Derived):
            continue
        if isinstance(column, str) and not column.strip():
            yield spot.problem("no column is named here; name one, by its header or its position from 1")
        elif is_part(column):
            if str(column)[1:] not in variables:
                yield _no_part(whose, path, str(column), variables)
        elif positions and not str(column).isdigit() and column != added:
            yield spot.problem(f"{column!r}: the file has no header, so a column goes by its position from 1")
        elif known is not None and not _is_known(column, known):
            hint = did_you_mean(str(column), [*known, *read.derive])
            if isinstance(column, int):
                hint = f"; there are {len(known)}"
            yield spot.problem(f"there is no column {column!r}{hint}")


def _no_part(place: FlowPlace, path: tuple[Step, ...], written: str, variables: Sequence[str]) -> Problem:
    name = written[1:]
    hint = did_you_mean(name, variables) if variables else f"; write {{{name}}} into read.files"
    return place.value(*path).problem(f"{written}: the file's name has no part {name!r}{hint}")


def _texts(read: Read) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Texts beside columns that may take a part of the file's name."""
    if read.records is not None:
        used = (read.records.use,) if isinstance(read.records.use, str) else read.records.use
        for position, text in enumerate(used):
            yield ("read", "records", "use", position), text
    if read.format is not None and read.format.excel is not None and isinstance(read.format.excel.sheet, str):
        yield ("read", "format", "excel", "sheet"), read.format.excel.sheet


def _is_known(column: Column, known: Sequence[str]) -> bool:
    if isinstance(column, int):
        return 1 <= column <= len(known)
    name, _, number = column.partition("#")
    return column in known or (number.isdigit() and 0 < int(number) <= list(known).count(name))


def _named(place: FlowPlace) -> Iterator[tuple[FlowPlace, tuple[Step, ...], Column]]:
    for at, named in _read_by(place.flow.read):
        yield place, ("read", *at), named
    for into in place.intos():
        if into.into.each is not None:
            continue  # columns are paths into the nested list
        for path, column in into_columns(into.into):
            yield into, path, column


def into_columns(into: Into) -> Iterator[tuple[tuple[Step, ...], Column]]:
    """The columns that an into names, and where below it."""
    for position, column in enumerate(into.key):
        yield ("key", position), column
    for name in into.when:
        yield ("when", name), name
    for name, line in into.fields.items():
        for path, column in field_columns(line):
            yield ("fields", name, *path), column


def _read_by(read: Read) -> Iterator[tuple[tuple[Step, ...], Column]]:
    for name, text in read.derive.items():
        for path, column in text_columns(text):
            if column not in read.derive:  # what derived columns may be made of is told where they are checked
                yield ("derive", name, *path), column
    for key, asked in (("version", read.version), ("stamp", read.stamp)):
        if asked is not None:
            yield (key,), asked
    for path, spot in _told_by(read):
        if spot is not None and not isinstance(spot, tuple) and spot not in read.derive:
            yield path, spot
    if read.continues is not None:
        for key, columns in (("blank", read.continues.blank), ("fill", read.continues.fill)):
            for position, column in enumerate(columns):
                yield ("continues", key, position), column


def _told_by(read: Read) -> Iterator[tuple[tuple[Step, ...], Column | Place | None]]:
    """What tells the kinds of lines apart, and what a trailer counts and adds up: columns of the flow's own rows."""
    if read.records is not None:
        yield ("records", "by"), read.records.by
    if read.trailer is not None:
        yield ("trailer", "by"), read.trailer.by
        yield ("trailer", "rows"), read.trailer.rows
        for name, at in read.trailer.sum.items():
            yield ("trailer", "sum", name), name
            yield ("trailer", "sum", name), at


def text_columns(text: Text) -> Iterator[tuple[tuple[Step, ...], Column]]:
    """The columns that a text names, and where below it."""
    if text.from_ is not None:
        yield ("from",), text.from_
    for position, column in enumerate(text.first or ()):
        yield ("first", position), column
    for position, column in enumerate(text.join.columns if text.join else ()):
        yield ("join", "columns", position), column


def field_columns(line: FieldMap) -> Iterator[tuple[tuple[Step, ...], Column]]:
    """The columns that one field names, and where below the field."""
    yield from text_columns(line)
    for name in names_in(line.compute) if line.compute is not None else ():
        yield ("compute",), name
    for key, part in (("currency", line.currency), ("unit", line.unit), ("region", line.region)):
        if isinstance(part, Part) and part.from_ is not None:
            yield (key, "from"), part.from_


def twice(columns: Sequence[Column]) -> str | None:
    """Columns that a list names more than once, in words."""
    again = [str(column) for column in dict.fromkeys(columns) if list(columns).count(column) > 1]
    return listed(again, "and") or None
