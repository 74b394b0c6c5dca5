"""Opening what a flow reads, with the parts of the file's name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from connectors.file.folder import DropFile, drop_file, nearest_file
from connectors.file.nested import ABOVE, ListPath
from connectors.file.open import open_source
from connectors.page import Source
from crm_store import hub_tables as tables
from mappings.codecs.columns import columns_needed
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.waiting import folder_of


def columns_wanted(flow: Flow) -> list[str]:
    """The source columns that the flow names: what a format without headers has to give.

    Of an into over a nested list, the column that holds the list and what `^` may reach on the row.
    """
    wanted: list[str] = []
    lists = {name: ListPath(name) for into in flow.into if (name := flow.list_column(into))}
    for into in flow.into:
        named = [str(column) for column in columns_needed(into)]
        if (held_in := flow.list_column(into)) is None:
            wanted += [column for column in named if not column.startswith("$")]
        else:
            wanted += [held_in, *(column.lstrip(ABOVE) for column in named if column.startswith(ABOVE))]
    wanted += [str(column) for column in (flow.read.version, flow.read.stamp) if column is not None]
    return [lists.get(name, name) for name in dict.fromkeys(wanted)]


def open_named(hub: Hub, flow: Flow, path: Path, variables: Mapping[str, str]) -> Source:
    """The source of one file. Raises SourceUnreadable, ConfigurationError.

    The few rows of an export do not tell the decimal sign: it is that of the flow's files.
    """
    source = open_source(path, flow.read, columns_wanted=columns_wanted(flow), variables=variables)
    if source.detected.get("export"):
        found = tables.run.c.detected
        asked = select(found["decimal"].astext).where(
            tables.run.c.flow == flow.flow, found.has_key("decimal"), ~found.has_key("export"))
        with hub.engine.connect() as connection:
            sign = connection.scalar(asked.order_by(tables.run.c.id.desc()).limit(1))
        source.detected.update({} if sign is None else {"decimal": sign})
    return source


def named(hub: Hub, flow: Flow, path: Path) -> DropFile:
    """The file with the parts and the order mark that its name gives; a name that does not fit gives none. Its path is
    absolute, as in `folder_of`."""
    path = Path(os.path.abspath(path))
    folder, system = folder_of(hub, flow), hub.project.systems[flow.system]
    away = [(folder / into).resolve() for into in (system.done, system.failed)] if folder is not None else []
    return drop_file(path, flow.read, retired=path.parent.resolve() in away)


def must_be_there(hub: Hub, flow: Flow, path: Path) -> None:
    """ConfigurationError for a path at which there is no file: what was mistyped is no failed run of the flow."""
    if os.path.isdir(path):
        raise ConfigurationError("this is a folder, not a file", where=str(path), todo="name a file in it")
    if os.path.exists(path):  # unlike Path.exists, False for a name that no file can have
        return
    folder, dropped = path.absolute().parent, folder_of(hub, flow)
    near = nearest_file(path.name, [folder, *([dropped] if dropped else [])])
    message = f"there is no such file in {folder}" if folder.is_dir() else f"there is no folder {folder}"
    raise ConfigurationError(message, where=str(path), todo=f"did you mean {near}?" if near else "check the path")


def seconds(span: str) -> float:
    """`2s`, `500ms`, `5m`, `1h`, `30d` or plain seconds."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)):
        if span.endswith(unit):
            return float(span.removesuffix(unit)) * factor
    return float(span)
