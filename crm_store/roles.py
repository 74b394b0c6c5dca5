"""The store's roles and databases: who exists, and who may log in.

::

    navette_owner    owns the database, its schemas and tables; only migrations use it (own server: the URL's user)
    navette_hub      works: reads and writes records and `sync`, owns nothing but what it makes in `staging`
    navette_crm      group without login: what CRM applications may do
    ├── navette_app  a login in that group
    └── navette_http a login in that group: requests of applications that speak no SQL (`navette serve`)
    navette_dagster  owns Dagster's database, sees nothing of the store

Groups are the same for a whole server. On a server of one's own a login carries the database's name unless that is
`navette` (`navette_hub_sales`), so that several projects on one server do not change each other's passwords.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from mappings.errors import ConfigurationError

HUB_GROUP = "navette_hub"
CRM_GROUP = "navette_crm"
DATABASE = "navette"

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Roles:
    """The names of one database's logins."""

    owner: str
    hub: str
    app: str
    dagster: str
    http: str

    @property
    def made(self) -> tuple[str, ...]:
        """Those that need a password of ours."""
        return (self.hub, self.app, self.dagster, self.http)


def roles_of(database: str, owner: str = "navette_owner") -> Roles:
    """The logins of `database`."""
    tail = "" if database == DATABASE else f"_{database}"
    return Roles(owner, f"{HUB_GROUP}{tail}", f"navette_app{tail}", f"navette_dagster{tail}", f"navette_http{tail}")


def dagster_database(database: str) -> str:
    """Dagster's own database beside `database`."""
    return f"{database}_dagster"


def make_embedded(admin: Connection, passwords: dict[str, str]) -> None:
    """Roles and databases of the embedded server; `admin` is its superuser's connection (autocommit)."""
    roles = roles_of(DATABASE)
    make_login(admin, roles.owner, passwords[roles.owner])
    make_groups_and_logins(admin, roles, passwords)
    for name, owner in ((DATABASE, roles.owner), (dagster_database(DATABASE), roles.dagster)):
        make_database(admin, name, owner)
        admin.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(name)))
    admin.execute(
        SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}, {}").format(
            Identifier(DATABASE), Identifier(HUB_GROUP), Identifier(CRM_GROUP)
        )
    )


def make_groups_and_logins(connection: Connection, roles: Roles, passwords: dict[str, str]) -> None:
    """The two groups, and the logins in them. On a server of one's own, needs CREATEROLE unless all of them exist."""
    for group in (HUB_GROUP, CRM_GROUP):
        if not _exists(connection, "pg_roles", "rolname", group):
            _told(connection, SQL("CREATE ROLE {} NOLOGIN").format(Identifier(group)))
    for role, group in ((roles.hub, HUB_GROUP), (roles.app, CRM_GROUP), (roles.http, CRM_GROUP)):
        make_login(connection, role, passwords[role])
        if role != group and not _member(connection, role, group):
            _told(connection, SQL("GRANT {} TO {}").format(Identifier(group), Identifier(role)))
    make_login(connection, roles.dagster, passwords[roles.dagster])


def make_login(connection: Connection, role: str, password: str) -> None:
    """`role` exists, may log in, and has this password (sent as a SCRAM verifier: the server never sees the word)."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    verb = "ALTER" if _exists(connection, "pg_roles", "rolname", role) else "CREATE"
    _told(connection, SQL("{} ROLE {} LOGIN PASSWORD {}").format(SQL(verb), Identifier(role), Literal(verifier)))


def make_database(connection: Connection, name: str, owner: str) -> None:
    if _exists(connection, "pg_database", "datname", name):
        return
    _told(
        connection,
        SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
            Identifier(name), Identifier(owner)
        ),
    )


def _exists(connection: Connection, catalog: str, column: str, name: str) -> bool:
    statement = SQL("SELECT 1 FROM {} WHERE {} = %s").format(Identifier("pg_catalog", catalog), Identifier(column))
    return connection.execute(statement, [name]).fetchone() is not None


def _member(connection: Connection, role: str, group: str) -> bool:
    row = connection.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", [role, group]).fetchone()
    return row is not None and bool(row[0])


def _told(connection: Connection, statement: psycopg.sql.Composed) -> None:
    """Execute; a missing privilege is told with what a database administrator can do about it."""
    try:
        connection.execute(statement)
    except (psycopg.errors.DuplicateObject, psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another command was faster
    except psycopg.errors.InsufficientPrivilege as refusal:
        shown = statement.as_string(connection).split(" PASSWORD ", 1)[0]
        raise ConfigurationError(
            f"the database user of NAVETTE_DATABASE_URL may not do this: {shown} ({refusal.diag.message_primary})",
            where=f"database {connection.info.dbname} at {connection.info.host}",
            todo=f"let an administrator grant {connection.info.user} CREATEROLE and CREATEDB, or do it for you; "
            "docs/store.md lists every privilege",
        ) from refusal
