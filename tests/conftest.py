"""Servers and stores for tests: one embedded server for the session, a database of its own for each test.

`NAVETTE_TEST_PG=15` takes Debian's PostgreSQL 15, as a server of one's own whose owner is no superuser, instead; and
`NAVETTE_TEST_PG=/usr/lib/postgresql/16/bin` the one whose programs are in that folder.
"""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from xdist.scheduler import LoadScopeScheduling

from crm_store.migrate import migrate, wanted_digest
from crm_store.server_user import server_user
from crm_store.store import Store, admin_connection
from mappings.language.project import Project, require_project

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
_numbers = count(1)


class _Files(LoadScopeScheduling):
    """Tests of one file share a worker, and all of the real exports, whose days are read once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "real_exports" if "real_exports" in file else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Instead of groups by marks: what they add to a test's id is lost since pytest 9."""
    return _Files(config, log)


def pytest_collection_finish() -> None:
    """What is imported by now stays: looking through it for garbage again and again took a fifth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: {"real_exports": 0, "acceptance": 1, "contract": 2}.get(item.path.parent.name, 3))


@dataclass
class Server:
    """A running server; `store` is its first database, `superuser` opens an autocommit connection to any."""

    store: Store
    superuser: Callable[[str], psycopg.Connection]
    templates: dict[str, str] = field(default_factory=dict)

    def execute(self, statement: str, *names: str) -> None:
        with closing(self.superuser("postgres")) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))

    def new_store(self, project: Project) -> Store:
        """A store of its own with `project`'s entities, copied from one that was migrated once."""
        digest = wanted_digest(project)
        if digest not in self.templates:
            template = replace(self.store, database=f"template_{len(self.templates)}")
            self.execute("CREATE DATABASE {} OWNER {}", template.database, self.store.roles.owner)
            migrate(template, project)
            self.templates[digest] = template.database
        made = replace(self.store, database=f"test_{next(_numbers)}")
        # copied as files, in half the time that writing it through the log takes
        self.execute("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY FILE_COPY", made.database, self.store.roles.owner,
                     self.templates[digest])
        return made

    def drop(self, store: Store) -> None:
        store.let_go()
        self.execute("DROP DATABASE {} WITH (FORCE)", store.database)


def embedded_server() -> Iterator[Server]:
    home = Path(mkdtemp(prefix="nvt-", dir="/tmp"))
    store = Store.open(home)
    try:
        with closing(admin_connection(store)) as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")  # a test's data need not survive a power cut
            admin.execute("SELECT pg_reload_conf()")
        yield Server(store, lambda database: admin_connection(store, database))
    finally:
        Store.stop(home)
        shutil.rmtree(home)


def own_server(programs: Path) -> Iterator[Server]:
    if not (programs / "postgres").is_file():
        pytest.skip(f"no PostgreSQL is installed in {programs}: nothing was tried on it")
    folder = Path(mkdtemp(prefix="nvtown-", dir="/tmp"))
    data, word = folder / "data", folder / "word"
    user = server_user(data)
    word.write_text("super")
    for path in (folder, word):
        user.give(path)
    as_user = {**user.run_as(), "cwd": folder, "env": {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}}
    subprocess.run([programs / "initdb", "-D", data, "-U", "super", f"--pwfile={word}", "-A", "scram-sha-256",
                    "-E", "UTF8", "--no-sync"], check=True, capture_output=True, **as_user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-c", "fsync=off"],
            stdout=log, stderr=log, **as_user,
        )

    def superuser(database: str) -> psycopg.Connection:
        for _ in range(100):
            try:
                return psycopg.connect(host="127.0.0.1", port=port, user="super", password="super", dbname=database,
                                       autocommit=True)
            except psycopg.OperationalError:
                time.sleep(0.1)
        raise AssertionError((folder / "log").read_text())

    try:
        with closing(superuser("postgres")) as connection:
            connection.execute("CREATE ROLE boss LOGIN PASSWORD 'b:o/s s' CREATEROLE CREATEDB NOSUPERUSER")
            connection.execute("CREATE DATABASE navette OWNER boss TEMPLATE template0 ENCODING 'UTF8'")
        store = Store.open(folder / "home", f"postgresql://boss:b%3Ao%2Fs%20s@127.0.0.1:{port}/navette")
        yield Server(store, superuser)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


CHOSEN = os.environ.get("NAVETTE_TEST_PG", "18")


def server_of(chosen: str) -> Iterator[Server]:
    """`chosen`: 18, 15, or the folder of a server's programs."""
    return embedded_server() if chosen == "18" else own_server(DEBIAN_15 if chosen == "15" else Path(chosen))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The session's server: the embedded one, unless NAVETTE_TEST_PG says otherwise."""
    yield from server_of(CHOSEN)


@pytest.fixture
def new_store(server: Server) -> Iterator[Callable[[Project], Store]]:
    """Makes stores with a project's entities; they are dropped when the test ends."""
    made: list[Store] = []

    def make(project: Project) -> Store:
        made.append(server.new_store(project))
        return made[-1]

    yield make
    for store in made:
        server.drop(store)


def write_files(root: Path, files: dict[str, str]) -> Project:
    """Writes a project of `{"entities/company": yaml}` files below mappings/ and reads it."""
    systems = "systems: {sage: {connector: file, folder: sage}, accounting: {connector: file, folder: accounting}}"
    for name, text in {"systems": systems, **files}.items():
        path = root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return require_project(root, {})


@pytest.fixture
def write_project(tmp_path: Path) -> Callable[..., Project]:
    """`write_files` in a folder of the test's own; again with other files, it changes the project."""
    return lambda files=None: write_files(tmp_path / "project", files or {})


@pytest.fixture
def store(new_store: Callable[[Project], Store], write_project: Callable[..., Project]) -> Store:
    """A store with the built-in entities and nothing in it."""
    return new_store(write_project())
