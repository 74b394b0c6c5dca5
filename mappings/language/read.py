"""What `read:` says of a source: which files, their form, their order and completeness."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mappings.language.strict import (
    OTHER,
    Column,
    Columns,
    Count,
    Duration,
    Expected,
    Names,
    Place,
    Position,
    ShortForm,
    Strict,
)
from mappings.language.text import AnyText

Switch = Annotated[bool, OTHER]
Sign = Annotated[str, Field(pattern=r"^[\x01-\x09\x0B\x0C\x0E-\x7F]$"),
                 Expected('one character of ASCII that ends no line, such as ";" or "\\t"')]
"""What stands between or around cells: text is taken apart byte by byte, and line by line."""
TIME_OF_DAY = r"^([01]\d|2[0-3]):[0-5]\d$"


class CsvFormat(Strict):
    """Delimited text. What is None is detected, shown in the run, and can be pinned here."""

    delimiter: Sign | None = None  # one character; "\t" for a tab
    quote: Sign | None = '"'  # null: quotes are ordinary characters
    escape: Sign | None = None  # e.g. "\\"; a doubled quote always counts
    encoding: str | None = None  # utf-8, cp1252, iso-8859-1, iso-8859-15, cp850, utf-16 …
    decimal: Literal[".", ","] | None = None  # decimal sign of its numbers
    # true: first line | line number from 1 | false: none | the names
    header: Annotated[
        Switch | Position | tuple[str, ...], Expected("true, false, the header's line (from 1) or a list of the names")
    ] = True
    skip: Count = 0  # lines before the header
    comment: Names | None = None  # lines that begin with this, or with one of several such texts, are left out
    html: bool = False  # HTML entities become characters before lines are split (the `;` of &eacute; is no delimiter)


class FixedFormat(Strict):
    """Fixed width: name to [start, width], start counts from 1 and widths count characters (bytes: true: bytes)."""

    columns: dict[str, Place] = Field(default={})  # name to [start, width]; start counts from 1
    encoding: str | None = None  # as for csv
    decimal: Literal[".", ","] | None = None  # decimal sign of its numbers
    skip: Count = 0  # lines before the first row
    bytes: bool = False  # start and width count bytes, not characters
    short: Literal["pad", "reject"] = "pad"  # a line shorter than the last column


class ExcelFormat(Strict):
    """xlsx, xls or ods."""

    # name, or position from 1; None: the first that has rows, a visible one if any has
    sheet: Annotated[Annotated[str, OTHER] | Position, Expected("a sheet's name, or its position from 1")] | None = None
    # row of the headers, from 1; false: none
    header: Annotated[Switch | Position, Expected("the header's row (from 1), or false")] = 1
    skip: Count = 0  # rows between header and data
    range: str | None = None  # only these cells: A1:F200
    decimal: Literal[".", ","] | None = None  # decimal sign of numbers that stand as text


class JsonlFormat(Strict):
    """One JSON object a line; paths (a.b.c) name nested values."""

    encoding: str = "utf-8"  # as for csv


class FecFormat(Strict):
    """The French accounting file: 18 columns by law, more are kept; separator and encoding are detected."""

    encoding: str | None = None  # as for csv; default: detected
    delimiter: Sign | None = None  # a tab or |; default: detected


class Format(Strict):
    """Exactly one of these; `format: csv` is short for `format: {csv: {}}`. None: told by name and content."""

    expected: ClassVar[str] = "one of csv, fixed, excel, jsonl or fec, alone or with its keys below"

    csv: CsvFormat | None = None  # delimited text
    fixed: FixedFormat | None = None  # fixed width
    excel: ExcelFormat | None = None  # xlsx, xls, ods
    jsonl: JsonlFormat | None = None  # one JSON object a line
    fec: FecFormat | None = None  # the French accounting file

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise PydanticCustomError("said", "a file has one format, not {given}", {"given": " and ".join(given)})
        if not given:
            raise PydanticCustomError("incomplete", "which format? csv, fixed, excel, jsonl or fec")
        return self


def format_form(value: Any) -> Any:
    """`format: csv` is `format: {csv: {}}`."""
    if isinstance(value, dict):
        return {name: {} if inner is None else inner for name, inner in value.items()}
    return {value: {}} if isinstance(value, str) else value


KINDS = {"enum": list(Format.model_fields)}


class Records(Strict):
    """Several record types in one file: only lines whose column `by` is `use` are this flow's rows."""

    by: Column | Place  # a column, or [start, width] in fixed width
    use: str | tuple[str, ...]  # the record type, or several
    columns: dict[str, Place] | tuple[str, ...] | None = None  # the layout of this type


