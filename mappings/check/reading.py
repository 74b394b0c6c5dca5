"""`read`, `guard` and `schedule` of a flow: patterns, formats, times."""

from __future__ import annotations

import re
from itertools import pairwise

from mappings.check.places import FlowPlace, Problems
from mappings.check.time_formats import time_format_problem
from mappings.language.cron import cron_problem, zone_problem
from mappings.language.file_pattern import FilePattern, parse_pattern, usable_pattern
from mappings.language.flow import SCHEDULED
from mappings.language.read import CsvFormat, Format, Read, Records
from mappings.language.words import did_you_mean

CELLS = re.compile(r"\$?[A-Za-z]{1,3}\$?[1-9]\d{0,6}:\$?[A-Za-z]{1,3}\$?[1-9]\d{0,6}")
ENCODINGS = ("utf-8", "cp1252", "iso-8859-1", "iso-8859-15", "cp850", "cp437", "utf-16", "mac-roman")


def pattern_of(place: FlowPlace) -> FilePattern | None:
    """The flow's file pattern; None where it has none, or a wrong one."""
    return usable_pattern(place.flow.read.files)


def check_reading(place: FlowPlace) -> Problems:
    read = place.flow.read
    yield from _files(place, read)
    if read.format is not None:
        yield from check_format(place, read.format, read.records)
    yield from _rows(place, read)
    yield from _schedule(place)
    if read.timezone is not None and (problem := zone_problem(read.timezone)):
        yield place.value("read", "timezone").problem(f"read.timezone: {problem}")


def _files(place: FlowPlace, read: Read) -> Problems:
    system = place.project.systems.get(place.flow.system)
    if read.files is None:
        if (system is not None and system.connector == "file" and place.flow.direction != "out"
                and not read.hook):
            yield place.key("read").warning(
                f"which files? {place.flow.system} is a folder: write read.files, a pattern of their names; without it"
                f" a file is read only where `navette run {place.flow.flow} --file` names it")
        return
    try:
        pattern = parse_pattern(read.files)
    except ValueError as error:
        yield place.value("read", "files").problem(f"read.files: {error}")
        return
    ordered = [part.name for part in pattern.parts if part.kind != "text"]
    if read.order is not None and read.order not in ordered:
        hint = did_you_mean(read.order, ordered) if ordered else "; the pattern has no date and no number"
        yield place.value("read", "order").problem(f"read.order: no dated or numbered part {read.order!r}{hint}")
    if read.every is not None and not any(part.kind == "date" for part in pattern.parts):
        example = "such as {day:%Y%m%d}"
        yield place.key("read", "every").problem(f"read.every needs a date in the file's name, {example}")


def check_format(place: FlowPlace, form: Format, records: Records | None, part: str = "read") -> Problems:
    """What a format says, below `read` or `write`."""
    for kind in ("csv", "fixed", "jsonl", "fec"):
        said = getattr(form, kind)
        if said is not None and said.encoding is not None and not _is_encoding(said.encoding):
            message = f"there is no encoding {said.encoding!r}{did_you_mean(said.encoding, ENCODINGS)}"
            yield place.value(part, "format", kind, "encoding").problem(message)
    if form.csv is not None:
        yield from _csv(place, form.csv, part)
    cells = form.excel.range if form.excel is not None else None
    if cells is not None and not CELLS.fullmatch(cells):
        message = f"{part}.format.excel.range: expected cells such as A1:F200, not {cells!r}"
        yield place.value(part, "format", "excel", "range").problem(message)
    if form.fixed is not None:
        if not form.fixed.columns and (records is None or not records.columns):
            yield place.key(part, "format", "fixed").problem("fixed needs `columns`: name to [start, width]")
        yield from _layout(place, form.fixed.columns, (part, "format", "fixed", "columns"))
    if records is not None and isinstance(records.columns, dict):
        if form.fixed is None:
            message = "[start, width] is for fixed width; here, list the names"
            yield place.key(part, "records", "columns").problem(message)
        yield from _layout(place, records.columns, (part, "records", "columns"))


def _csv(place: FlowPlace, csv: CsvFormat, part: str) -> Problems:
    for number, begin in enumerate(csv.comment or ()):
        if not begin:
            spot = place.value(part, "format", "csv", "comment", number)
            yield spot.problem(f"{part}.format.csv.comment: every line begins with an empty text")
    for key in ("quote", "escape"):
        if csv.delimiter is not None and csv.delimiter == getattr(csv, key):
            spot = place.value(part, "format", "csv", "delimiter")
            yield spot.problem(f"{part}.format.csv: delimiter and {key} are the same character")


def _layout(place: FlowPlace, columns: dict[str, tuple[int, int]], path: tuple[str, ...]) -> Problems:
    placed = sorted((start, width, name) for name, (start, width) in columns.items())
    for (start, width, name), (after, _, other) in pairwise(placed):
        if start + width > after:
            message = f"{other} begins at {after}, inside {name} ({start} to {start + width - 1})"
            spot = place.value(*path, other)
            yield spot.problem(message) if path[0] == "write" else spot.warning(message)


def _rows(place: FlowPlace, read: Read) -> Problems:
    if read.stamp_format is not None and read.stamp is None and read.version is None:
        yield place.key("read", "stamp_format").problem("read.stamp_format needs `stamp`, the column it describes")
    if read.stamp_format is not None and (problem := time_format_problem(read.stamp_format, ())):
        yield place.value("read", "stamp_format").problem(f"read.stamp_format: {problem}")
    fixed = read.format is not None and read.format.fixed is not None
    for key, by in (("records", read.records and read.records.by), ("trailer", read.trailer and read.trailer.by)):
        if isinstance(by, tuple) and not fixed:
            message = f"read.{key}.by: [start, width] is for fixed width; name a column"
            yield place.value("read", key, "by").problem(message)
    if read.trailer is not None and read.trailer.rows is None and not read.trailer.sum:
        yield place.key("read", "trailer").problem("read.trailer: what does it tell? Write `rows`, or `sum`")
    if read.query is not None and read.changed_since is None and not read.full:
        message = ("read.query: nothing tells what changed since the last read, so only the first one succeeds; write "
                   "read.changed_since, its column with the time of change, or read.full: true")
        yield place.key("read", "query").warning(message)
    scheduled = place.flow.schedule is not None and place.flow.schedule.full is not None
    if not read.full and not scheduled and not _tells_deletes(place, read):
        for into in place.intos():
            if into.into.absent != "ignore" and not into.into.whole:
                what = f"{into.into.label}: absent: {into.into.absent}"
                message = f"{what} only acts in a full read; write read.full: true"
                yield into.key("absent").warning(message)


def _tells_deletes(place: FlowPlace, read: Read) -> bool:
    """A system that answers tells what was deleted, by its change table or log, but where changes are read by a column:
    of a row that is gone no column says so."""
    system = place.project.systems.get(place.flow.system)
    answers = system is not None and system.connector != "file"
    return answers and read.query is None and read.changed_since is None


def _schedule(place: FlowPlace) -> Problems:
    schedule = place.flow.schedule
    if schedule is None:
        return
    for key in SCHEDULED:
        line = getattr(schedule, key)
        if line is not None and (problem := cron_problem(line)):
            yield place.value("schedule", key).problem(f"schedule.{key}: {problem}")
    if problem := zone_problem(schedule.timezone):
        yield place.value("schedule", "timezone").problem(f"schedule.timezone: {problem}")


def _is_encoding(name: str) -> bool:
    try:
        b"?".decode(name)
    except UnicodeError:
        return True  # one byte is no character of it
    except (LookupError, ValueError):
        return False
    return True
