"""What a push to a folder would write: the same rows; no marker is claimed, no number used, no file made."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from connectors.file.outbound.open import open_writer
from connectors.file.outbound.placing import usable_folder
from crm_store import hub_tables as tables
from mappings.language.flow import Flow
from mappings.messages import render
from pipelines.hub import Hub
from pipelines.runs.push_file import faults_of, outbound_folder, snapshot
from pipelines.runs.would_send import WouldSend
from pipelines.stages.file_rows import FilePlan, pages_of
from pipelines.stages.out_files import DUE, last_full
from pipelines.stages.plan import compile_flow


def would_write(hub: Hub, flow: Flow, *, full: bool, limit: int) -> WouldSend:
    """The first rows of the next file; `due`: markers that would go with it.

    Raises ConfigurationError where the folder cannot be used. The caller holds the flow's lock.
    """
    usable_folder(outbound_folder(hub, flow))
    with hub.engine.begin() as connection:
        filed = FilePlan(flow, compile_flow(connection, flow, hub.project, hub.tables)[0])
        whole = full or flow.write.full or last_full(connection, filed.plan.feed) is None
    box, found = tables.outbox, WouldSend()
    with snapshot(hub) as connection, TemporaryDirectory() as aside:
        found.due = int(connection.scalar(select(func.count()).select_from(box).where(
            box.c.feed == filed.plan.feed, *(() if whole else (DUE,)))) or 0)
        writer = open_writer(io.BytesIO(), flow.write, filed.shape.columns, folder=Path(aside),
                             where=f"flow {flow.flow}")
        for page in pages_of(connection, filed, hub.project.codes, None if whole else DUE, limit=limit):
            faults = faults_of(page, writer)
            rows = zip(*(cells.to_pylist() for cells in page.cells.values()), strict=True)
            for at, (record, row) in enumerate(zip(page.ids, rows, strict=True)):
                cells = dict(zip(page.cells, row, strict=True))
                key = "|".join(cells[name] for name in filed.shape.own_key)
                problem = render(faults[at]["code"], faults[at]) if at in faults else None
                found.sends.append({"operation": "write", "key": key or None, "record_id": record, "problem": problem,
                                    "cells": {name: ["", cell] for name, cell in cells.items()}})
    return found
