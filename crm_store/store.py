"""The store of one NAVETTE_HOME: where it is, and connections to it by role."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from crm_store import server
from crm_store.passwords import derived_password, kept_passwords
from crm_store.roles import (
    DATABASE,
    Connection,
    Roles,
    dagster_database,
    make_database,
    make_embedded,
    make_groups_and_logins,
    roles_of,
)
from mappings.errors import ConfigurationError, NavetteError, RetryLater

_ROLES_VERSION = 2  # raise it when make_embedded or make_groups_and_logins makes something new
_CONNECT_SECONDS = 30
_REFUSED = ("authentication failed", "does not exist", "pg_hba.conf")
_BUSY = ("too many", "connection slots", "not accept", "starting up", "shutting down", "recovery mode", "terminating")
_RESTED_SECONDS = 1.0
INDEX_ONLY = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "enable_bitmapscan")
"""What the planner goes without where few rows are looked up in large tables."""


@dataclass(frozen=True)
class Store:
    """One store. `url` is the owner's, on a server of one's own; None for the embedded one."""

    home: Path
    url: URL | None
    database: str
    roles: Roles
    passwords: Mapping[str, str] = field(repr=False)

    @staticmethod
    def open(home: Path, url: str | None = None) -> Store:
        """The store of `home`; the embedded server is made and started if need be, unless `url` names another.

        Raises ConfigurationError (a folder that cannot be used, a bad URL, missing privileges, a version below 15),
        RetryLater (no answer).
        """
        home = home.expanduser().resolve()
        with _folder_told(home):
            return _own(home, url) if url else _embedded(home)

    @staticmethod
    def stop(home: Path) -> bool:
        """Stop the embedded server of `home`; False when it was not running."""
        home = home.expanduser().resolve()
        with _folder_told(home):
            return server.stop(home)

    def hub(self) -> Engine:
        """The engine that works: role navette_hub, which owns no table and is no superuser."""
        return self._hub

    def small(self) -> Engine:
        """The engine of small runs, of the same role: its statements are few and come again, so that both sides keep
        what they made of them."""
        return self._small

    def asking(self) -> Engine:
        """As `small`, on connections whose every statement is a transaction by itself."""
        return self._asking

    def http(self) -> Engine:
        """The engine of requests over HTTP: a login of navette_crm that can become no role but members of it."""
        return self._http

    def owner(self) -> Engine:
        """The engine that migrates: the owner of schemas and tables."""
        return self._owner

    def let_go(self) -> None:
        """Closes the connections that nobody uses just now; the engines make others when they are asked."""
        for name in ("_hub", "_small", "_asking", "_http", "_owner"):
            if name in self.__dict__:
                self.__dict__[name].dispose()

    @property
    def crm_url(self) -> str:
        """For CRM applications and people: a login of the group navette_crm."""
        return self._url(self.roles.app, "postgresql", tcp=True).render_as_string(hide_password=False)

    @property
    def dagster_url(self) -> str:
        """Dagster's own database. It names psycopg2: a plain postgresql:// selects psycopg 3, which fails there."""
        url = self._url(self.roles.dagster, "postgresql+psycopg2", database=dagster_database(self.database))
        return url.render_as_string(hide_password=False)

    @cached_property
    def _hub(self) -> Engine:
        return self._engine(self.roles.hub)

    @cached_property
    def _small(self) -> Engine:
        return self._prepared()

    @cached_property
    def _asking(self) -> Engine:
        # Of an engine of its own: to switch a connection over and back takes longer than most questions.
        return self._prepared(isolation_level="AUTOCOMMIT", pool_reset_on_return=None)

    def _prepared(self, **said: Any) -> Engine:
        made = create_engine(
            self._url(self.roles.hub), creator=lambda: self.connect(self.roles.hub, prepared=True),
            pool_size=2, max_overflow=40, pool_use_lifo=True, query_cache_size=3000, paramstyle="numeric_dollar",
            **said,
        )
        event.listen(made, "checkout", _alive)
        return made.execution_options(by_index=True)

    @cached_property
    def _http(self) -> Engine:
        return self._engine(self.roles.http)

    @cached_property
    def _owner(self) -> Engine:
        return self._engine(self.roles.owner)

    def _engine(self, role: str) -> Engine:
        return create_engine(self._url(role), creator=lambda: self.connect(role), pool_pre_ping=True, pool_size=8)

    def connect(self, role: str, *, autocommit: bool = False, prepared: bool = False) -> Connection:
        """A psycopg connection of its own (for LISTEN, for leadership), after waiting for a server that starts.

        `prepared`: statements are few, come again and look few rows up.
        """

        def dial() -> Connection:
            url = self._url(role)
            given = {name: str(value) for name, value in url.query.items()}
            options = f"{given.pop('options', '')} -c jit=off -c timezone=UTC -c client_connection_check_interval=2s"
            if prepared:
                options += " -c synchronous_commit=off -c plan_cache_mode=force_generic_plan"
                options += "".join(f" -c {name}=off" for name in INDEX_ONLY)
            given |= {"host": url.host} if url.host else {}
            given |= {"port": str(url.port)} if url.port else {}
            given |= {"password": url.password} if url.password else {}
            given |= {"dbname": str(url.database), "user": role, "application_name": "navette"}
            address = make_conninfo("", **given, options=options)
            # statements over whole batches want a plan for the batch at hand, not one kept from a small one
            made = psycopg.connect(address, autocommit=autocommit, prepare_threshold=2 if prepared else None)
            if prepared:
                made.prepared_max = 1000
                # Placeholders as the server has them: the driver would look for its own in each statement, each time.
                made.cursor_factory = psycopg.RawCursor
            return made

        return _patiently(dial, self._place)

    @property
    def _place(self) -> str:
        if self.url is None:
            return f"the store in {self.home}"
        return f"database {self.database} at {self.url.host or 'this machine'}:{self.url.port or 5432}"

    def _url(self, role: str, driver: str = "postgresql+psycopg", *, database: str = "", tcp: bool = False) -> URL:
        name = database or self.database
        if self.url is not None:
            password = self.passwords[role] if role != self.roles.owner else self.url.password
            return self.url.set(drivername=driver, username=role, password=password, database=name)
        at = server.ensure_running(self.home)
        if tcp and at.tcp:
            return URL.create(driver, role, self.passwords[role], "127.0.0.1", at.port, name)
        return URL.create(
            driver, role, self.passwords[role], port=None, database=name,
            query={"host": at.socket_dir, "port": str(at.port)},
        )


