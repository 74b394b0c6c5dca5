"""Held rows as files like the ones they came from, to be corrected and read again.

::

    open held rows ─ one raw row once ─▶ by the parts of the file's name that the flow uses ─▶ connectors.file.write

A key of `[$company, CT_NUM]` takes its company from the file's name: rows of two companies cannot share a file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, select

from connectors.file.neutral import KEPT
from connectors.file.write import write_like
from crm_store import hub_tables as tables
from mappings.codecs.columns import variables_used
from mappings.errors import NavetteError
from mappings.language.file_pattern import FilePattern, Part, usable_pattern
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.ops.export_rows import Sheet
from pipelines.ops.held_rows import HeldRow, held_rows, stream_rows
from pipelines.ops.sentences import said
from pipelines.runs.sources import columns_wanted, open_named

Variables = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Exported:
    """One file that was written; `notes` say what to know before it is read again."""

    path: Path
    rows: int
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path)}


def export_held(hub: Hub, name: str, out: Path | None = None, outcome: str = "rejected") -> list[Exported]:
    """Writes the open held rows of a flow; returns the files, none when nothing is open.

    `out`: a file, or a folder that exists; default: NAVETTE_HOME/exports, where no earlier export is overwritten.
    Columns: the source's own, then navette_reason, navette_field, navette_line, navette_source, navette_id and
    navette_raw (lines that could not be split). Raises ConfigurationError for an unknown flow, or a path that cannot
    be written.
    """
    flow = hub.flow(name)
    whole = out is not None and not out.is_dir()
    used = variables_used(flow)
    with hub.engine.connect() as connection:
        runs = _runs(connection, name)
        sheets: dict[Variables, Sheet] = {}
        for row in stream_rows(connection, _open_rows(name, outcome)):
            parts = _parts(runs, row)
            group = tuple((key, value) for key, value in parts if key in used) if whole else parts
            sheets.setdefault(group, Sheet()).add(row)
        columns = _columns(hub, connection, flow, list(sheets.values()), runs) if sheets else []
    written: list[Exported] = []
    for parts, sheet in sheets.items():
        detected = _detected(runs, sheet.runs)
        if whole and out is not None:
            path = out if len(sheets) == 1 else out.with_name(_numbered(out, len(written) + 1))
        else:
            folder = out or _exports_folder(hub)
            path = _free(folder / _file_name(flow, sheet.first.source, dict(parts), detected), keep=out is None)
        write_like(path, columns, sheet.frame(columns), flow.read, detected)
        if path.is_file():  # and no device such as /dev/stdout
            path.chmod(0o600)
        answers = hub.project.systems[flow.system].connector != "file"
        notes = (said("export_of_system", system=flow.system),) if answers else _notes(flow, path, dict(parts), used)
        written.append(Exported(path, sheet.lines, notes))
    return written


def _open_rows(flow: str, outcome: str) -> Select[Any]:
    """What is one raw row, held in several intos, comes one after the other."""
    held, feed = tables.held, tables.feed
    rows = held_rows(feed.c.flow == flow, held.c.state == "open", held.c.outcome == outcome)
    return rows.order_by(held.c.run_id, held.c.line, held.c.row_no, held.c.id)


@dataclass(frozen=True)
class _Run:
    variables: Variables
    detected: dict[str, str]
    source: str


def _runs(connection: Connection, flow: str) -> dict[int, _Run]:
    """What the runs of a flow knew of their files, by id; the newest last."""
    run = tables.run
    query = select(run.c.id, run.c.cursor, run.c.detected, run.c.source).where(run.c.flow == flow).order_by(run.c.id)
    return {
        number: _Run(tuple(sorted(((cursor or {}).get("variables") or {}).items())), detected or {}, source or "")
        for number, cursor, detected, source in connection.execute(query)
    }


def _parts(runs: Mapping[int, _Run], row: HeldRow) -> Variables:
    return runs[row.run_id].variables if row.run_id in runs else ()


def _detected(runs: Mapping[int, _Run], mine: Collection[int]) -> dict[str, str]:
    """What was found of the file's dialect; a replay found nothing, so the latest run that did tells."""
    told = [run.detected for number, run in runs.items() if number in mine and run.detected]
    told = told or [run.detected for run in runs.values() if run.detected]
    return {name: value for name, value in (told[-1] if told else {}).items() if name != "export"}


