"""How far a source that tells what changed was read, and which keys it said were deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import CTE, BindParameter, Connection, ScalarSelect, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from connectors.page import Source
from connectors.remote import Key, Position
from crm_store import hub_tables as hub
from mappings.codecs.cells import TEXT
from mappings.codecs.keys import joined
from pipelines.stages.staging import Staging, copy_frame


def position_of(connection: Connection, flow: str) -> Position | None:
    """Where the next read of changes begins; None before the first."""
    mark = connection.scalar(select(kept_mark(flow)))
    return None if mark is None else Position(mark)  # {}: what was read was empty


def kept_mark(flow: str) -> ScalarSelect[Any]:
    """The mark of that position, as one value among others that are asked for; null where there is none."""
    return select(hub.position.c.mark).where(hub.position.c.flow == flow).scalar_subquery()


def move_position(connection: Connection, flow: str, position: Position) -> None:
    """Where a read ended that brought no news."""
    connection.execute(update(hub.position).where(hub.position.c.flow == flow).values(
        mark=dict(position.mark), at=func.now()))


def forget_position(connection: Connection, flow: str) -> None:
    """The next run, or the next read of a live that is running, reads everything."""
    connection.execute(delete(hub.position).where(hub.position.c.flow == flow))


def reached(source: Source) -> dict[str, Any] | None:
    """After the last page: where the next read of changes begins; None for a source that has no such thing."""
    position: Position | None = getattr(source, "position", None)
    return None if position is None else dict(position.mark)


def stage_gone(connection: Connection, source: Source, staging: Staging) -> int:
    """Notes the keys that the system says were deleted; returns how many."""
    keys: Sequence[Key] = getattr(source, "gone", ())
    if keys:
        parts = [pa.array([key[place] for key in keys], TEXT) for place in range(len(keys[0]))]
        copy_frame(connection, staging.gone, pa.table({"key": joined(parts)}))
    return len(keys)


def position_kept(run_id: BindParameter[int], mark: BindParameter[Any]) -> CTE:
    """What moves the position of the run's flow, in the statement that ends the run."""
    run, position = hub.run, hub.position
    row = insert(position).from_select(
        ["flow", "mark", "run_id"], select(run.c.flow, mark, run.c.id).where(run.c.id == run_id)
    )
    moved = row.on_conflict_do_update(index_elements=["flow"], set_={
        "mark": row.excluded.mark, "run_id": row.excluded.run_id, "at": func.now(),
    })
    return moved.cte("moved")
