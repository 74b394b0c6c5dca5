"""Settling what waits for a person: a whole run in review, or one row."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from getpass import getuser
from typing import NoReturn

from sqlalchemy import Connection, RowMapping, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from crm_store import hub_tables as tables
from crm_store.store_faults import is_lost, store_error
from mappings.errors import ConfigurationError, NavetteError, RunStopped
from pipelines.hub import Hub
from pipelines.reports import write_report
from pipelines.runs.cursor import Cursor
from pipelines.runs.deciding import decide_again
from pipelines.runs.executing import continue_run
from pipelines.runs.inbox import note_ends
from pipelines.runs.intake import retire_settled
from pipelines.runs.lines import fail, note_work, result_of
from pipelines.runs.lock import mending_lock
from pipelines.runs.orders import Progress, quiet
from pipelines.runs.planning import plans_for
from pipelines.runs.replay import replay, retry_parked
from pipelines.runs.result import RunResult
from pipelines.runs.unfinished import close_run, drop_staging, staging_fits, staging_is_whole
from pipelines.stages.conflicts import settle_unlinked
from pipelines.stages.outbox import hasten
from pipelines.stages.plan import mapping_digest
from pipelines.stages.staging import staging_for

HELD = ("rejected", "parked", "review")


class Outdated(RunStopped):
    """What this run landed cannot be applied any more; it waits on until it is refused, and all is as it was."""

    def __init__(self, run_id: int, why: str) -> None:
        super().__init__(why, where=f"run {run_id}",
                         todo=f"drop it with `navette review settle {run_id} --refuse`, and run the file again")


def settle_run(hub: Hub, run_id: int, approve: bool, progress: Progress = quiet) -> RunResult:
    """Applies a run that waits in review, deciding again on the store as it is now; or drops it.

    Raises ConfigurationError when the run does not wait, Outdated.
    """
    with hub.engine.connect() as connection:
        run = connection.execute(select(tables.run).where(tables.run.c.id == run_id)).mappings().one_or_none()
    if run is None or run["state"] != "review":
        state = "does not exist" if run is None else f"is {run['state']}"
        raise ConfigurationError(f"run {run_id} {state}; only a run in review can be settled",
                                 todo="navette review list shows what waits")
    with mending_lock(hub, run["flow"]):
        began = time.monotonic()
        if approve:
            _approve(hub, run, progress)
        else:
            with hub.engine.begin() as connection:
                close_run(connection, run_id, "refused")
        drop_staging(hub, run_id)
        with hub.engine.begin() as connection:
            note_work(connection, run_id, time.monotonic() - began)
            result = result_of(connection, run_id)
            state = {"done": "done", "refused": "refused"}.get(result.state, "failed")
            connection.execute(
                update(tables.file).where(tables.file.c.run_id == run_id, tables.file.c.state == "review")
                .values(state=state)
            )
        retire_settled(hub, hub.flow(run["flow"]), run["source"])
    note_ends(hub, hub.flow(run["flow"]))
    result.report = str(write_report(hub, run_id))
    if result.changed:
        retry_parked(hub, progress)
    return result


def _approve(hub: Hub, run: RowMapping, progress: Progress) -> None:
    flow = hub.flow(run["flow"])
    try:
        if run["mapping"] != str(mapping_digest(flow, hub.project)):  # asked first: another one may have other intos
            _raise_outdated(run["id"], "the mapping has changed since this run landed")
        cursor = Cursor.model_validate(run["cursor"])
        plans = plans_for(hub, flow, cursor)
        staging = staging_for(run["id"], plans)
        if not staging_fits(hub, staging):
            _raise_outdated(run["id"], "an older version of Navette landed this run, and this one cannot apply it")
        if not staging_is_whole(hub, staging, cursor):
            _raise_outdated(run["id"], "what this run had landed is gone")
        cursor = decide_again(hub, flow, run["id"], run["mark"], plans, staging, cursor)
        continue_run(hub, flow, run["id"], run["source"], run["full"], run["mark"], plans, staging, cursor, progress)
    except Outdated:
        raise
    except NavetteError as error:
        fail(hub, run["id"], None, error)
    except DBAPIError as error:
        problem = store_error(error, f"run {run['id']}")
        if is_lost(error):
            raise problem from error  # the next run of the flow carries on
        fail(hub, run["id"], None, problem)


def _raise_outdated(run_id: int, why: str) -> NoReturn:
    raise Outdated(run_id, why)


def settle_row(hub: Hub, held_id: int, *, link: int | None = None, create: bool = False, dismiss: bool = False,
               progress: Progress = quiet) -> list[RunResult]:
    """Decides on one held row: it is this record, it is a new record, or it is dropped; then it runs again.

    Raises ConfigurationError for a row that is not open, a record that does not exist, or a decision that does not
    fit the row.
    """
    if sum([link is not None, create, dismiss]) != 1:
        raise ConfigurationError("one decision, please", todo="--link RECORD, --create or --dismiss")
    decision: dict[str, object] = {"by": getuser(), "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "what": "link" if link is not None else "create" if create else "dismiss", "record_id": link}
    with hub.engine.begin() as connection:
        row = open_row(connection, held_id)
        if dismiss:
            _decided(connection, held_id, decision, state="dismissed")
            hasten(connection, row["feed"], "may_be_there")
            return []
        if row["code"] == "gone":
            raise ConfigurationError(f"row {held_id} is absent from its source: there is nothing to link or create",
                                     todo="--archive, --unlink or --keep")
        if row["raw"] is None or row["key"] is None:
            raise ConfigurationError(f"row {held_id} has no key, so it cannot be linked or created",
                                     todo="correct it in an export (navette rejects export), or dismiss it")
        if link is not None:
            _link(hub, connection, row, link)
        _decided(connection, held_id, decision, state="open")
    results = replay(hub, row["flow"], [held_id], progress, trigger="settle", outcomes=HELD, matching=not create)
    with hub.engine.begin() as connection:
        hasten(connection, row["feed"], "may_be_there")
    if row["code"] == "twins":
        results += _twins_again(hub, row, progress)
    if any(result.changed for result in results):
        retry_parked(hub, progress)
    return results


def _twins_again(hub: Hub, row: RowMapping, progress: Progress) -> list[RunResult]:
    """Of rows that fit each other one was settled: the others are decided again, now that its record is there to be
    offered."""
    held = tables.held
    with hub.engine.connect() as connection:
        others = connection.scalars(select(held.c.id).where(
            held.c.feed == row["feed"], held.c.state == "open", held.c.code == "twins", held.c.id != row["id"],
            held.c.causes == row["causes"], held.c.raw.is_not(None),  # told alike, they are of one group
        )).all()
    return replay(hub, row["flow"], others, progress, trigger="settle", outcomes=HELD) if others else []


def open_row(connection: Connection, held_id: int) -> RowMapping:
    """The held row with its flow, entity and id space; raises ConfigurationError unless it is open."""
    held, feed = tables.held, tables.feed
    row = connection.execute(
        select(held, feed.c.flow, feed.c.entity, feed.c.id_space)
        .join_from(held, feed, feed.c.id == held.c.feed).where(held.c.id == held_id)
    ).mappings().one_or_none()
    if row is None or row["state"] != "open":
        state = "does not exist" if row is None else f"is {row['state']}"
        raise ConfigurationError(f"row {held_id} {state}; only an open one can be settled",
                                 todo="navette review list and navette rejects list show what is open")
    return row


def _link(hub: Hub, connection: Connection, row: RowMapping, record_id: int) -> None:
    """Ties the row's key to a record: without a base yet, so the next run settles every field by its master."""
    record, x = hub.tables.record[row["entity"]], hub.tables.crosswalk[row["entity"]]
    if not connection.scalar(select(exists().where(record.c.id == record_id))):
        raise ConfigurationError(f"there is no {row['entity']} with id {record_id}",
                                 todo="navette review list shows the candidates")
    known = connection.execute(
        select(x.c.record_id, tables.feed.c.flow).join(tables.feed, tables.feed.c.id == x.c.feed)
        .where(x.c.id_space == row["id_space"], x.c.key == row["key"], x.c.feed != row["feed"],
               x.c.record_id != record_id).limit(1)).one_or_none()
    if known is not None:
        raise ConfigurationError(
            f"{row['key']!r} is {row['entity']} {known.record_id} already", where=f"flow {known.flow}",
            todo=f"--link {known.record_id}, or navette unlink {known.flow} {row['key']!r} first")
    settle_unlinked(connection, [row["feed"]], [row["key"]], row["run_id"])
    first = ~exists().where(x.c.record_id == record_id, x.c.id_space == row["id_space"], x.c.is_primary)
    connection.execute(
        insert(x).values(id_space=row["id_space"], key=row["key"], feed=row["feed"], record_id=record_id,
                         is_primary=select(first).scalar_subquery())
        .on_conflict_do_update(index_elements=["id_space", "key", "feed"],
                               set_={"record_id": record_id, "fingerprint": None, "base_set": None, "remote": None})
    )


def _decided(connection: Connection, held_id: int, decision: dict[str, object], *, state: str) -> None:
    values: dict[str, object] = {"decision": decision, "state": state}
    if state != "open":
        values["closed_at"] = func.now()
    connection.execute(update(tables.held).where(tables.held.c.id == held_id).values(values))