def _columns(hub: Hub, connection: Connection, flow: Flow, sheets: Sequence[Sheet], runs: Mapping[int, _Run]
             ) -> list[str]:
    """The source's columns: of the rows, else of rows held earlier, else of a file still there, else the mapping's."""
    columns = list(dict.fromkeys(name for sheet in sheets for name in sheet.columns))
    if columns:
        return columns
    held, feed = tables.held, tables.feed
    earlier = connection.scalar(
        select(held.c.raw).join_from(held, feed, feed.c.id == held.c.feed)
        .where(feed.c.flow == flow.flow, held.c.raw.is_not(None)).order_by(held.c.id.desc()).limit(1)
    )
    if earlier:
        return list(earlier)
    for sheet in sheets:
        path = Path(sheet.first.source or "")
        if path.is_file():
            try:
                found = open_named(hub, flow, path, dict(_parts(runs, sheet.first))).columns
                return [name for name in found if name not in KEPT]
            except NavetteError:
                continue
    return list(map(str, columns_wanted(flow)))


def _exports_folder(hub: Hub) -> Path:
    folder = hub.home.resolve() / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _file_name(flow: Flow, source: str | None, parts: Mapping[str, str], detected: Mapping[str, str]) -> str:
    """The name of the file that the rows came from, where it fits the flow's pattern; else one that does."""
    name = (source or "").rsplit("/", 1)[-1]
    pattern = usable_pattern(flow.read.files)
    if pattern is not None and pattern.match(name) is None:
        name = filled(pattern, parts) or f"{flow.flow}.csv"
    elif "." not in name:
        name = f"{flow.flow}.csv"
    return str(Path(name).with_suffix(".xlsx")) if _is_sheet(flow, detected) else name


def filled(pattern: FilePattern, parts: Mapping[str, str]) -> str | None:
    """A name with these parts that fits the pattern; None where a part is not known."""
    pieces = []
    for piece in pattern.pieces:
        if isinstance(piece, str):
            pieces.append({"*": "", "?": "x"}.get(piece, piece))
        elif piece.name not in parts:
            return None
        else:
            pieces.append(_written(piece, parts[piece.name]))
    return "".join(pieces)


def _written(part: Part, value: str) -> str:
    return datetime.fromisoformat(value).strftime(part.form) if part.kind == "date" else value


def _is_sheet(flow: Flow, detected: Mapping[str, str]) -> bool:
    pinned = flow.read.format
    return pinned.excel is not None if pinned is not None else detected.get("format") == "excel"


def _free(path: Path, *, keep: bool) -> Path:
    """The path, or the next one with a number where that file must be kept: it may hold corrections."""
    number = 1
    free = path
    while keep and free.exists():
        number += 1
        free = path.with_name(_numbered(path, number))
    return free


def _numbered(path: Path, number: int) -> str:
    return f"{path.stem}.{number}{path.suffix}"


def _notes(flow: Flow, path: Path, parts: Mapping[str, str], used: set[str]) -> tuple[str, ...]:
    pattern = usable_pattern(flow.read.files)
    given = (pattern.match(path.name) if pattern is not None else None) or {}
    wanted = {name: value for name, value in parts.items() if name in used}
    if all(given.get(name) == value for name, value in wanted.items()):
        return ()
    name = filled(pattern, parts) if pattern is not None else None
    told = ", ".join(f"{key} {value}" for key, value in sorted(wanted.items()))
    return (said("export_name", path=path.name, parts=told, name=name or flow.read.files),)
