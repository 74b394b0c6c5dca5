"""Rejects: what is open, by cause or row by row, and dropping what nobody will put right."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError
from pipelines.hub import Hub
from pipelines.ops.decisions import decided
from pipelines.ops.held_rows import CauseGroup, HeldRow, grouped, held_rows, read_rows

HELD_OUTCOMES = ("rejected", "parked", "review")


def open_causes(hub: Hub, flow: str | None = None, outcomes: Sequence[str] = ("rejected",)) -> list[CauseGroup]:
    """Open held rows by cause, the largest groups first. Raises ConfigurationError for a flow nobody knows."""
    with hub.engine.connect() as connection:
        return grouped(connection, held_rows(*_open(hub, connection, flow, outcomes)))


def open_rows(hub: Hub, flow: str | None = None, outcomes: Sequence[str] = ("rejected",), limit: int | None = None
              ) -> list[HeldRow]:
    """Open held rows one by one, in the order of their source. Raises ConfigurationError for a flow nobody knows."""
    held, feed = tables.held, tables.feed
    with hub.engine.connect() as connection:
        query = held_rows(*_open(hub, connection, flow, outcomes))
        return read_rows(connection, query.order_by(feed.c.flow, held.c.run_id, held.c.row_no, held.c.id).limit(limit))


def open_counts(hub: Hub, flow: str | None = None) -> dict[str, int]:
    """How many open rows there are of each outcome."""
    held = tables.held
    with hub.engine.connect() as connection:
        where = _open(hub, connection, flow, HELD_OUTCOMES)
        found = connection.execute(
            select(held.c.outcome, func.count()).join_from(held, tables.feed, tables.feed.c.id == held.c.feed)
            .where(*where).group_by(held.c.outcome)
        )
        return dict.fromkeys(HELD_OUTCOMES, 0) | dict(found.all())


def dismiss(hub: Hub, *, ids: Sequence[int] = (), flow: str | None = None, cause: str | None = None,
            field: str | None = None, why: str | None = None) -> int:
    """Drops open rows: those with these ids, or those of a flow that are held for this cause (and field).

    Who, when and why stay with the row. Returns how many. Raises ConfigurationError when an id is not open, or nothing
    says which rows.
    """
    held, feed = tables.held, tables.feed
    if bool(ids) == bool(cause) or (cause and flow is None):
        raise ConfigurationError("which rows?", todo="--id N (again for more), or --flow FLOW --cause CODE")
    with hub.engine.begin() as connection:
        where: list[ColumnElement[bool]] = [held.c.state == "open"]
        if ids:
            _must_be_open(connection, ids, "nothing was dismissed")
            where.append(held.c.id.in_(ids))
        else:
            _must_be_known(hub, connection, flow)
            wanted = {"code": cause} | ({"field": field} if field is not None else {})
            where += [held.c.feed.in_(select(feed.c.id).where(feed.c.flow == flow)),
                      held.c.causes.contains(cast([wanted], JSONB))]
        done = connection.execute(
            update(held).where(*where)
            .values(state="dismissed", closed_at=func.now(), decision=decided("dismiss", why, cause=cause))
        )
        return done.rowcount


def require_replayable(hub: Hub, ids: Sequence[int]) -> None:
    """Raises ConfigurationError unless these rows are all open, and were split into columns."""
    held = tables.held
    with hub.engine.connect() as connection:
        _must_be_open(connection, ids, "nothing was replayed")
        lines = connection.scalars(
            select(held.c.id).where(held.c.id.in_(ids), held.c.raw.is_(None)).order_by(held.c.id)
        ).all()
    if lines:
        raise ConfigurationError(
            f"row {lines[0]} has no columns: its line could not be split, or it is absent from the source",
            todo="correct it in an export (navette rejects export), or dismiss it",
        )


def _open(hub: Hub, connection: Connection, flow: str | None, outcomes: Sequence[str]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [tables.held.c.state == "open", tables.held.c.outcome.in_(outcomes)]
    if flow is not None:
        _must_be_known(hub, connection, flow)
        where.append(tables.feed.c.flow == flow)
    return where


def _must_be_known(hub: Hub, connection: Connection, flow: str | None) -> None:
    """A flow that the project no longer has may still have rows."""
    if flow is not None and flow not in hub.project.flows:
        known = connection.scalar(select(tables.feed.c.id).where(tables.feed.c.flow == flow).limit(1))
        if known is None:
            hub.flow(flow)


def _must_be_open(connection: Connection, ids: Sequence[int], done: str) -> None:
    held = tables.held
    found = dict(connection.execute(select(held.c.id, held.c.state).where(held.c.id.in_(ids))).all())
    wrong = [f"row {number} {'does not exist' if number not in found else f'is {found[number]}'}"
             for number in ids if found.get(number) != "open"]
    if wrong:
        raise ConfigurationError(f"{', '.join(wrong)}; {done}",
                                 todo="navette rejects list --rows shows what is open")
