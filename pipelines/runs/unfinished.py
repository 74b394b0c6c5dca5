"""Runs that an earlier process left behind: killed, or their server was."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RowMapping,
    cast,
    column,
    exists,
    func,
    inspect,
    literal_column,
    select,
    table,
    update,
)
from sqlalchemy.exc import DBAPIError

from connectors.file.folder import content_digest
from connectors.page import Source
from crm_store import hub_tables as tables
from crm_store.named_ddl import drop_tables, named
from crm_store.store_faults import is_lost, store_error
from mappings.errors import NavetteError, RunStopped
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.reports import write_report
from pipelines.runs.calls import give_back, source_of_run
from pipelines.runs.cursor import Cursor
from pipelines.runs.executing import continue_run, land_again
from pipelines.runs.lines import fail, note_work, result_of
from pipelines.runs.orders import Order, Progress
from pipelines.runs.planning import plans_for
from pipelines.runs.result import RunResult
from pipelines.runs.sources import open_named
from pipelines.stages.plan import mapping_digest
from pipelines.stages.staging import Staging, staging_for


def finish_unfinished(hub: Hub, flow: Flow, progress: Progress) -> list[RunResult]:
    """Carries on with what was interrupted; the caller holds the flow's lock, so no other process is at it.

    A killed landing wrote nothing and is closed, also where it had decided: its guard may still have had to ask. A
    killed apply goes on behind its last whole batch. Where the server's crash emptied the staging, the source is landed
    again under the same run. A killed push is closed: the outbox knows what is still to be sent.
    """
    with hub.ask.connect() as connection:
        left = connection.execute(
            select(tables.run).where(*_interrupted(flow.flow)).order_by(tables.run.c.id)
        ).mappings().all()
    results = []
    for run in left:
        if run["state"] == "applying" and not run["mapping"]:  # a push, which has neither landed nor staged anything
            fail(hub, run["id"], None, RunStopped(
                "interrupted while sending", where=f"run {run['id']}",
                todo="nothing to do: what was not delivered waits in the outbox, and is sent by the next push"))
        elif run["state"] == "applying":
            results.append(_carry_on(hub, flow, run["id"], progress))
        else:
            drop_staging(hub, run["id"])
            _fail(hub, run["id"], None, RunStopped("interrupted while landing; nothing had been written"))
            write_report(hub, run["id"])
    return results


def interrupted(flow: str) -> ColumnElement[bool]:
    """Whether there is any such run."""
    return exists().where(*_interrupted(flow))


def _interrupted(flow: str) -> list[ColumnElement[bool]]:
    return [tables.run.c.flow == flow, tables.run.c.state.in_(["landing", "landed", "applying"])]


def _carry_on(hub: Hub, flow: Flow, run_id: int, progress: Progress) -> RunResult:
    with hub.engine.begin() as connection:
        # Waits for a batch that the killed process had told to commit: its cursor is not there before.
        run = connection.execute(select(tables.run).where(tables.run.c.id == run_id).with_for_update()).mappings().one()
    staging: Staging | None = None
    began = time.monotonic()
    try:
        if run["mapping"] != str(mapping_digest(flow, hub.project)):
            raise RunStopped(
                "interrupted, and the mapping has changed since", where=f"run {run_id}",
                todo="run the flow again; rows that were applied are known and come out unchanged",
            )
        cursor = Cursor.model_validate(run["cursor"])
        plans = plans_for(hub, flow, cursor)
        staging = staging_for(run_id, plans)
        if not staging_is_whole(hub, staging, cursor):
            source = _same_source(hub, flow, run, cursor)
            order = Order(flow, source, run["source"], cursor.variables, run["mark"], run["digest"], run["full"],
                          run["trigger"], guarded=False)
            cursor = land_again(hub, order, run_id, plans, staging, cursor, progress)
        continue_run(hub, flow, run_id, run["source"], run["full"], run["mark"], plans, staging, cursor, progress)
    except NavetteError as error:
        _fail(hub, run_id, staging, error)
    except DBAPIError as error:
        problem = store_error(error, f"run {run_id}")
        if is_lost(error):
            raise problem from error
        _fail(hub, run_id, staging, problem)
    drop_staging(hub, run_id)
    with hub.engine.begin() as connection:
        note_work(connection, run_id, time.monotonic() - began)
        return result_of(connection, run_id)


def _fail(hub: Hub, run_id: int, staging: Staging | None, error: NavetteError) -> None:
    """`fail`; what the run was taking from the inbox waits again, before the run says that it has ended."""
    with hub.engine.begin() as connection:
        give_back(connection, run_id)
    fail(hub, run_id, staging, error)


def _same_source(hub: Hub, flow: Flow, run: RowMapping, cursor: Cursor) -> Source:
    """The calls or the file that the run read; another content under its name is not carried on with."""
    with hub.engine.connect() as connection:
        calls = source_of_run(connection, flow, run["id"])
    if calls is not None:
        return calls
    path = Path(run["source"])
    if run["digest"] is None or not path.is_file() or content_digest(path) != run["digest"]:
        raise RunStopped(
            "interrupted by a crash of the store, and what it read is no longer there", where=f"run {run['id']}",
            todo="run the flow again; rows that were applied are known and come out unchanged",
        )
    return open_named(hub, flow, path, cursor.variables)


def staging_fits(hub: Hub, staging: Staging) -> bool:
    """Whether what is there of a run's staging has each column that this version works with; an older may lack some."""
    with hub.engine.connect() as connection:
        there = inspect(connection).get_multi_columns(
            schema="staging", filter_names=[table.name for table in staging.metadata.sorted_tables])
    known = {table: {column["name"] for column in columns} for (_, table), columns in there.items()}
    return all(set(table.columns.keys()) <= known[table.name] for table in staging.metadata.sorted_tables
               if table.name in known)


