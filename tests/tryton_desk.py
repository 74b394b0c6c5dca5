"""A real Tryton for tests: one server for each test module, on a database of its own.

A module takes both by `from tests.tryton_desk import tryton, others`, or finds them in its folder's conftest. The first one on a
machine installs Tryton and sets a template up (.navette/tryton, about a minute); a server then costs about a second.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from connectors.remote import Key, Resource
from connectors.tryton.model import Models
from connectors.tryton.open import TrytonRemote, open_tryton
from connectors.tryton.session import Session
from connectors.tryton.values import wire_value
from demo.tryton_server import TrytonServer, running

__all__ = ["TrytonDesk", "another", "lay_mappings", "others", "tryton"]

NUMBERS = count(1)
MAPPINGS = Path(__file__).resolve().parents[1] / "demo" / "tryton" / "mappings"


def lay_mappings(root: Path) -> None:
    """The demo's mappings of Tryton below `root`, without its third system: here there is no accounting."""
    laid = Path(shutil.copytree(MAPPINGS, root / "mappings"))
    for path in (*(laid / "flows").glob("accounting_*.yaml"), laid / "entities" / "receivable.yaml"):
        path.unlink()
    for path, whole in ((laid / "systems.yaml", r"(?m)^  accounting:\n(    .*\n)+"),
                        (laid / "entities" / "company.yaml", r"(?m)^  \w+: accounting\n")):
        path.write_text(re.sub(whole, "", path.read_text("utf-8")), "utf-8")


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    with running(tmp_path_factory.mktemp("tryton")) as server:
        yield server


@pytest.fixture(scope="module")
def others(tryton: TrytonServer) -> Iterator[Session]:
    """A session of somebody else's, for what happens behind the connector's back."""
    session = Session(tryton.settings())
    yield session
    session.close()


@pytest.fixture(scope="module")
def another(tryton: TrytonServer, others: Session) -> Iterator[Session]:
    """A session of another user, who may do everything too."""
    groups = others.read("model.res.group.search", [], 0, None, None)
    others.write("model.res.user.create", [{"name": "Another", "login": "another", "password": "auch-Schreiben-7",
                                            "groups": [["add", groups]]}])
    session = Session(tryton.settings(user="another", password="auch-Schreiben-7", password_file=None))
    yield session
    session.close()


@dataclass
class TrytonDesk:
    """What happens to a model's rows behind the connector's back; fills tests.contract.remote_suite.RemoteDesk."""

    server: TrytonServer
    others: Session
    resource: Resource
    text: str
    typed: tuple[str, str]
    refused: Mapping[str, str]
    said: str
    unknown: tuple[str, str] = ("naem", "name")

    def open(self, **settings: object) -> TrytonRemote:
        return open_tryton(self.server.settings(**settings))

    def values(self) -> dict[str, str]:
        return {self.text: f"row {next(NUMBERS)} of {self.resource.name}"}

    def insert(self, rows: Sequence[Mapping[str, str]]) -> list[Key]:
        made = self.others.write(f"model.{self.resource.name}.create", [self._typed(row) for row in rows])
        return [(str(number),) for number in made]

    def edit(self, key: Key, values: Mapping[str, str]) -> None:
        self.others.write(f"model.{self.resource.name}.write", [int(key[0])], self._typed(values))

    def delete(self, key: Key) -> None:
        self.others.write(f"model.{self.resource.name}.delete", [int(key[0])])

    def give_one_stamp(self, keys: Sequence[Key], like: Key | None = None) -> None:
        """As a bulk write does on PostgreSQL, whose stamp is that of the transaction."""
        table = self.resource.name.replace(".", "_")
        with closing(sqlite3.connect(self.server.database_file, timeout=30)) as database, database:
            source = (like or keys[-1])[0]
            row = database.execute(f"SELECT create_date, write_date FROM {table} WHERE id = ?", [source]).fetchone()
            database.executemany(f"UPDATE {table} SET create_date = ?, write_date = ? WHERE id = ?",
                                 [(*row, key[0]) for key in keys])

    def _typed(self, values: Mapping[str, str]) -> dict[str, Any]:
        model = Models(self.others).get(self.resource.name)
        return {name: wire_value(model.fields[name].type, text) for name, text in values.items()}