class Trailer(Strict):
    """A last line that tells a row count or a sum; the file is refused when they differ."""

    by: Column | Place  # where the line's kind stands: a column, or [start, width]
    is_: Annotated[str, Field(alias="is")]  # what stands there on a trailer
    rows: Column | Place | None = None  # where the trailer has the number of rows
    sum: dict[str, Column | Place] = Field(default={})  # column of the rows: where the trailer has its sum


class Each(Strict):
    """Continuation lines: rows whose `blank` columns are empty take the values of the row above (`fill`)."""

    blank: Columns  # where all of these are empty, the line continues the row above
    fill: Columns  # then these are taken from the row above
    number: str | None = None  # a column of this name is added: 0 on a head line, then 1, 2 … until the next head


class Read(Strict):
    """Which files, their form, their order and completeness."""

    resource: str | None = None  # of a system that is no folder: the table, view, model or path
    query: str | None = None  # sql: this SELECT instead of a table
    changed_since: Column | None = None  # the column with the time of change; default: the connector's own way
    overlap: Duration = "5m"  # how far a read of changes goes back behind the last one: late commits
    files: str | None = None  # pattern: * and ?, {part}, {day:%Y%m%d}, {number:d}; parts become $part
    format: Annotated[Format, ShortForm(format_form, (KINDS,))] | None = None  # default: told by the file itself
    hook: bool = False  # the system calls us (`navette serve`); what it says comes in as rows of this flow
    full: bool = False  # the source holds everything: what is absent is gone
    order: str | None = None  # the part that puts files in order; default: the first dated or numbered part
    # the time of day (of the schedule's time zone) by which a file has to be there
    expected_by: Annotated[str | None, Field(pattern=TIME_OF_DAY), Expected('a time such as "06:00"')] = None
    every: Literal["day", "weekday", "week", "month"] | None = None  # gaps in a dated series are reported
    version: Column | None = None  # the row's own version (a number) or stamp: its order mark
    stamp: Column | None = None  # the row's own time of change; also its order mark where there is no version
    stamp_format: str | None = None  # the strptime form of `stamp` (or of a `version` that is a time); default: ISO
    timezone: str | None = None  # of a stamp without offset; IANA name; default: UTC
    records: Records | None = None  # several record types in one file: which lines are this flow's
    trailer: Trailer | None = None  # a last line that tells the number of rows, or a sum
    continues: Each | None = None  # lines that continue the row above
    derive: dict[str, AnyText] = Field(default={})  # columns made of the file's: new name to the text they are

    @property
    def decimal(self) -> Literal[".", ","] | None:
        """The decimal sign that the mapping pins for the whole file."""
        form = self.format and (self.format.csv or self.format.fixed or self.format.excel)
        return form.decimal if form else None

    @property
    def mark_columns(self) -> tuple[Column, ...]:
        """The columns that tell which of two rows of one key is newer: `version`, `stamp`. PostgreSQL's `xmin` tells
        two states of a row apart, not which is newer: transactions end in another order than they begin."""
        version = None if self.version == "xmin" else self.version
        return tuple(column for column in (version, self.stamp) if column is not None)
