"""Reports on disk: written whole or not at all, readable by their owner alone, the last ones of each flow kept.

::

    NAVETTE_HOME/reports/   index.html   run_<id>.html   run_<id>.csv
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from crm_store import hub_tables as tables
from mappings.errors import RunStopped
from mappings.words import OUTCOMES
from pipelines.hub import Hub
from pipelines.reports.facts import read_facts
from pipelines.reports.page import index_page, run_page
from pipelines.reports.sheet import run_sheet

KEPT = 200
"""Reports kept of each flow."""
LISTED = 500
"""Runs on the index page."""

_PAGE = re.compile(r"run_(\d+)\.html")


def reports_folder(home: Path) -> Path:
    """Where reports lie; made if need be, for its owner alone: raw rows stand in them."""
    folder = home.resolve() / "reports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_report(hub: Hub, run_id: int) -> Path:
    """Writes the page and the CSV of a run in any state, and the index anew; returns the page's path.

    Raises RunStopped when the disk refuses: the run itself is not touched.
    """
    with hub.engine.connect() as connection:
        facts = read_facts(connection, run_id)
        try:
            folder = reports_folder(hub.home)
            page, sheet = folder / f"run_{run_id}.html", folder / f"run_{run_id}.csv"
            write_whole(sheet, "\ufeff" + run_sheet(facts))  # spreadsheets take UTF-8 for granted only after this mark
            write_whole(page, run_page(facts, sheet.name))
            _drop_old(connection, folder, facts.result.flow)
            write_whole(folder / "index.html", index_page(_listed(connection, folder)))
        except OSError as error:
            raise RunStopped(
                f"the report could not be written: {error.strerror or error}", where=str(error.filename or hub.home),
                todo=f"make room; run {run_id} itself is as it was",
            ) from error
    return page


def write_whole(path: Path, text: str) -> None:
    """The file is there whole, or as it was before; mode 0600."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _there(folder: Path) -> list[int]:
    return sorted((int(found[1]) for path in folder.iterdir() if (found := _PAGE.fullmatch(path.name))), reverse=True)


def _drop_old(connection: Connection, folder: Path, flow: str) -> None:
    """Reports of this flow beyond the last KEPT."""
    run = tables.run
    there = _there(folder)
    mine = connection.scalars(select(run.c.id).where(run.c.flow == flow, run.c.id.in_(there)).order_by(run.c.id.desc()))
    for number in list(mine)[KEPT:]:
        for suffix in ("html", "csv"):
            (folder / f"run_{number}.{suffix}").unlink(missing_ok=True)


def _listed(connection: Connection, folder: Path) -> list[Mapping[str, Any]]:
    """The last runs that have a page, with the sum of every outcome over their intos."""
    run, into = tables.run, tables.run_into
    sums = [func.coalesce(func.sum(into.c[name]), 0).label(name) for name in OUTCOMES]
    query = (
        select(run.c.id, run.c.flow, run.c.state, run.c.started_at, run.c.rows_read, run.c.source, *sums)
        .join_from(run, into, into.c.run_id == run.c.id, isouter=True)
        .where(run.c.id.in_(_there(folder)[:LISTED])).group_by(run.c.id).order_by(run.c.id.desc())
    )
    return [
        {**row, **{name: int(row[name]) for name in OUTCOMES}, "name": (row["source"] or "").rsplit("/", 1)[-1]}
        for row in connection.execute(query).mappings()
    ]