def _alive(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Asks a connection that has rested for a moment whether it is still there; the pool makes another if not."""
    now = time.monotonic()
    rested = now - record.info.get("navette_used", now)
    record.info["navette_used"] = now
    if rested > _RESTED_SECONDS:
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except psycopg.Error as error:
            raise DisconnectionError from error


@contextmanager
def _folder_told(home: Path) -> Iterator[None]:
    """What is wrong with the folder, as something to put right."""
    try:
        yield
    except OSError as fault:
        raise ConfigurationError(
            f"NAVETTE_HOME cannot be used: {fault.strerror}", where=str(fault.filename or home),
            todo="name a folder on a local disk in which you may write, the same user each time",
        ) from fault


def _embedded(home: Path) -> Store:
    server.ensure_running(home)
    roles = roles_of(DATABASE)
    with server.home_lock(home, "roles.lock"):
        passwords = kept_passwords(home, (server.ADMIN, roles.owner, *roles.made))
        store = Store(home, None, DATABASE, roles, passwords)
        if server.read_state(home, "roles.json").get("embedded") != _ROLES_VERSION:
            with admin_connection(store) as admin:
                make_embedded(admin, passwords)
            server.write_state(home, "roles.json", embedded=_ROLES_VERSION)
    return store


def admin_connection(store: Store, database: str = "postgres") -> Connection:
    """The embedded server's superuser, to make roles and databases."""

    def dial() -> Connection:
        at = server.ensure_running(store.home)
        return psycopg.connect(
            host=at.socket_dir, port=at.port, dbname=database, user=server.ADMIN,
            password=store.passwords[server.ADMIN], autocommit=True,
        )

    return _patiently(dial, f"the store in {store.home}")


def _own(home: Path, text: str) -> Store:
    url = _own_url(text)
    database, owner = str(url.database), str(url.username)
    roles = roles_of(database, owner)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with server.home_lock(home, "roles.lock"):
        passwords = (
            {role: derived_password(str(url.password), role) for role in roles.made}
            if url.password else kept_passwords(home, roles.made)
        )
        store = Store(home, url, database, roles, passwords)
        seen = hashlib.sha256(f"{_ROLES_VERSION} {text}".encode()).hexdigest()
        if server.read_state(home, "roles.json").get("own") != seen:
            with store.connect(owner, autocommit=True) as connection:
                _check_server(connection)
                make_groups_and_logins(connection, roles, dict(passwords))
                connection.execute(
                    psycopg.sql.SQL("GRANT {} TO CURRENT_USER").format(psycopg.sql.Identifier(roles.dagster))
                )
                make_database(connection, dagster_database(database), roles.dagster)
            server.write_state(home, "roles.json", own=seen)
    return store


def _own_url(text: str) -> URL:
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1) if text.startswith("postgres://") else text)
    except Exception as fault:
        raise ConfigurationError(
            "NAVETTE_DATABASE_URL is no URL", todo="write it as postgresql://user:password@host:5432/database"
        ) from fault
    if url.get_backend_name() != "postgresql" or not url.username or not url.database:
        raise ConfigurationError(
            "NAVETTE_DATABASE_URL must name a PostgreSQL server, a user and a database",
            todo="write it as postgresql://user:password@host:5432/database",
        )
    return url.set(drivername="postgresql+psycopg")


