"""Entities' tables brought to what the YAML says: what adds is done, what could lose data is refused with a way out.

::

    new entity                         made
    new field, optional                added           new field, required           refused while there are records
    wider list, longer text, scale     changed         narrower                      refused while values do not fit
    other type                         refused while there are values (else the empty column is remade)
    field or entity gone               refused while there are values (else dropped)
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from crm_store.entity_columns import ColumnChanges
from crm_store.entity_rules import bring_checks, bring_indexes
from crm_store.entity_tables import EntityTables
from crm_store.named_ddl import ddl_on, named
from crm_store.refusals import Refusals
from mappings.errors import ConfigurationError
from mappings.language.project import Project


def migrate_entities(connection: Connection, tables: EntityTables, project: Project) -> list[str]:
    """New entities, then new fields, rules and indexes. One line for each thing done.

    Raises ConfigurationError, after looking at everything, with a Problem for each change that could lose data.
    """
    existing = _existing(connection)
    new = [name for name in tables.record if name not in existing]
    wanted = [table for name in new for table in (tables.record[name], tables.crosswalk[name])]
    tables.metadata.create_all(connection, tables=wanted, checkfirst=False)
    refusals = Refusals(connection, project.entities)
    done = [f"new entity {name}" for name in new]
    done += _drop_entities(connection, refusals, existing - set(tables.record))
    done += ColumnChanges(connection, tables, refusals).bring()
    if not refusals.problems:
        done += bring_checks(connection, tables, refusals)
    if refusals.problems:
        listed = "\n".join(f"  {problem}" for problem in refusals.problems)
        raise ConfigurationError(
            f"the entities' files would lose data, so the store was left as it is:\n{listed}",
            problems=tuple(refusals.problems), todo="do as each line says, then run `navette store migrate` again",
        )
    return done + bring_indexes(connection, tables, project)


def _existing(connection: Connection) -> set[str]:
    """Entities that have both tables; other tables in schema crm are not ours and stay untouched."""
    rows = connection.execute(
        text(
            "SELECT r.tablename FROM pg_tables r JOIN pg_tables c ON c.schemaname = 'sync'"
            " AND c.tablename = 'crosswalk_' || r.tablename WHERE r.schemaname = 'crm'"
        )
    )
    return set(rows.scalars())


def _drop_entities(connection: Connection, refusals: Refusals, names: set[str]) -> list[str]:
    done = []
    for name in sorted(names):
        rows = refusals.count("crm", name)
        if rows:
            refusals.add(
                name, "", f"entity {name} is no longer declared, but the store holds {rows} of its records",
                "declare it again; an entity that is not wanted any more can be left without flows",
            )
            continue
        for schema, table in (("sync", f"crosswalk_{name}"), ("crm", name)):
            connection.execute(ddl_on("DROP TABLE %(fullname)s CASCADE", named(schema, table)))
        done.append(f"entity {name} dropped: it had no records")
    return done
