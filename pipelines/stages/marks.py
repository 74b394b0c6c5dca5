"""Order marks: which of two rows of one key is newer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import POINT
from mappings.codecs.into import resolve_column
from mappings.language.read import Read

_INTEGER = r"^\s*\d{1,18}\s*$"


@dataclass
class MarksSeen:
    """Whether any mark of a run could be read; until one could, `written` counts the cells that hold one."""

    written: int = 0
    known: bool = False

    def look(self, frame: pd.DataFrame, marks: pd.Series, read: Read) -> None:
        """Takes the next rows, and the order marks that were found in them."""
        name = resolve_column(tuple(frame.columns), read.mark_columns[0]) if read.mark_columns else None
        if self.known or name is None:
            return
        self.known = bool(marks.notna().any())
        self.written += 0 if self.known else int((frame[name].str.strip() != "").fillna(False).sum())

    def notice(self, read: Read) -> dict[str, Any] | None:
        """What the notice `marks` tells, of a run none of whose marks could be read."""
        if self.known or not self.written:
            return None
        return {"written": self.written, "column": read.mark_columns[0]}


def marks_of(frame: pd.DataFrame, read: Read, file_mark: int | None) -> tuple[pd.Series, pd.Series]:
    """(order marks, stamps) of the rows, both int64 or null, aligned with the frame.

    The mark is the row's `version` (a whole number, else a time), else its `stamp`, else the file's own mark. Stamps
    and times are microseconds since 1970, UTC. A value that cannot be read gives null: the row then counts as newest.
    """
    stamps = _times(frame, read.stamp, read) if read.stamp is not None else None
    marks = order_marks(frame, read, file_mark) if stamps is None or read.version in read.mark_columns else stamps
    empty = pd.Series(pd.NA, index=frame.index, dtype="int64[pyarrow]")
    return marks, stamps if stamps is not None else empty


def order_marks(frame: pd.DataFrame, read: Read, file_mark: int | None) -> pd.Series:
    """The order marks alone; see `marks_of`."""
    if read.version in read.mark_columns:
        return _versions(frame, read)
    if read.stamp is not None:
        return _times(frame, read.stamp, read)
    return pd.Series(file_mark, index=frame.index, dtype="int64[pyarrow]")


def _versions(frame: pd.DataFrame, read: Read) -> pd.Series:
    assert read.version is not None
    name = resolve_column(tuple(frame.columns), read.version)
    if name is None:
        return pd.Series(pd.NA, index=frame.index, dtype="int64[pyarrow]")
    raw = pa.array(frame[name])
    if pc.all(pc.match_substring_regex(raw, _INTEGER), min_count=0).as_py():
        return pd.Series(pc.cast(pc.utf8_trim_whitespace(raw), pa.int64()).to_pandas(types_mapper=pd.ArrowDtype),
                         ).set_axis(frame.index)
    return _times(frame, read.version, read)


def _times(frame: pd.DataFrame, column: int | str, read: Read) -> pd.Series:
    name = resolve_column(tuple(frame.columns), column)
    if name is None:
        return pd.Series(pd.NA, index=frame.index, dtype="int64[pyarrow]")
    raw = frame[name].str.replace(POINT, ".").str.replace("\u00a0", " ").str.replace("  ", " ").str.strip()
    times = pd.to_datetime(raw.astype(object), format=read.stamp_format or "ISO8601", errors="coerce", utc=False)
    if getattr(times.dt, "tz", None) is None:
        times = times.dt.tz_localize(read.timezone or "UTC", ambiguous=True, nonexistent="shift_forward")
    micros = times.dt.tz_convert("UTC").dt.as_unit("us").astype("int64")
    return micros.where(times.notna()).astype("int64[pyarrow]")
