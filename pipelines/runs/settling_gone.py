"""Settling a row that is absent from its source, where the mapping asks a person (`absent: review`)."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, RowMapping, func, select, update

from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError
from pipelines.hub import Hub
from pipelines.ops.decisions import decided
from pipelines.runs.attempt import attempt, say
from pipelines.runs.lock import mending_lock
from pipelines.runs.settling import open_row
from pipelines.stages.absent import archive_entries, keep_entries, masters_archived, unlink_entries
from pipelines.stages.plan import IntoPlan, compile_flow

Choice = Literal["archive", "unlink", "keep"]


def settle_gone(hub: Hub, held_id: int, choice: Choice) -> str:
    """Archives the record of an absent row, unlinks it, or keeps it linked as it is; returns the row's key.

    A kept row is not asked about again before it has been in the source. Raises ConfigurationError for a row that is
    not open or not absent, or a record whose archiving another system masters; RetryLater while the flow runs.
    """
    with hub.engine.connect() as connection:
        flow = open_row(connection, held_id)["flow"]
    with mending_lock(hub, flow), hub.engine.connect() as connection:
        return attempt(connection, lambda: _settle(hub, connection, held_id, choice))


def _settle(hub: Hub, connection: Connection, held_id: int, choice: Choice) -> str:
    row = open_row(connection, held_id)
    if row["code"] != "gone":
        raise ConfigurationError(f"row {held_id} is not absent from its source",
                                 todo="--link RECORD, --create or --dismiss")
    plans = compile_flow(connection, hub.flow(row["flow"]), hub.project, hub.tables)
    plan = next((each for each in plans if each.feed == row["feed"]), None)
    if plan is None:
        raise ConfigurationError(f"flow {row['flow']} no longer has the into that row {held_id} is of",
                                 todo=f"navette review row {held_id} --dismiss")
    record_id = _record(connection, plan, row)
    say(connection, {"navette.system": plan.system, "navette.run": str(row["run_id"])})
    if choice == "archive":
        _must_be_ours(connection, plan, record_id)
        _must_be_gone(connection, plan, record_id, row["key"])
        archive_entries(connection, plan, [(row["key"], record_id)], row["run_id"])
    elif choice == "unlink":
        unlink_entries(connection, plan, [row["key"]], row["run_id"])
    else:
        keep_entries(connection, plan, [row["key"]], row["run_id"])
    connection.execute(
        update(tables.held).where(tables.held.c.id == held_id)
        .values(state="closed", closed_at=func.now(), decision=decided(choice, record_id=record_id))
    )
    key: str = row["key"]
    return key


def _record(connection: Connection, plan: IntoPlan, row: RowMapping) -> int:
    """The record that the absent entry is linked to, which must be the one that was asked about."""
    x = plan.crosswalk
    found: int | None = connection.scalar(
        select(x.c.record_id).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == row["key"],
                                    x.c.absent_since.is_(None))
    )
    if found is None or found not in (row["candidates"] or ()):
        raise ConfigurationError(f"{row['key']} is no longer linked to the record that row {row['id']} asks about",
                                 todo=f"navette review row {row['id']} --dismiss, and run the flow again")
    return found


def _must_be_ours(connection: Connection, plan: IntoPlan, record_id: int) -> None:
    """A record may be archived for this system unless `archived` is another system's, which would take it back."""
    record = plan.record
    kind, ours = connection.execute(
        select(record.c.type, masters_archived(plan, record)).where(record.c.id == record_id)
    ).one()
    masters = plan.entity.masters["archived"]
    mastery = masters.get(kind, masters["else"])
    if mastery.kind == "systems" and not ours:
        raise ConfigurationError(
            f"{plan.into.entity} {record_id}: `archived` is mastered by {', '.join(mastery.systems)}",
            todo="--unlink or --keep; its master archives it",
        )


def _must_be_gone(connection: Connection, plan: IntoPlan, record_id: int, key: str) -> None:
    """Of a record with several keys, one may be gone and the record still be in the source."""
    x = plan.crosswalk
    other: str | None = connection.scalar(
        select(func.min(x.c.key)).where(x.c.record_id == record_id, x.c.id_space == plan.id_space,
                                        x.c.feed == plan.feed, x.c.key != key, x.c.absent_since.is_(None))
    )
    if other is not None:
        raise ConfigurationError(f"{plan.into.entity} {record_id} is also {other}, which is not settled as absent",
                                 todo="--unlink or --keep this key")
