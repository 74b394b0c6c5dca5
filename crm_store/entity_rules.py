"""CHECK constraints and indexes of the entities' tables, compared by name: a name or comment tells what it holds."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import CheckConstraint, Connection, Index, Table, not_, text
from sqlalchemy.schema import AddConstraint, CreateIndex, DropConstraint, SetConstraintComment

from crm_store.entity_tables import EntityTables
from crm_store.match_indexes import match_index, match_rules
from crm_store.named_ddl import ddl_on, named
from crm_store.refusals import Refusals
from mappings.language.project import Project

_OURS = "navette"  # the comment of every index made here; others are an administrator's and stay
_MARK_OURS = "COMMENT ON INDEX %(fullname)s IS 'navette'"


def bring_checks(connection: Connection, tables: EntityTables, refusals: Refusals) -> list[str]:
    """New and changed rules of values; those that stored values break are refused."""
    done, known = [], _known_checks(connection)
    for entity, table in tables.record.items():
        wanted = {str(c.name): c for c in table.constraints if isinstance(c, CheckConstraint)}
        have = {name: told for (of, name), told in known.items() if of == entity}
        for name in have.keys() - wanted.keys():
            _drop_check(connection, entity, name)
        for name, check in wanted.items():
            if have.get(name) == check.comment:
                continue
            rows = refusals.count("crm", entity, not_(check.sqltext))  # NULL is allowed
            if rows:
                _refuse(refusals, entity, check, rows)
                continue
            if name in have:
                _drop_check(connection, entity, name)
            connection.execute(AddConstraint(check))
            connection.execute(SetConstraintComment(check))
            done.append(f"{entity}: rule {name.removeprefix(f'{entity}_')} allows {check.comment}")
    return done


def _refuse(refusals: Refusals, entity: str, check: CheckConstraint, rows: int) -> None:
    """`rows` records break the rule."""
    field = check.info["field"]
    if check.info["what"] == "length":
        longest = refusals.longest("crm", entity, field)
        refusals.add(
            entity, field,
            f"{entity}.{field} allows at most {check.comment} characters,"
            f" but {rows} records have more (up to {longest})",
            f"write `max: {longest}` or more, or shorten those values first",
        )
    else:
        refusals.add(
            entity, field, f"{entity}.{field} allows only {check.comment}, but {rows} records have another value",
            "allow those values too, or change the records first",
        )


def bring_indexes(connection: Connection, tables: EntityTables, project: Project) -> list[str]:
    """Indexes of links, of fields with `index`, and of the flows' match rules; those no longer wanted are dropped."""
    ensure_match_indexes(tables, project)
    wanted = {str(index.name): index for table in _all(tables) for index in table.indexes}
    known = connection.execute(
        text(
            "SELECT c.relname, n.nspname, obj_description(c.oid, 'pg_class') = :ours AS ours FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'i' AND n.nspname IN ('crm', 'sync')"
        ),
        {"ours": _OURS},
    ).all()
    have, done = {row.relname: row for row in known}, []
    for name, row in have.items():
        if row.ours and name not in wanted:
            connection.execute(ddl_on("DROP INDEX %(fullname)s", named(row.nspname, name)))
            done.append(f"index {name} dropped")
    for name, index in wanted.items():
        if name not in have:
            connection.execute(CreateIndex(index))
            done.append(f"index {name}")
        if name not in have or not have[name].ours:
            schema = index.table.schema if index.table is not None else None
            connection.execute(ddl_on(_MARK_OURS, named(schema, name)))
    return done


def ensure_match_indexes(tables: EntityTables, project: Project) -> list[Index]:
    """Declare on `tables` the indexes that the project's match rules and `refers … by` want."""
    made = []
    for name, entity in project.entities.items():
        table = tables.record[name]
        for rule in match_rules(project.flows.values(), name):
            if all(field in table.c for field in rule):
                made.append(match_index(table, [(table.c[field], entity.fields.get(field)) for field in rule]))
    return made


def _all(tables: EntityTables) -> Iterable[Table]:
    yield from tables.record.values()
    yield from tables.crosswalk.values()


def _known_checks(connection: Connection) -> dict[tuple[str, str], str | None]:
    rows = connection.execute(
        text(
            "SELECT r.relname, c.conname, obj_description(c.oid, 'pg_constraint') AS told FROM pg_constraint c"
            " JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace"
            " WHERE c.contype = 'c' AND n.nspname = 'crm' AND obj_description(c.oid, 'pg_constraint') IS NOT NULL"
        )
    )
    return {(row.relname, row.conname): row.told for row in rows}


def _drop_check(connection: Connection, entity: str, name: str) -> None:
    check = CheckConstraint("", name=name, table=named("crm", entity))
    connection.execute(DropConstraint(check))
