"""The server that all three share: the store's own embedded PostgreSQL, with a database beside it for floor and dlt."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from crm_store import server
from crm_store.roles import make_database
from crm_store.store import Store, admin_connection

DATABASE = "bench"


def open_bench(home: Path) -> Store:
    """The store of `home`, and the bench's database owned like the store's own."""
    store = Store.open(home)
    with admin_connection(store) as admin:
        make_database(admin, DATABASE, store.roles.owner)
    return store


def bench_url(store: Store) -> str:
    """Floor and dlt log in as the store's owner, into their own database."""
    at = server.ensure_running(store.home)
    owner = store.roles.owner
    url = URL.create("postgresql", owner, store.passwords[owner], "127.0.0.1", at.port, DATABASE)
    return url.render_as_string(hide_password=False)


def settle(store: Store) -> None:
    """Write everything out, so that no measured step pays for the one before it."""
    with admin_connection(store) as admin:
        admin.execute("CHECKPOINT")
