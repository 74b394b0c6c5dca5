"""An xlsx workbook with one sheet of text cells, written row by row: no row is kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from connectors.file.excel import Area, range_of
from connectors.file.outbound.port import Cells, Trailer, Unfit, flags, unfit
from mappings.errors import RunStopped
from mappings.language.read import ExcelFormat

LONGEST_CELL = 32_767
ROWS = 1_048_576
_CONTROL = r"[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\x{fffe}\x{ffff}]"
"""What XML has no sign for; and the carriage return, which comes back as a line feed."""


@dataclass
class SheetWriter:
    """`columns` in the order of the sheet. `folder`: where what is not finished is kept meanwhile."""

    file: BinaryIO
    form: ExcelFormat
    columns: Sequence[str]
    folder: Path
    row: int = 0
    left: int = 0
    book: Any = field(init=False)
    sheet: Any = field(init=False)

    def __post_init__(self) -> None:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
                   "strings_to_numbers": False, "tmpdir": str(self.folder)}
        self.book = xlsxwriter.Workbook(self.file, options)
        self.book.use_zip64()  # beyond 4 GB of XML
        if isinstance(self.form.sheet, int):
            for _ in range(self.form.sheet - 1):
                self.book.add_worksheet()
        self.sheet = self.book.add_worksheet(self.form.sheet if isinstance(self.form.sheet, str) else None)
        area = range_of(self.form.range) if self.form.range else Area(0, 0, 0, 0)
        self.row, self.left = area.top, area.left
        if self.form.header is not False:
            self.row += int(self.form.header) - 1
            self._row(self.columns)
            self.row += self.form.skip

    def judge(self, cells: Cells) -> list[Unfit]:
        found: list[Unfit] = []
        for name, values in cells.items():
            found += unfit(name, values, flags(pc.match_substring_regex(values, _CONTROL)), "not_fitting")
            sizes = pc.utf8_length(values)
            found += [Unfit(one.row, name, "too_wide", {**one.params, "size": sizes[one.row].as_py()})
                      for one in unfit(name, values, flags(pc.greater(sizes, LONGEST_CELL)), "too_wide",
                                       width=LONGEST_CELL)]
        return found

    def write(self, cells: Cells) -> None:
        rows = len(next(iter(cells.values())))
        if self.row + rows > ROWS:
            raise RunStopped(f"a sheet holds {ROWS:,} rows, and there are more",
                             todo="write csv or jsonl, or narrow what is sent with write.when")
        columns = [cells[name].to_pylist() if name in cells else [""] * rows for name in self.columns]
        for texts in zip(*columns, strict=True):
            self._row(texts)

    def finish(self, trailer: Trailer) -> None:
        if trailer:
            told = {str(place): text for place, text in trailer}
            self._row([told.get(name, "") for name in self.columns])
        try:
            self.book.close()
        except FileCreateError as error:
            raise OSError(*getattr(error.args[0], "args", (str(error),))) from error

    def _row(self, texts: Sequence[str]) -> None:
        for place, text in enumerate(texts, self.left):
            if text:
                self.sheet.write_string(self.row, place, text)
        self.row += 1