def _check_server(connection: Connection) -> None:
    version, encoding = connection.info.server_version // 10_000, connection.info.parameter_status("server_encoding")
    if version < 15:
        raise ConfigurationError(
            f"the server of NAVETTE_DATABASE_URL is PostgreSQL {version}", todo="use PostgreSQL 15 or later"
        )
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the database of NAVETTE_DATABASE_URL has the encoding {encoding}",
            todo="make it with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        )


def _patiently(dial: Callable[[], Connection], place: str) -> Connection:
    """Connect, and try again while the server starts or recovers: of three commands that start it at the same moment
    after a crash, one may still meet the dying server and be refused."""
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            return dial()
        except psycopg.OperationalError as fault:
            error = _connect_error(fault, place)
            if not isinstance(error, RetryLater) or time.monotonic() > deadline:
                raise error from fault
            time.sleep(0.1)


def _connect_error(fault: psycopg.OperationalError, place: str) -> NavetteError:
    """What the caller can do: only a server that does not answer, starts, or is full, is worth a retry.

    The driver tells no SQLSTATE here, and the server speaks its own language. So what it asked for counts before what
    it said: a password that was given and then answered with an error is a refusal, unless the server says it is busy.
    """
    said, at = " ".join(str(fault).split()) or "no answer", fault.pgconn
    answered = ":  " in str(fault)  # in every language two blanks stand between how severe it is and what is said
    asked = at is not None and (at.needs_password or (at.used_password and answered))
    if any(words in said for words in _REFUSED) or (asked and not any(words in said for words in _BUSY)):
        return ConfigurationError(
            f"the store's server refused the login, or has no such database ({said})", where=place,
            todo="check NAVETTE_DATABASE_URL; where somebody changed a login there, delete roles.json in NAVETTE_HOME, "
            "and the next command sets them anew",
        )
    return RetryLater(f"the store's server does not answer ({said})", where=place,
                      todo="see that it runs and that NAVETTE_DATABASE_URL, if you set it, names it; then try again")
