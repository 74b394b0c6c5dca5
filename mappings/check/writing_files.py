"""Flows that write files: their names, format, columns, trailer, and what only systems that answer can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from mappings.check.places import FlowPlace, Problems, Step
from mappings.check.reading import check_format, pattern_of
from mappings.codecs.written import declared, field_cells, named, without_names, written
from mappings.language.field import Refers
from mappings.language.file_pattern import FilePattern, parse_pattern, usable_pattern
from mappings.language.spaces import spaces_filled, spaces_referred
from mappings.language.words import did_you_mean, listed

OF_FILES = ("files", "format", "full", "columns", "records", "trailer", "when_empty", "neutral")
OF_SYSTEMS = ("resource", "mode", "batch")
OWN_PREFIX = "navette_"
"""How the columns of an export of refused rows begin (connectors.file.neutral): another file must not look like one."""


def to_files(place: FlowPlace) -> bool:
    """Whether the flow writes files."""
    return place.flow.direction == "out" and _is_folder(place)


def _is_folder(place: FlowPlace) -> bool:
    system = place.project.systems.get(place.flow.system)
    return system is not None and system.connector == "file"


def name_pattern(place: FlowPlace) -> FilePattern | None:
    """The pattern of the names of its files; None where there is none, or a wrong one."""
    return usable_pattern(place.flow.write.files)


def check_writing_files(place: FlowPlace) -> Problems:
    flow = place.flow
    if flow.direction == "two-way" and _is_folder(place):
        yield place.value("direction").problem(
            f"direction: two-way, but {flow.system} is a folder: write one flow that reads its files and one of"
            " direction: out that writes them; the same `ids` let both speak of the same keys")
        return
    if not to_files(place):
        for key in OF_FILES:
            if place.writes("write", key) and flow.system in place.project.systems:
                yield place.key("write", key).problem(
                    f"write.{key} is for files, and {flow.system} is a system that answers")
        return
    yield from _systems_only(place)
    yield from _names(place)
    if flow.write.format is not None:
        if flow.write.format.fec is not None:
            yield place.key("write", "format", "fec").problem("fec is only read; write csv, fixed, excel or jsonl")
        csv = flow.write.format.csv
        if csv is not None and csv.quote is None and csv.escape is not None:
            yield place.key("write", "format", "csv", "escape").problem(
                "write.format.csv: an escape is written inside quotes; give a quote, or leave escape out")
        fixed = flow.write.format.fixed
        if fixed is not None and fixed.bytes and (fixed.encoding or "").lower().startswith(("utf-16", "utf-32")):
            yield place.key("write", "format", "fixed", "bytes").problem(
                f"write.format.fixed: bytes: true cannot be with {fixed.encoding}; count characters")
        yield from check_format(place, flow.write.format, flow.write.records, "write")
    yield from _columns(place)
    yield from _lines(place)
    yield from _links(place)


def _systems_only(place: FlowPlace) -> Problems:
    for key in OF_SYSTEMS:
        if place.writes("write", key):
            yield place.key("write", key).problem(f"write.{key} is for systems that answer; a file has whole rows")
    if place.flow.write.archived != "ignore":
        yield place.value("write", "archived").problem(
            "write.archived is for systems that answer; in a file map the field `archived` to a column, or archived"
            " records are left out")
    if place.flow.schedule is not None and place.flow.schedule.live is not None:
        yield place.key("schedule", "live").problem("schedule.live is for systems that answer; write a cron line")


def _names(place: FlowPlace) -> Problems:
    write = place.flow.write
    if write.files is None:
        yield place.key("write").problem(
            f"which files? {place.flow.system} is a folder: write write.files, such as out_{{number:06d}}.csv")
        return
    spot = place.value("write", "files")
    try:
        pattern = parse_pattern(write.files)
    except ValueError as error:
        yield spot.problem(f"write.files: {error}")
        return
    for piece in pattern.pieces:
        if isinstance(piece, str) and piece in ("*", "?"):
            yield spot.problem(f"write.files: {piece} fits many names; here each file gets one")
        elif not isinstance(piece, str) and piece.kind == "text" and piece.name != "kind":
            yield spot.problem(f"write.files: {{{piece.name}}} is not known; a part is a number ({{number:06d}}), a"
                               " date ({day:%Y%m%d}) or {kind}, which is full or changes")
    if not write.full and not any(part.kind == "number" for part in pattern.parts):
        yield spot.problem("write.files: files of changes need a number in their names, such as {number:06d}, or one"
                           " would take the place of another that was not read yet; or write full: true")
    if write.files.startswith("."):
        yield spot.problem("write.files: a name that begins with a point is hidden, and used for unfinished files")
    if write.format is not None and write.format.excel is not None and not write.files.endswith(".xlsx"):
        yield spot.problem("write.files: a workbook is written as xlsx, so its name ends with .xlsx")


def _columns(place: FlowPlace) -> Problems:
    known, positions = declared(place.flow), without_names(place.flow)
    columns = written(place.flow).columns
    filled: Counter[str] = Counter()
    for path, column in _written(place):
        filled[name := named(column, columns)] += 1
        spot = place.value(*path)
        if positions and not str(column).isdigit():
            yield spot.problem(f"{column!r}: the file has no header, so a column goes by its position from 1")
        elif known is None and not positions and isinstance(column, int):
            yield spot.problem(f"column {column}: the file has a header, so a column that is written needs its name")
        elif known is not None and name not in known:
            yield spot.problem(f"there is no column {column!r}{did_you_mean(str(column), known)}")
        elif filled[name] > 1:
            yield spot.problem(f"two things are written to the column {column!r}")
        if isinstance(column, str) and (column.startswith("$") or "#" in column):
            yield spot.problem(f"{column!r} cannot be written: a column that is written has a name of its own")
    yield from _shape(place)


def _shape(place: FlowPlace) -> Problems:
    """What the columns are together."""
    flow, found = place.flow, written(place.flow)
    columns = found.columns
    for name in columns:
        if name.startswith(OWN_PREFIX):
            yield place.key("write").problem(f"{name}: columns called {OWN_PREFIX}… are those of exported rejects")
    form = flow.write.format
    if form is not None and form.jsonl is not None:
        for first, second in combinations(sorted(columns), 2):
            if second.startswith(f"{first}."):
                yield place.key("write", "format").problem(f"{first} would be a value and hold {second} at once")
    for into in place.intos():
        own, asked = found.own_key, found.key
        if asked and len(asked) != len(own):
            yield into.value("key").problem(
                f"key: {listed(asked, 'and')} would be the key that the system gave, the rest is written by fields;"
                " map all of its columns, or none")


def _written(place: FlowPlace) -> Iterator[tuple[tuple[Step, ...], str | int]]:
    """Every column that is written by something of its own, with its place."""
    write = place.flow.write
    for into in place.intos():
        for name, line in into.into.fields.items():
            for column in field_cells(line):
                yield ("into", into.number, "fields", name), column
    if write.reference is not None:
        yield ("write", "reference"), write.reference
    if write.records is not None and not isinstance(write.records.by, tuple):
        yield ("write", "records", "by"), write.records.by


def _lines(place: FlowPlace) -> Problems:
    """The record type and the trailer."""
    write, columns = place.flow.write, written(place.flow).columns
    fixed = write.format is not None and write.format.fixed is not None
    if write.records is not None and not isinstance(write.records.use, str) and len(write.records.use) != 1:
        yield place.value("write", "records", "use").problem("write.records.use: one record type is written")
    for key in ("records", "trailer"):
        by = getattr(getattr(write, key), "by", None)
        if isinstance(by, tuple) and not fixed:
            yield place.value("write", key, "by").problem(
                f"write.{key}.by: [start, width] is for fixed width; name a column")
    if write.trailer is None:
        return
    if write.trailer.rows is None and not write.trailer.sum:
        yield place.key("write", "trailer").problem("write.trailer: what does it tell? Write `rows`, or `sum`")
    asked: list[tuple[tuple[Step, ...], object]] = [
        (("write", "trailer", "by"), write.trailer.by), (("write", "trailer", "rows"), write.trailer.rows)]
    for name, at in write.trailer.sum.items():
        asked += [(("write", "trailer", "sum", name), name), (("write", "trailer", "sum", name), at)]
    for path, column in asked:
        if isinstance(column, str | int) and named(column, columns) not in columns:
            yield place.value(*path).problem(
                f"write.trailer: there is no column {column!r}{did_you_mean(str(column), columns)}")


def _links(place: FlowPlace) -> Problems:
    """A link is written as the key by which the system knows the record, so some flow has to bring that key."""
    reading = {name: flow for name, flow in place.project.flows.items() if flow.direction != "out"}
    for into in place.intos():
        for name, line in into.into.fields.items():
            spec = into.spec(name)
            if spec is None or spec.type not in ("link", "links") or not field_cells(line):
                continue
            refers = line.refers or Refers(entity=spec.to)
            spaces = spaces_referred(refers, place.flow, place.project.flows)
            if refers.by is None and not any(space in spaces_filled(reading) for space in spaces):
                yield into.key("fields", name).problem(
                    f"{name}: no flow brings the keys by which {refers.in_ or place.flow.system} knows {refers.entity};"
                    f" refer `by` a field, or by our id: refers: {{entity: {refers.entity}, by: id}}")


def check_same_names(places: list[FlowPlace]) -> Problems:
    """No two flows write files of one name, and none reads what another writes, unless in another folder."""
    writing = [(place, pattern) for place in places if to_files(place) and (pattern := name_pattern(place))]
    for (first, one), (second, two) in combinations(writing, 2):
        alike = one.match(two.sample) is not None or two.match(one.sample) is not None
        if _outbound(first) == _outbound(second) and alike:
            yield second.value("write", "files").problem(
                f"{first.flow.flow} writes files of the same names into the same folder")
    for place, pattern in writing:
        for other in places:
            read = pattern_of(other)
            if read is None or _folder(other) != _outbound(place) or other.flow.direction == "out":
                continue
            if read.match(pattern.sample) is not None:
                yield place.value("write", "files").problem(
                    f"{other.flow.flow} would read these files back from the same folder; give the system a folder of"
                    " its own for them (`outbound`)")


def _outbound(place: FlowPlace) -> str | None:
    system = place.project.systems.get(place.flow.system)
    return None if system is None else system.outbound or system.folder


def _folder(place: FlowPlace) -> str | None:
    system = place.project.systems.get(place.flow.system)
    return None if system is None else system.folder
