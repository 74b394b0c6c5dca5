"""A first load: rows that come into an empty entity are all new, and nothing of them is looked up.

Their `fate` would say the same in each line, so it is not written before somebody asks for it: where rows may repeat or
meet, where a person is to look at the run, and where a batch cannot be created as landing decided.
"""

from __future__ import annotations

from sqlalchemy import Connection, Index, exists, false, insert, literal, or_, select, text

from crm_store.named_ddl import ddl_on
from pipelines.stages.match import of_run
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging
from pipelines.stages.unlike import Unlike


def is_first_load(connection: Connection, plan: IntoPlan, run: tuple[int, int | None]) -> bool:
    """Whether there is no record or entry that a row could be about, and nothing that it could wait for.

    A record that somebody makes meanwhile is found as ever: apply takes no decision over that is older than a change.
    """
    x = plan.crosswalk
    if plan.references or plan.writes or not plan.into.create:
        return False
    there = or_(exists(select(plan.record.c.id)), exists().where(x.c.id_space == plan.id_space))
    return not (of_run(plan, run)["outdated"] or connection.scalar(select(there)))


def none_meet(plan: IntoPlan, unlike: Unlike) -> bool:
    """Whether landing saw that no two rows have one key or are one record."""
    return unlike.keys and unlike.none_same and len(unlike.rules) == len(plan.into.match) and all(unlike.rules)


def write_fates(connection: Connection, tables: IntoStaging) -> None:
    """Says of each staged row that it is new."""
    s = tables.rows
    mine = select(s.c.row_no, literal("new"), false())
    connection.execute(insert(tables.fate).from_select(["row_no", "class", "waits"], mine))


def index_fates(connection: Connection, tables: IntoStaging) -> None:
    """Once every row has its fate: an index by row, and what the planner has to know of the staged rows: how many there
    are, and which columns are all alike; not the most common values of each."""
    Index(None, tables.fate.c.row_no).create(connection)
    connection.execute(text("SET LOCAL default_statistics_target = 10"))
    for table in (tables.rows, tables.fate):
        connection.execute(ddl_on("ANALYZE %(fullname)s", table))