def staging_is_whole(hub: Hub, staging: Staging, cursor: Cursor) -> bool:
    """Unlogged tables are empty after a crash of the server: counted before anything is concluded from them."""
    if not staging_fits(hub, staging):
        return False
    with hub.engine.connect() as connection:
        there = set(inspect(connection).get_table_names(schema="staging"))
        if not all(table.name in there for table in staging.metadata.sorted_tables):
            return False
        return all(
            connection.scalar(select(func.count()).select_from(into.rows)) == counted.staged
            and connection.scalar(select(func.count()).select_from(into.fate)) == counted.fates
            and connection.scalar(select(func.count()).select_from(into.held)) == counted.held
            and connection.scalar(select(func.count()).select_from(into.same)) == counted.same
            for into, counted in zip(staging.intos, cursor.intos, strict=True)
        )


def drop_staging(hub: Hub, run_id: int) -> None:
    """Drops whatever tables the run has in staging."""
    with hub.engine.begin() as connection:
        there = inspect(connection).get_table_names(schema="staging")
        drop_tables(connection, [named("staging", name) for name in there if name.startswith(f"r{run_id}_")])


def drop_left_over(hub: Hub, flow: str) -> None:
    """Drops what is left in staging of runs of the flow that have ended: of a process that was killed just then."""
    there, run = table("pg_tables", column("schemaname"), column("tablename")), tables.run
    number = cast(func.substring(there.c.tablename, literal_column("'^r([0-9]+)_'")), BigInteger)
    ended = select(run.c.id).where(run.c.flow == flow, run.c.state.in_(["done", "failed", "refused"]))
    with hub.engine.begin() as connection:
        left = connection.scalars(
            select(there.c.tablename).where(there.c.schemaname == "staging", number.in_(ended))).all()
        drop_tables(connection, [named("staging", name) for name in left])


def close_run(connection: Connection, run_id: int, state: str) -> None:
    """Ends a run that is not applied."""
    connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(state=state, ended_at=func.now()))


