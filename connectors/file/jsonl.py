"""JSON lines: one object a line; columns are paths into it (client.code), lists are cells of JSON text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from connectors.file.block import Block, Damage, paginate
from connectors.file.encoding import SAMPLE, mark_of, readable, settle, text_blocks
from connectors.file.json_text import long_numbers, parsed
from connectors.file.lines import NOTHING, whole_lines
from connectors.file.nested import column_of, paths_of
from connectors.file.neutral import ANSWERS, KEPT, OWN_PREFIX, are_numbers
from connectors.file.scan import Lines
from connectors.file.series import Series
from connectors.file.spoilt import spoilt, why_spoilt
from connectors.page import PAGE_ROWS, Notices, Page
from mappings.errors import SourceUnreadable
from mappings.language.read import JsonlFormat, Read

BLOCK_BYTES = 4 << 20
_ANSWERS = re.compile(rf'"{ANSWERS}" *: *"([^"]*)"')
DEEPEST = 6
"""Objects within objects whose values become columns where the mapping names none."""


@dataclass(frozen=True)
class JsonlSource:
    """A file of JSON lines, read at the paths in `paths`."""

    path: Path
    encoding: str
    mark: int
    paths: tuple[str, ...]
    series: Series
    detected: dict[str, str] = field(default_factory=dict)
    block_bytes: int = BLOCK_BYTES

    @property
    def columns(self) -> tuple[str, ...]:
        return self.series.all_columns

    @property
    def notices(self) -> Notices:
        return self.series.notices

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        try:
            blocks = self.series.over(self._blocks(), self._raw, str(self.path), self.detected)
            yield from paginate(blocks, self.columns, rows)
        except OSError as error:
            raise SourceUnreadable(
                f"reading failed: {error.strerror or error}", where=str(self.path), todo="check the file and the disk"
            ) from error

    def _raw(self, cells: list[str]) -> str:
        return orjson.dumps(dict(zip(map(str, self.paths), cells, strict=False))).decode()

    def _blocks(self) -> Iterator[Block]:
        blocks = text_blocks(self.path, self.encoding, self.mark, self.block_bytes)
        for text, lines, before in whole_lines(blocks, self.path):
            yield self._block(text, lines, before)

    def _block(self, text: bytes, lines: Lines, before: int) -> Block:
        objects: list[dict[str, Any]] = []
        orders: list[int] = []
        whole: list[int] = []
        damaged: list[Damage] = []
        bad = set(spoilt(text, lines.starts, lines.nexts, int(lines.nexts[-1])))
        places = long_numbers(text[: int(lines.nexts[-1])])
        long = set((np.searchsorted(lines.starts, places, side="right") - 1).tolist())
        for at, (start, stop) in enumerate(zip(lines.starts.tolist(), lines.stops.tolist(), strict=True)):
            line = text[start:stop]
            if not line.strip(NOTHING):
                continue
            order = len(orders) + len(damaged)
            if at in bad:
                told = why_spoilt(line, self.encoding)
            else:
                value = _object(line, long=at in long)
                if isinstance(value, dict):
                    objects.append(value)
                    orders.append(order)
                    whole.append(at)
                    continue
                told = ("record", {"detail": value})
            damaged.append(Damage(order, before + at + 1, *told, *_as_it_came(readable(line))))
        table = pa.table({str(place): column_of(objects, name) for place, name in enumerate(self.paths)})
        numbers = np.array(whole, dtype=np.int64) + (before + 1)
        return Block(table, np.array(orders, dtype=np.int64), numbers, damaged)


def _as_it_came(line: str) -> tuple[str, str]:
    """The text of a damaged line, and the held rows that it answers where it is one of an export."""
    found = _ANSWERS.search(line)
    return line, found[1] if found and are_numbers(found[1]) else ""


def _object(line: bytes, *, long: bool | None = None) -> dict[str, Any] | str:
    """The object, or what is wrong."""
    try:
        value = parsed(line, long=long)
    except ValueError as error:
        return str(error)
    return value if isinstance(value, dict) else "it is a list" if isinstance(value, list) else "it is a plain value"


def open_jsonl(path: Path, read: Read, wanted: Sequence[str] = ()) -> JsonlSource:
    """`wanted`: the paths that become columns (see `paths_of`); without any, all that the first lines
    show; what these show under the name of a derived column is one in any case."""
    form = read.format.jsonl if read.format and read.format.jsonl else JsonlFormat()
    with path.open("rb") as file:
        marked, _ = mark_of(file.read(4))
    encoding, mark = settle(path, marked or form.encoding)
    paths = list(paths_of(wanted))
    for asked in (read.records.by if read.records else None, read.trailer.by if read.trailer else None):
        if isinstance(asked, str) and paths and asked not in paths:
            paths.append(asked)
    shown = _shown(path, encoding, mark)
    columns = tuple(paths or (name for name in shown if not name.startswith(OWN_PREFIX)))
    # What has the name of a derived column is a column too: so the run tells of it, as of one of any other file.
    columns += tuple(name for name in shown if name in KEPT or (name in read.derive and name not in columns))
    export = any(name.startswith(OWN_PREFIX) for name in shown)
    detected = {"encoding": encoding} if encoding != form.encoding else {}
    detected |= {"export": "refused rows"} if export else {}
    series = Series.of(read, columns, str(path), export=export)
    return JsonlSource(path, encoding, mark, columns, series, detected)


def _shown(path: Path, encoding: str, mark: int) -> list[str]:
    """The paths of plain values and lists in the first lines; SourceUnreadable if there is no object at all."""
    found: dict[str, None] = {}
    objects = lines_seen = 0
    for text, lines, _ in whole_lines(text_blocks(path, encoding, mark, SAMPLE), path):
        for start, stop in zip(lines.starts[:1000].tolist(), lines.stops[:1000].tolist(), strict=True):
            if text[start:stop].strip(NOTHING):
                lines_seen += 1
                value = _object(text[start:stop])
                if isinstance(value, dict):
                    objects += 1
                    found |= dict.fromkeys(_leaves(value, "", DEEPEST))
        if objects:
            return list(found)
        if lines_seen > 1000:
            break
    if not lines_seen:
        raise SourceUnreadable("the file has no line to read", where=str(path), todo="check the export")
    raise SourceUnreadable(
        f"none of the first {lines_seen} lines is a JSON object", where=str(path),
        todo="ask for JSON lines: one object a line, no brackets around, no commas between",
    )


def _leaves(value: dict[str, Any], prefix: str, depth: int) -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner and depth:
            yield from _leaves(inner, f"{prefix}{name}.", depth - 1)
        else:
            yield prefix + name
