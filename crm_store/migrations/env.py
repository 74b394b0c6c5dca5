"""Alembic's entry: migrates the hub's own tables in the transaction that crm_store.migrate has open."""

from __future__ import annotations

from typing import Any

from alembic import context

from crm_store.hub_tables import metadata


def is_hub_table(name: str | None, kind: str, _parents: Any) -> bool:
    """Crosswalks live in the same schema and belong to the entities' own comparison."""
    if kind == "schema":
        return name == "sync"
    return not (kind == "table" and str(name).startswith("crosswalk_"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_schemas=True,
    include_name=is_hub_table,
    version_table_schema="sync",
)
context.run_migrations()
