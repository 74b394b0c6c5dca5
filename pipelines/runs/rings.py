"""Parked rows that wait for each other: none of them becomes ready alone, so they are tried together.

::

    row 1 (file 1) waits for 8 ──┐
    row 8 (file 2) waits for 1 ◀─┘    each parked by its own run: only one run of both can let them in
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Integer, Table, and_, any_, cast, exists, false, func, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_store import hub_tables as tables
from mappings.codecs.columns import variables_used
from mappings.language.flow import Flow


def ringed(connection: Connection, flow: Flow, crosswalks: Mapping[str, Table]) -> set[int]:
    """Ids of the open parked rows of a flow that wait for nothing but each other, or for rows that do.

    Rows whose files' names say different things of them are never read in one run, and so never wait together.
    `crosswalks`: the crosswalk of each entity.
    """
    held, feed, run = tables.held, tables.feed, tables.run
    told = [func.jsonb_extract_path_text(run.c.cursor, "variables", name) for name in sorted(variables_used(flow))]
    parked = (
        select(held.c.id, held.c.key, held.c.waits_for, feed.c.id_space, func.jsonb_build_array(*told).label("told"))
        .join_from(held, feed, feed.c.id == held.c.feed).join(run, run.c.id == held.c.run_id)
        .where(feed.c.flow == flow.flow, held.c.state == "open", held.c.outcome == "parked", held.c.raw.is_not(None))
        .cte("parked")
    )
    wait = func.jsonb_array_elements(parked.c.waits_for).table_valued("value").lateral("wait")
    named = cast(wait.c.value, JSONB)
    one = func.jsonb_build_array(func.jsonb_extract_path(named, "key"))
    every = func.coalesce(func.jsonb_extract_path(named, "keys"), one)
    key = func.jsonb_array_elements_text(every).table_valued("value").lateral("each_key")
    numbers = func.jsonb_array_elements_text(func.jsonb_extract_path(named, "spaces")).column_valued("number")
    spaces = func.array(select(cast(numbers, Integer)).scalar_subquery(), type_=ARRAY(Integer))
    entity = func.jsonb_extract_path_text(named, "entity")
    known = or_(false(), *[
        and_(entity == name, exists().where(x.c.id_space == any_(spaces), x.c.key == key.c.value))
        for name, x in crosswalks.items()
    ])
    waits = (
        select(parked.c.id, parked.c.told, spaces.label("spaces"), key.c.value.label("key"))
        .select_from(parked.join(wait, true()).join(key, true())).where(~known).cte("waits")
    )
    blocker = parked.alias("blocker")
    # Of two rows that would do, the newer is enough.
    edges = (
        select(waits.c.id, func.max(blocker.c.id).label("blocker"))
        .join_from(waits, blocker, isouter=True, onclause=and_(
            blocker.c.key == waits.c.key, blocker.c.id_space == any_(waits.c.spaces),
            blocker.c.told == waits.c.told, blocker.c.id != waits.c.id,
        ))
        .group_by(waits.c.id, waits.c.key, waits.c.spaces).cte("edges")
    )
    hopeless = select(edges.c.id).where(edges.c.blocker.is_(None)).cte("hopeless", recursive=True)
    hopeless = hopeless.union(select(edges.c.id).join(hopeless, hopeless.c.id == edges.c.blocker))
    return set(connection.scalars(
        select(edges.c.id).where(edges.c.blocker.is_not(None), edges.c.id.not_in(select(hopeless.c.id)))
    ))
